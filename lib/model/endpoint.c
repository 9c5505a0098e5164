/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/endpoint.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
        int protocol;
        const char *name;
} protocols[] = {
        { IPPROTO_TCP, "tcp" },
        { IPPROTO_UDP, "udp" },
};

const char *protocol_to_string(int protocol)
{
        for (size_t i = 0; i < ELEMENTSOF(protocols); i++)
                if (protocols[i].protocol == protocol)
                        return protocols[i].name;
        return "unknown";
}

int protocol_from_string(const char *s)
{
        for (size_t i = 0; i < ELEMENTSOF(protocols); i++)
                if (strcmp(protocols[i].name, s) == 0)
                        return protocols[i].protocol;
        return -EINVAL;
}

bool endpoint_has_port(const Endpoint *e, uint16_t port)
{
        return port >= e->port && port <= e->last;
}

/* Does a socket bound there take part in IPv4, in IPv6? A specific IPv6 address is never mapped
 * here (Address turns those into AF_INET), so only the wildcard spans both. */
static bool takes_v4(const Address *a, bool v6only)
{
        return a->family == AF_INET || (!v6only && address_is_wildcard(a));
}

static bool takes_v6(const Address *a)
{
        return a->family != AF_INET;
}

/* Two specific addresses. A link-local one without scope may be meant for any link. */
static bool same_address(const Address *a, const Address *b)
{
        if (a->family == AF_INET6 && b->family == AF_INET6)
                return IN6_ARE_ADDR_EQUAL(&a->in6, &b->in6) &&
                       (a->scope == b->scope || a->scope == 0 || b->scope == 0);
        return address_equal(a, b);
}

bool endpoint_meets_address(const Endpoint *e, const Address *a, bool v6only)
{
        bool v4, v6;

        v4 = takes_v4(&e->address, e->v6only) && takes_v4(a, v6only);
        v6 = takes_v6(&e->address) && takes_v6(a);
        if (!v4 && !v6)
                return false;
        return address_is_wildcard(&e->address) || address_is_wildcard(a) ||
               same_address(&e->address, a);
}

bool endpoint_overlaps(const Endpoint *a, const Endpoint *b)
{
        return a->protocol == b->protocol && a->port <= b->last && b->port <= a->last &&
               endpoint_meets_address(a, &b->address, b->v6only);
}

/* [::] of both families is what AF_UNSPEC is bound as. */
static bool is_dual_stack(const Endpoint *e)
{
        return e->address.family != AF_INET && !e->v6only && address_is_wildcard(&e->address);
}

bool endpoint_same_place(const Endpoint *a, const Endpoint *b)
{
        if (a->protocol != b->protocol)
                return false;
        if (is_dual_stack(a) || is_dual_stack(b))
                return is_dual_stack(a) && is_dual_stack(b);
        /* The flag is without meaning on a specific address. */
        return address_equal(&a->address, &b->address);
}

const char *endpoint_format(const Endpoint *e, char buf[static ENDPOINT_TEXT_MAX])
{
        char text[ADDRESS_PORT_TEXT_MAX];

        address_format_port(&e->address, e->port, text);
        if (e->last != e->port)
                snprintf(buf, ENDPOINT_TEXT_MAX, "%s %s-%u", protocol_to_string(e->protocol), text,
                         e->last);
        else
                snprintf(buf, ENDPOINT_TEXT_MAX, "%s %s", protocol_to_string(e->protocol), text);
        return buf;
}
