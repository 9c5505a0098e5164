/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* endpoint_meets_address() and endpoint_overlaps() against what bind(2) really refuses: every pair
 * of places, in both orders, TCP and UDP. IP_FREEBIND, so that no address has to be there. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/endpoint.h"

typedef struct Place {
        const char *text; /* of an IPv6 socket where there is a colon */
        bool v6only;
        bool any; /* an endpoint of Ports=: AF_UNSPEC, bound as [::] */
} Place;

static const Place places[] = {
        { "::", false, true },
        { "::", false },
        { "::", true },
        { "0.0.0.0", false },
        { "127.0.0.1", false },
        { "127.0.0.2", false },
        { "192.0.2.1", false },
        { "::1", false },
        { "::1", true },
        { "2001:db8::1", false },
        { "::ffff:0.0.0.0", false },
        { "::ffff:127.0.0.1", false },
        { "::ffff:192.0.2.1", false },
        { "fe80::1", false }, /* of the loopback interface */
        { "fe80::2", false },
};

static bool is_v6(const Place *p)
{
        return strchr(p->text, ':');
}

static bool is_link_local(const Place *p)
{
        return strncmp(p->text, "fe80", 4) == 0;
}

static Endpoint endpoint_of(const Place *p, int protocol)
{
        Endpoint e = { .protocol = protocol, .v6only = p->v6only, .port = 80, .last = 80 };
        char text[64];

        if (p->any)
                return e;
        snprintf(text, sizeof(text), "%s%s", p->text, is_link_local(p) ? "%1" : "");
        assert_int_equal(address_parse(text, &e.address), 0);
        return e;
}

/* Binds and returns the socket, or -errno. *port 0: any, and is filled in. */
static int bind_at(const Place *p, int protocol, uint16_t *port)
{
        int type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, v6only = p->v6only, one = 1;
        _cleanup_(closep) int fd = -1;
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_storage ss;
        socklen_t size = sizeof(ss);
        Address a;
        int r;

        fd = socket(is_v6(p) ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one)), 0);
        if (is_v6(p)) {
                assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)),
                                 0);
                assert_int_equal(inet_pton(AF_INET6, p->text, &in6.sin6_addr), 1);
                in6.sin6_port = htons(*port);
                in6.sin6_scope_id = is_link_local(p) ? 1 : 0;
                r = bind(fd, (struct sockaddr *) &in6, sizeof(in6));
        } else {
                assert_int_equal(inet_pton(AF_INET, p->text, &in.sin_addr), 1);
                in.sin_port = htons(*port);
                r = bind(fd, (struct sockaddr *) &in, sizeof(in));
        }
        if (r < 0)
                return -errno;
        assert_int_equal(getsockname(fd, (struct sockaddr *) &ss, &size), 0);
        assert_int_equal(address_from_sockaddr(&ss, &a, port), 0);
        return TAKE_FD(fd);
}

/* Two IPv6 sockets that speak IPv4 only, the wildcard first: Linux 6.1 lets the second in for TCP,
 * though not in the other order; 6.18 does not. To meet is the safe answer. */
static bool may_pass(const Place *first, const Place *second)
{
        return strcmp(first->text, "::ffff:0.0.0.0") == 0 &&
               strncmp(second->text, "::ffff:", 7) == 0;
}

static unsigned check_pair(const Place *first, const Place *second, int protocol)
{
        Endpoint a = endpoint_of(first, protocol), b = endpoint_of(second, protocol);
        _cleanup_(closep) int one = -1, two = -1;
        bool refused, meets;
        uint16_t port = 0;

        one = bind_at(first, protocol, &port);
        assert_true(one >= 0);
        two = bind_at(second, protocol, &port);
        assert_true(two >= 0 || two == -EADDRINUSE);
        refused = two < 0;

        meets = endpoint_meets_address(&b, &a.address, a.v6only);
        if (endpoint_overlaps(&a, &b) == meets &&
            (meets == refused || (meets && may_pass(first, second))))
                return 0;
        fprintf(stderr, "%s: %s%s beside %s%s: the kernel %s, we say they %s\n",
                protocol_to_string(protocol), second->text, second->v6only ? " v6only" : "",
                first->text, first->v6only ? " v6only" : "", refused ? "refuses" : "allows",
                meets ? "meet" : "do not meet");
        return 1;
}

static void check_all(int protocol)
{
        unsigned wrong = 0;

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                for (size_t k = 0; k < ELEMENTSOF(places); k++)
                        wrong += check_pair(&places[i], &places[k], protocol);
        assert_int_equal(wrong, 0);
}

static void test_tcp(void **state)
{
        check_all(IPPROTO_TCP);
}

static void test_udp(void **state)
{
        check_all(IPPROTO_UDP);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcp),
                cmocka_unit_test(test_udp),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
