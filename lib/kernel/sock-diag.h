/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sock_diag(7) over libmnl: dumps, single destroys, destroy events. One reader at a time per
 * object; nothing here blocks for longer than the kernel takes to answer. Everything that comes
 * back is validated: attributes by length, family and protocol by value; a row that is not
 * understood is skipped and counted. */

#include <stdint.h>

#include "base/cleanup.h"
#include "kernel/diag-filter.h"
#include "model/observation.h"

typedef struct SockDiag SockDiag;

typedef struct SockDiagStats {
        uint64_t dumps, rows, malformed, interrupted, overruns; /* overruns: ENOBUFS */
} SockDiagStats;

/* Gets each row. A negative return ends the dump and is returned by it. */
typedef int (*SockDiagRow)(const Socket *s, void *userdata);

int sock_diag_new(SockDiag **ret);
/* The same over a socket of which the caller plays the kernel, for tests. Takes it on success. */
int sock_diag_new_consume_fd(int fd, uint32_t portid, SockDiag **ret);
SockDiag *sock_diag_free(SockDiag *d);
DEFINE_CLEANUP(SockDiag, sock_diag_free);
const SockDiagStats *sock_diag_stats(const SockDiag *d);

#define SOCK_DIAG_STATE(s) (1u << (s))
#define SOCK_DIAG_LISTENERS                                                                        \
        (SOCK_DIAG_STATE(SOCKET_LISTEN) | SOCK_DIAG_STATE(SOCKET_BOUND_INACTIVE))
#define SOCK_DIAG_ALL ((1u << _SOCKET_STATE_MAX) - 1)
/* Beside states: asks for what tells an MPTCP socket's subflow from other TCP. The kernel tells that
 * only with the whole of tcp_info, so not for sweeps. */
#define SOCK_DIAG_ULP (1u << 31)

/* Rows of the protocol in one of these states, both families; AF_INET6 ones that IPv4 users see
 * come once. TCP: in one walk over the kernel's table, listeners first, then bound sockets, then
 * the rest; where the kernel wants a walk for each family, so for each. filter may be NULL. A dump
 * that the kernel says was interrupted is repeated, so that a row may come twice. -ENOBUFS, -ENOMEM; -EPROTONOSUPPORT: this kernel has no tcp_diag or udp_diag,
 * and could not load it. States that it does not know are left out. */
int sock_diag_dump(SockDiag *d, int protocol, uint32_t states, const DiagFilter *filter,
                   SockDiagRow row, void *userdata);

/* SOCK_DESTROY of exactly this socket (by cookie). -ENOENT: gone, or bound-only; -EPERM;
 * -EOPNOTSUPP: kernel without it. */
int sock_diag_destroy(SockDiag *d, const Socket *s);

/* Is this connection (by addresses and cookie) there, and what is it now? TIME_WAIT is, with the
 * cookie that it had as a connection. Found without a walk, and never missed as a row of a dump may
 * be. 1, 0, or -errno. */
int sock_diag_find(SockDiag *d, const Socket *s, Socket *ret);

/* Does this kernel list bound, not listening TCP sockets (6.8)? Probed with a socket of our own,
 * once. */
int sock_diag_has_bound_inactive(SockDiag *d);

/* A non-blocking netlink socket joined to the destroy groups; caller owns the fd. read: parses what
 * is there, calls row for each, without inode and in state CLOSE; -ENOBUFS: events were lost, look
 * again; 0. Reads a few hundred at most: the fd stays readable where there is more. */
int sock_diag_events_open(int *ret_fd);
int sock_diag_events_read(int fd, SockDiagRow row, void *userdata);

/* One netlink message payload (aligned to 4) to a row: the parser alone, for tests and fuzzing.
 * protocol 0: as its attribute says, in events. -EBADMSG. */
int sock_diag_parse(const void *payload, size_t size, int protocol, Socket *ret);
