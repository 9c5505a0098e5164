/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sockets that hold a port: bound and never listening, or listening.
 *
 * SO_REUSEADDR is the door. It can be flipped on a bound socket and takes effect at once: on,
 * servers that set it bind beside ours; off, nobody does. Three things make that true, each pinned
 * in tests/kernel/kernel-facts-bind.c:
 *
 * TCP remembers per port what the sockets bound there allowed (fastreuse and fastreuseport of the
 * bind bucket, net/ipv4/inet_connection_sock.c), and clearing the flag leaves that memory. listen()
 * rewrites it: that is the scrub. The socket listens for some microseconds, with a filter that
 * drops all, so that no client is ever taken; then shutdown() ends it.
 *
 * A TCP server's listen() is a second bind(): it fails with EADDRINUSE where the door was closed
 * between its bind() and its listen(). So close it once the server listens; bound is not enough.
 *
 * UDP looks at the flags of the sockets themselves, at each bind: there clearing is enough, and
 * there is nothing to scrub. */

#include <stdbool.h>
#include <stdint.h>

#include "model/endpoint.h"

typedef enum BindResult {
        BIND_OK = 0,
        BIND_IN_USE = 1,     /* EADDRINUSE, or the probe found it open: stay pending */
        BIND_NO_ADDRESS = 2, /* neither the family, nor a link-local address's interface */
} BindResult;

/* Binds one port of the endpoint, exclusive: SO_REUSEADDR for the bind (TIME_WAIT remains),
 * IP_FREEBIND for addresses not there yet, drop-all filter for UDP, scrub, clear, then a probe that
 * must fail. sharing: left shared instead, not probed. AF_UNSPEC: one dual-stack [::] socket,
 * whatever net.ipv6.bindv6only says; 0.0.0.0 where there is no IPv6. *ret_fd is the caller's. A
 * BindResult or -errno (-EMFILE, -EACCES below 1024 …). */
int placeholder_bind(const Endpoint *e, uint16_t port, bool sharing, int *ret_fd);

/* Binds and listens (SO_REUSEADDR, backlog of the system), for Hold=listen without systemd. UDP:
 * bound. */
int placeholder_listen(const Endpoint *e, uint16_t port, int *ret_fd);

/* Lets SO_REUSEADDR binds in, at once. */
int placeholder_share(int fd);

/* Closes the door again, with everybody who is in staying there: for when the owner has bound. No
 * scrub: that is refused while the owner listens, and not needed, since its own listen() rewrote
 * the memory. */
int placeholder_unshare(int fd);

/* To exclusive, when the owner has gone: clears and scrubs, with the door closed all the time. False
 * in *ret_scrubbed: cleared, but listen() met somebody: a listener, or what remains of the owner's
 * connections. Until a scrub, a SO_REUSEPORT server of the owner's uid could come back in. */
int placeholder_exclude(int fd, bool *ret_scrubbed);

/* The scrub where connections remain and nobody listens: by a second socket that is bound beside
 * everything for a moment, which takes TCP_REPAIR and so CAP_NET_ADMIN (-EPERM without). Ours stays
 * closed meanwhile. */
int placeholder_scrub_beside(const Endpoint *e, uint16_t port);

/* After unshare, beside a server that listens: makes the port forget that a stranger was let in with
 * SO_REUSEPORT, which would let its uid in again, door or not, where the server does not listen. In
 * the same way, with the same errors. The server's own uid is forgotten too. */
int placeholder_forget_reuseport(const Endpoint *e, uint16_t port);

/* The scrub without that capability: opens the door for the few microseconds that it takes. False in
 * *ret_scrubbed: somebody listens; call again when it has gone. */
int placeholder_scrub_open(int fd, bool *ret_scrubbed);

/* UDP over IPv6, once the owner has bound: another socket for the same port, behind the owner's in
 * the kernel's order, to take the place of ours (the caller closes that). For of two equal sockets
 * the newer gets the datagrams, but one bound with SO_REUSEPORT is put behind those that are there:
 * such an owner would get nothing beside a placeholder. The old one must still be sharing. BIND_OK,
 * BIND_IN_USE, or -errno; -EOPNOTSUPP: not UDP over IPv6, where the order is right by itself. */
int placeholder_step_behind(const Endpoint *e, uint16_t port, bool sharing, int *ret_fd);

/* Is the port closed to a bind with SO_REUSEADDR and SO_REUSEPORT? 1: yes, 0: no, -errno: could not
 * be tried. */
int placeholder_probe(const Endpoint *e, uint16_t port);

/* Does somebody listen at an address that meets the endpoint's? For TCP, and only while ours lets
 * SO_REUSEADDR binds in: such a bind then fails for nothing but a listener. 1: yes, 0: no, -errno:
 * could not be tried. */
int placeholder_has_listener(const Endpoint *e, uint16_t port);

/* The same for each of the address families that the endpoint has; wholly: for each address. */
int placeholder_is_covered(const Endpoint *e, uint16_t port, bool wholly);

/* A bound socket of ours listens from now on as one of placeholder_listen() does, and the reverse
 * (sharing as for placeholder_bind()): the same socket, bound all the time. Clients that wait are
 * let go. begin: -EADDRINUSE: somebody else listens. */
int placeholder_begin_listening(int fd);
int placeholder_end_listening(int fd, bool sharing);

/* By what sock_diag(7) names it: cookie (0: kernel older than 4.12) and inode. */
int placeholder_identity(int fd, uint64_t *ret_cookie, uint32_t *ret_inode);

/* What an adopted fd is, from the socket itself. */
typedef struct PlaceholderInfo {
        int protocol;
        Address address; /* "::" without v6only as AF_UNSPEC: dual stack */
        bool v6only;
        uint16_t port;
        bool listening;
        bool sharing;
} PlaceholderInfo;

/* -ENOTSOCK, -EAFNOSUPPORT, -EPROTONOSUPPORT: not one of ours. */
int placeholder_describe(int fd, PlaceholderInfo *ret);

/* Is that the socket for this endpoint's port? */
bool placeholder_serves(const PlaceholderInfo *info, const Endpoint *e, uint16_t port);
