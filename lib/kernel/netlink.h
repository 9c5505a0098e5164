/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few things about a netlink socket that libmnl leaves to its user: who sent a message, and
 * what was lost. */

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A socket of NETLINK_SOCK_DIAG, bound, joined to these groups (a mask), close-on-exec. flags:
 * SOCK_NONBLOCK or 0. receive_size bytes of receive buffer, above the sysctl limit where we may.
 * The caller owns *ret_fd. */
int netlink_open(int flags, uint32_t groups, int receive_size, int *ret_fd, uint32_t *ret_portid);

int netlink_send(int fd, const void *message, size_t size);

/* One datagram from the kernel; others' are skipped. Its size, or -EAGAIN, -ENOBUFS (messages were
 * lost), -EMSGSIZE (longer than buf: lost, too). */
ssize_t netlink_receive(int fd, void *buf, size_t size);

/* Is there a whole message at h, with so many bytes left? mnl_nlmsg_ok() (libmnl 1.0.4) takes lengths
 * from 2 GiB on for negative ones, which are short enough for it. */
bool netlink_message_ok(const struct nlmsghdr *h, int rest);
