/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/bind-rules.h"

#include <netinet/in.h>

/* What the kernel keeps as the IPv4 address of a socket that has an IPv6 one: LOOPBACK4_IPV6 of
 * include/net/ipv6.h. */
#define IPV4_OF_IPV6 0x7f000006u

/* An IPv6 connection stands in the way of 0.0.0.0, unless it is v6only, which bind() to an IPv6
 * address has made it, and a v6only listener: ipv4_rcv_saddr_equal() in net/ipv6/inet6_hashtables.c
 * looks at nothing else. */
bool bind_rules_meet(const Endpoint *e, const Socket *s)
{
        const Address odd = { .family = AF_INET, .in.s_addr = htonl(IPV4_OF_IPV6) };

        if (e->protocol != s->protocol || !endpoint_has_port(e, s->local_port))
                return false;
        return endpoint_meets_address(e, &s->local, s->v6only) ||
               (s->local.family == AF_INET6 && !s->v6only &&
                endpoint_meets_address(e, &odd, false));
}

Tristate bind_rules_allow(const Endpoint *e, bool reuseaddr, const Socket *s)
{
        if (!bind_rules_meet(e, s))
                return TRI_YES;
        if (!reuseaddr)
                return TRI_NO;
        /* SO_REUSEADDR on both sides never lets two TCP listeners be. In every other state it does,
         * connected or not, and whoever chose the port. */
        if (s->protocol == IPPROTO_TCP && s->state == SOCKET_LISTEN)
                return TRI_NO;
        return s->reuse;
}

/* What s->reuse most likely is, where nobody can tell: servers set it, clients do not. */
static bool is_likely_reuse(Kind kind, const Socket *s)
{
        switch (kind) {
        case KIND_HOLD:
        case KIND_LISTENER:
        case KIND_OWNER:
        case KIND_ACCEPTED:
                return true;
        case KIND_STALE:
                /* Of a connection that had its port from a listener. */
                return s->automatic == TRI_NO;
        default:
                return false;
        }
}

const char *would_bind_to_string(WouldBind w)
{
        switch (w) {
        case WOULD_BIND_YES:
                return "yes";
        case WOULD_BIND_WITH_REUSEADDR:
                return "with-reuseaddr";
        default:
                return "no";
        }
}

WouldBind bind_rules_would_bind(const Endpoint *e, Kind kind, const Socket *s, bool *ret_certain)
{
        Tristate allowed = bind_rules_allow(e, true, s);

        *ret_certain = allowed != TRI_UNKNOWN;
        if (bind_rules_allow(e, false, s) == TRI_YES)
                return WOULD_BIND_YES;
        if (allowed == TRI_UNKNOWN)
                allowed = is_likely_reuse(kind, s) ? TRI_YES : TRI_NO;
        return allowed == TRI_YES ? WOULD_BIND_WITH_REUSEADDR : WOULD_BIND_NO;
}
