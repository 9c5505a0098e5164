/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An IP address with its family and scope. AF_UNSPEC stands for every address of both families. An
 * IPv4-mapped IPv6 address (::ffff:a.b.c.d) is turned into AF_INET wherever it enters. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 80
/* With port: "[address%scope]:65535". */
#define ADDRESS_PORT_TEXT_MAX (ADDRESS_TEXT_MAX + 8)

typedef struct Address {
        int family; /* AF_UNSPEC, AF_INET, AF_INET6 */
        union {
                struct in_addr in;
                struct in6_addr in6;
        };
        uint32_t scope; /* interface index of a link-local IPv6 address, else 0 */
} Address;

/* Sets v4 bytes or v6 bytes (network order, as sock_diag gives them); normalizes mapped ones. */
void address_from_bytes(int family, const void *bytes, uint32_t scope, Address *ret);

/* "127.0.0.1", "::1", "fe80::1%2" or "fe80::1%eth0" (also in brackets). -EINVAL. */
int address_parse(const char *s, Address *ret);

/* Without port: "*" for AF_UNSPEC, "127.0.0.1", "::1". */
const char *address_format(const Address *a, char buf[static ADDRESS_TEXT_MAX]);

/* With port: "*:80", "127.0.0.1:80", "[::1]:80". */
const char *address_format_port(const Address *a, uint16_t port,
                                char buf[static ADDRESS_PORT_TEXT_MAX]);

bool address_equal(const Address *a, const Address *b);

/* 0.0.0.0, :: or AF_UNSPEC. */
bool address_is_wildcard(const Address *a);

/* Fills a sockaddr for bind() of the family given (AF_INET6 for AF_UNSPEC: "::"). Returns its
 * length. */
socklen_t address_to_sockaddr(const Address *a, uint16_t port, struct sockaddr_storage *ret);

/* The reverse, for getsockname() results. -EAFNOSUPPORT for other families. */
int address_from_sockaddr(const struct sockaddr_storage *ss, Address *ret, uint16_t *ret_port);
