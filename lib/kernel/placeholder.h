/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sockets that hold a port: bound and never listening, or listening. Scrub, flip, probe (facts: bind() rules). */

#include <stdbool.h>
#include <stdint.h>

#include "model/endpoint.h"

typedef enum BindResult {
        BIND_OK = 0,
        BIND_IN_USE = 1,     /* EADDRINUSE, or the probe found it open: stay pending */
        BIND_NO_ADDRESS = 2, /* never returned while IP_FREEBIND works; family not there */
} BindResult;

/* Binds one port of the endpoint, exclusive: SO_REUSEADDR for the bind (TIME_WAIT remains), IP_FREEBIND for addresses not there
 * yet, drop-all filter for UDP, scrub, clear, then a probe with SO_REUSEADDR and SO_REUSEPORT that must fail. sharing: left shared
 * instead, not probed. *ret_fd is the caller's. A BindResult or -errno (-EMFILE, -EACCES below 1024 …). */
int placeholder_bind(const Endpoint *e, uint16_t port, bool sharing, int *ret_fd);

/* Binds and listens (SO_REUSEADDR, backlog of the system), for Hold=listen without systemd. UDP: bound. */
int placeholder_listen(const Endpoint *e, uint16_t port, int *ret_fd);

/* Lets SO_REUSEADDR binds in, at once. */
int placeholder_share(int fd);

/* To exclusive: scrub, then clear. While the owner listens the scrub is refused: then only clears, and *ret_scrubbed is false:
 * call again when it has gone. */
int placeholder_unshare(int fd, bool *ret_scrubbed);

/* Is it really closed to SO_REUSEADDR+SO_REUSEPORT binders? True: yes. Only while no owner is bound. */
bool placeholder_probe(const Endpoint *e, uint16_t port);

/* What an adopted fd is: protocol, address, port, v6only from getsockname and SO_PROTOCOL, whether it listens and shares. */
typedef struct PlaceholderInfo {
        int protocol;
        Address address; /* "::" without v6only as AF_UNSPEC: dual stack */
        bool v6only;
        uint16_t port;
        bool listening;
        bool sharing;
        uint64_t cookie;
        uint32_t inode;
} PlaceholderInfo;
int placeholder_describe(int fd, PlaceholderInfo *ret);

/* Is that the socket for this endpoint's port? */
bool placeholder_serves(const PlaceholderInfo *info, const Endpoint *e, uint16_t port);
