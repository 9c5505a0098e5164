/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Destroy events: the kernel multicasts each TCP and UDP socket that goes, as a row in state CLOSE
 * without inode. */

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "kernel/netlink.h"
#include "kernel/sock-diag.h"

#define GROUP(g) (1u << ((g) -1))
#define GROUPS                                                                                     \
        (GROUP(SKNLGRP_INET_TCP_DESTROY) | GROUP(SKNLGRP_INET_UDP_DESTROY) |                       \
         GROUP(SKNLGRP_INET6_TCP_DESTROY) | GROUP(SKNLGRP_INET6_UDP_DESTROY))
/* An event costs about 1 KiB of it: a server that drops 4,000 clients at once fits. */
#define RECEIVE_BUFFER (4 * 1024 * 1024)
/* Datagrams a call reads at most, so that a storm of closes does not keep the caller's loop from
 * the rest. */
#define READ_MAX 256

int sock_diag_events_open(int *ret_fd)
{
        return netlink_open(SOCK_NONBLOCK, GROUPS, RECEIVE_BUFFER, ret_fd, NULL);
}

int sock_diag_events_read(int fd, SockDiagRow row, void *userdata)
{
        uint64_t buf[8192 / sizeof(uint64_t)];

        for (unsigned i = 0; i < READ_MAX; i++) {
                ssize_t n = netlink_receive(fd, buf, sizeof(buf));
                const struct nlmsghdr *h = (const struct nlmsghdr *) buf;
                int rest = (int) n;

                if (n == -EAGAIN)
                        return 0;
                if (n < 0)
                        return n == -EMSGSIZE ? -ENOBUFS : (int) n;
                for (; netlink_message_ok(h, rest); h = mnl_nlmsg_next(h, &rest)) {
                        Socket s;
                        int r;

                        if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
                            sock_diag_parse(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h),
                                            0, &s) < 0)
                                continue;
                        r = row(&s, userdata);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}
