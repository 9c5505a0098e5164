/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests about one socket, which the kernel finds by its addresses, without a walk. */

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <string.h>

#include "kernel/netlink.h"
#include "kernel/sock-diag-internal.h"

static void address_to_id(int family, const Address *a, __be32 id[static 4])
{
        if (family == AF_INET)
                id[0] = a->in.s_addr;
        else if (a->family == AF_INET) {
                /* A dual-stack socket that talks to IPv4: the kernel wants it mapped. */
                id[2] = htonl(0xffff);
                id[3] = a->in.s_addr;
        } else
                memcpy(id, &a->in6, sizeof(a->in6));
}

/* Sends, and reads up to the acknowledgement. A row that comes before it is left in *row. */
static int ask(SockDiag *d, uint16_t type, const Socket *s, Socket *row)
{
        struct inet_diag_req_v2 *request;
        struct nlmsghdr *q;
        int r;

        request = sock_diag_put_request(d, type, NLM_F_ACK, sizeof(*request), &q);
        request->sdiag_family = (uint8_t) s->family;
        request->sdiag_protocol = (uint8_t) s->protocol;
        request->idiag_states = SOCK_DIAG_ALL;
        request->id.idiag_sport = htons(s->local_port);
        request->id.idiag_dport = htons(s->remote_port);
        request->id.idiag_if = s->interface;
        request->id.idiag_cookie[0] = (uint32_t) s->cookie;
        request->id.idiag_cookie[1] = (uint32_t) (s->cookie >> 32);
        address_to_id(s->family, &s->local, request->id.idiag_src);
        address_to_id(s->family, &s->remote, request->id.idiag_dst);

        r = netlink_send(d->fd, q, q->nlmsg_len);
        while (r >= 0) {
                ssize_t n = netlink_receive(d->fd, d->receive, sizeof(d->receive));
                const struct nlmsghdr *h = (const struct nlmsghdr *) d->receive;
                int rest = (int) n;

                if (n < 0)
                        return n == -EAGAIN ? -ETIMEDOUT : (int) n;
                for (; netlink_message_ok(h, rest); h = mnl_nlmsg_next(h, &rest)) {
                        if (sock_diag_is_foreign(d, h))
                                continue;
                        if (h->nlmsg_type == NLMSG_ERROR)
                                return sock_diag_error_of(h);
                        if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY && row &&
                            sock_diag_parse(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h),
                                            s->protocol, row) < 0)
                                d->stats.malformed++;
                }
        }
        return r;
}

int sock_diag_destroy(SockDiag *d, const Socket *s)
{
        return ask(d, SOCK_DESTROY, s, NULL);
}

int sock_diag_find(SockDiag *d, const Socket *s, Socket *ret)
{
        Socket row = {};
        int r;

        r = ask(d, SOCK_DIAG_BY_FAMILY, s, &row);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (row.cookie != s->cookie)
                return -EBADMSG;
        *ret = row;
        return 1;
}
