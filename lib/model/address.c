/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

void address_from_bytes(int family, const void *bytes, uint32_t scope, Address *ret)
{
        Address a = { .family = family };

        if (family == AF_INET) {
                memcpy(&a.in, bytes, sizeof(a.in));
        } else if (family == AF_INET6) {
                memcpy(&a.in6, bytes, sizeof(a.in6));
                if (IN6_IS_ADDR_V4MAPPED(&a.in6)) {
                        struct in_addr in;

                        memcpy(&in, &a.in6.s6_addr[12], sizeof(in));
                        a = (Address){ .family = AF_INET, .in = in };
                } else if (IN6_IS_ADDR_LINKLOCAL(&a.in6)) {
                        /* Elsewhere the index only says which device a socket is bound to. */
                        a.scope = scope;
                }
        }
        *ret = a;
}

/* "2" or "eth0". */
static int parse_scope(const char *s, uint32_t *ret)
{
        uint64_t v;

        if (parse_uint(s, 1, UINT32_MAX, &v) < 0) {
                v = if_nametoindex(s);
                if (v == 0)
                        return -EINVAL;
        }
        *ret = (uint32_t) v;
        return 0;
}

int address_parse(const char *s, Address *ret)
{
        char buf[ADDRESS_TEXT_MAX], *percent;
        size_t n = strlen(s);
        uint32_t scope = 0;
        struct in6_addr in6;
        struct in_addr in;
        bool brackets;

        brackets = n >= 2 && s[0] == '[' && s[n - 1] == ']';
        if (brackets) {
                s++;
                n -= 2;
        }
        if (n >= sizeof(buf))
                return -EINVAL;
        memcpy(buf, s, n);
        buf[n] = 0;

        if (!brackets && inet_pton(AF_INET, buf, &in) == 1) {
                address_from_bytes(AF_INET, &in, 0, ret);
                return 0;
        }

        percent = strchr(buf, '%');
        if (percent) {
                *percent = 0;
                if (parse_scope(percent + 1, &scope) < 0)
                        return -EINVAL;
        }
        if (inet_pton(AF_INET6, buf, &in6) != 1)
                return -EINVAL;
        if (scope != 0 && !IN6_IS_ADDR_LINKLOCAL(&in6))
                return -EINVAL;
        address_from_bytes(AF_INET6, &in6, scope, ret);
        return 0;
}

const char *address_format(const Address *a, char buf[static ADDRESS_TEXT_MAX])
{
        if (a->family == AF_INET) {
                inet_ntop(AF_INET, &a->in, buf, ADDRESS_TEXT_MAX);
        } else if (a->family == AF_INET6) {
                inet_ntop(AF_INET6, &a->in6, buf, ADDRESS_TEXT_MAX);
                if (a->scope != 0) {
                        size_t n = strlen(buf);

                        snprintf(buf + n, ADDRESS_TEXT_MAX - n, "%%%u", a->scope);
                }
        } else {
                strcpy(buf, "*");
        }
        return buf;
}

const char *address_format_port(const Address *a, uint16_t port,
                                char buf[static ADDRESS_PORT_TEXT_MAX])
{
        char text[ADDRESS_TEXT_MAX];

        snprintf(buf, ADDRESS_PORT_TEXT_MAX, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u",
                 address_format(a, text), port);
        return buf;
}

bool address_equal(const Address *a, const Address *b)
{
        if (a->family != b->family)
                return false;
        if (a->family == AF_INET)
                return a->in.s_addr == b->in.s_addr;
        if (a->family == AF_INET6)
                return IN6_ARE_ADDR_EQUAL(&a->in6, &b->in6) && a->scope == b->scope;
        return true;
}

bool address_is_wildcard(const Address *a)
{
        if (a->family == AF_INET)
                return a->in.s_addr == htonl(INADDR_ANY);
        if (a->family == AF_INET6)
                return IN6_IS_ADDR_UNSPECIFIED(&a->in6);
        return true;
}

socklen_t address_to_sockaddr(const Address *a, uint16_t port, struct sockaddr_storage *ret)
{
        memset(ret, 0, sizeof(*ret));

        if (a->family == AF_INET) {
                struct sockaddr_in *in = (struct sockaddr_in *) ret;

                in->sin_family = AF_INET;
                in->sin_port = htons(port);
                in->sin_addr = a->in;
                return sizeof(*in);
        } else {
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) ret;

                in6->sin6_family = AF_INET6;
                in6->sin6_port = htons(port);
                if (a->family == AF_INET6) {
                        in6->sin6_addr = a->in6;
                        in6->sin6_scope_id = a->scope;
                }
                return sizeof(*in6);
        }
}

int address_from_sockaddr(const struct sockaddr_storage *ss, Address *ret, uint16_t *ret_port)
{
        if (ss->ss_family == AF_INET) {
                const struct sockaddr_in *in = (const struct sockaddr_in *) ss;

                address_from_bytes(AF_INET, &in->sin_addr, 0, ret);
                *ret_port = ntohs(in->sin_port);
                return 0;
        }
        if (ss->ss_family == AF_INET6) {
                const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) ss;

                address_from_bytes(AF_INET6, &in6->sin6_addr, in6->sin6_scope_id, ret);
                *ret_port = ntohs(in6->sin6_port);
                return 0;
        }
        return -EAFNOSUPPORT;
}
