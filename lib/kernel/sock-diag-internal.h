/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of SockDiag share. */

#include <linux/netlink.h>

#include "kernel/sock-diag.h"

/* The kernel fills datagrams of a dump as large as the reader's buffer, up to 32 KiB. */
#define RECEIVE_SIZE (64u * 1024u)
#define REQUEST_SIZE (68u * 1024u)

struct SockDiag {
        int fd;
        uint32_t portid;
        uint32_t sequence;
        SockDiagStats stats;
        Tristate bound_inactive;
        Tristate both_families; /* TCPDIAG_GETSOCK is answered */
        /* netlink headers want alignment. */
        uint64_t request[REQUEST_SIZE / sizeof(uint64_t)];
        uint64_t receive[RECEIVE_SIZE / sizeof(uint64_t)];
};

/* A new request, with zeroed room for its header of that size, which is returned. */
void *sock_diag_put_request(SockDiag *d, uint16_t type, uint16_t flags, size_t size,
                            struct nlmsghdr **ret);

/* The answer to somebody else's question, or to one of ours that was given up. */
bool sock_diag_is_foreign(const SockDiag *d, const struct nlmsghdr *h);

/* Of NLMSG_ERROR and NLMSG_DONE: zero is the acknowledgement. */
int sock_diag_error_of(const struct nlmsghdr *h);
