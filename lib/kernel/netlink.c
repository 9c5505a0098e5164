/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/netlink.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"

/* Only a kernel bug keeps a dump from going on; better an error then than a daemon that hangs. */
#define RECEIVE_TIMEOUT_SEC 10

int netlink_open(int flags, uint32_t groups, int receive_size, int *ret_fd, uint32_t *ret_portid)
{
        struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
        struct timeval timeout = { .tv_sec = RECEIVE_TIMEOUT_SEC };
        socklen_t size = sizeof(address);
        _cleanup_(closep) int fd = -1;

        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_SOCK_DIAG);
        if (fd < 0)
                return -errno;
        /* The second needs no privilege and is cut at net.core.rmem_max. */
        if (receive_size > 0 &&
            setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_size, sizeof(receive_size)) < 0 &&
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_size, sizeof(receive_size)) < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return -errno;
        /* An unbound one gets no multicast at all. */
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        if (ret_portid)
                *ret_portid = address.nl_pid;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int netlink_send(int fd, const void *message, size_t size)
{
        static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        ssize_t n;

        do
                n = sendto(fd, message, size, 0, (const struct sockaddr *) &kernel, sizeof(kernel));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

ssize_t netlink_receive(int fd, void *buf, size_t size)
{
        for (;;) {
                struct sockaddr_nl from = {};
                struct iovec v = { .iov_base = buf, .iov_len = size };
                struct msghdr m = {
                        .msg_name = &from,
                        .msg_namelen = sizeof(from),
                        .msg_iov = &v,
                        .msg_iovlen = 1,
                };
                ssize_t n = recvmsg(fd, &m, 0);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (from.nl_pid != 0)
                        continue;
                if (m.msg_flags & MSG_TRUNC)
                        return -EMSGSIZE;
                return n;
        }
}

bool netlink_message_ok(const struct nlmsghdr *h, int rest)
{
        return rest >= (int) sizeof(*h) && h->nlmsg_len >= sizeof(*h) &&
               h->nlmsg_len <= (uint32_t) rest;
}
