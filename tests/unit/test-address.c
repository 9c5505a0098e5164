/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/address.h"

static void test_parse_and_format(void **state)
{
        static const struct {
                const char *text;
                int family;
                const char *formatted, *with_port;
        } good[] = {
                { "127.0.0.1", AF_INET, "127.0.0.1", "127.0.0.1:80" },
                { "0.0.0.0", AF_INET, "0.0.0.0", "0.0.0.0:80" },
                { "::", AF_INET6, "::", "[::]:80" },
                { "[::]", AF_INET6, "::", "[::]:80" },
                { "[2001:db8:0:0::1]", AF_INET6, "2001:db8::1", "[2001:db8::1]:80" },
                { "::ffff:10.1.2.3", AF_INET, "10.1.2.3", "10.1.2.3:80" },
                { "[::ffff:0.0.0.0]", AF_INET, "0.0.0.0", "0.0.0.0:80" },
                { "fe80::1%7", AF_INET6, "fe80::1%7", "[fe80::1%7]:80" },
                { "[fe80::1%7]", AF_INET6, "fe80::1%7", "[fe80::1%7]:80" },
                { "fe80::1%lo", AF_INET6, "fe80::1%1", "[fe80::1%1]:80" },
                { "fe80::1", AF_INET6, "fe80::1", "[fe80::1]:80" },
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                char text[ADDRESS_TEXT_MAX], port[ADDRESS_PORT_TEXT_MAX];
                Address a, back;

                assert_int_equal(address_parse(good[i].text, &a), 0);
                assert_int_equal(a.family, good[i].family);
                assert_string_equal(address_format(&a, text), good[i].formatted);
                assert_string_equal(address_format_port(&a, 80, port), good[i].with_port);
                assert_int_equal(address_parse(text, &back), 0);
                assert_true(address_equal(&a, &back));
        }
}

static void test_bad(void **state)
{
        static const char *const bad[] = {
                "",
                "*",
                "localhost",
                "127.0.0.1.",
                "127.0.0",
                "127.0.0.01",
                "256.0.0.1",
                "[127.0.0.1]",
                "[]",
                "[::1",
                "::1]",
                "[[::1]]",
                ":::",
                "::1%1",
                "fe80::1%",
                "fe80::1%0",
                "fe80::1%no-such-device",
                "fe80::1%-1",
                " ::1",
                "::1 ",
                "::ffff:1.2.3.4%1",
                "fe80::1%99999999999",
        };
        char longest[512];
        Address a = { .family = 4711 };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (address_parse(bad[i], &a) != -EINVAL)
                        fail_msg("\"%s\" was taken", bad[i]);
        memset(longest, '1', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = 0;
        assert_int_equal(address_parse(longest, &a), -EINVAL);
        assert_int_equal(a.family, 4711);
}

static void test_wildcard(void **state)
{
        Address any = { .family = AF_UNSPEC }, a;
        char text[ADDRESS_PORT_TEXT_MAX];

        assert_true(address_is_wildcard(&any));
        assert_string_equal(address_format(&any, text), "*");
        assert_string_equal(address_format_port(&any, 65535, text), "*:65535");
        assert_int_equal(address_parse("0.0.0.0", &a), 0);
        assert_true(address_is_wildcard(&a));
        assert_false(address_equal(&a, &any));
        assert_int_equal(address_parse("::", &a), 0);
        assert_true(address_is_wildcard(&a));
        assert_int_equal(address_parse("0.0.0.1", &a), 0);
        assert_false(address_is_wildcard(&a));
        assert_int_equal(address_parse("::1", &a), 0);
        assert_false(address_is_wildcard(&a));
}

static void test_equal(void **state)
{
        Address a, b;

        assert_int_equal(address_parse("fe80::1%7", &a), 0);
        assert_int_equal(address_parse("fe80::1%8", &b), 0);
        assert_false(address_equal(&a, &b));
        b.scope = 7;
        assert_true(address_equal(&a, &b));
        assert_int_equal(address_parse("127.0.0.1", &a), 0);
        assert_false(address_equal(&a, &b));
        assert_int_equal(address_parse("::ffff:127.0.0.1", &b), 0);
        assert_true(address_equal(&a, &b));
}

static void test_sockaddr(void **state)
{
        static const char *const texts[] = { "127.0.0.1", "::1", "fe80::1%7", "::", "0.0.0.0" };
        Address any = { .family = AF_UNSPEC }, a, back;
        struct sockaddr_storage ss;
        uint16_t port;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                assert_int_equal(address_parse(texts[i], &a), 0);
                assert_int_equal(address_to_sockaddr(&a, 8080, &ss),
                                 a.family == AF_INET ? sizeof(struct sockaddr_in)
                                                     : sizeof(struct sockaddr_in6));
                assert_int_equal(address_from_sockaddr(&ss, &back, &port), 0);
                assert_true(address_equal(&a, &back));
                assert_int_equal(port, 8080);
        }

        /* Every address is bound as [::]. */
        assert_int_equal(address_to_sockaddr(&any, 1, &ss), sizeof(struct sockaddr_in6));
        assert_int_equal(address_from_sockaddr(&ss, &back, &port), 0);
        assert_int_equal(back.family, AF_INET6);
        assert_true(address_is_wildcard(&back));

        ss.ss_family = AF_UNIX;
        assert_int_equal(address_from_sockaddr(&ss, &back, &port), -EAFNOSUPPORT);
}

static void test_bytes(void **state)
{
        struct in6_addr in6;
        Address a, b;

        assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6), 1);
        address_from_bytes(AF_INET6, &in6, 3, &a);
        assert_int_equal(address_parse("192.0.2.1", &b), 0);
        assert_true(address_equal(&a, &b));
        assert_int_equal(a.scope, 0);

        /* sock_diag's interface of a socket bound to a device is no scope. */
        assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &in6), 1);
        address_from_bytes(AF_INET6, &in6, 3, &a);
        assert_int_equal(a.scope, 0);
        assert_int_equal(inet_pton(AF_INET6, "fe80::1", &in6), 1);
        address_from_bytes(AF_INET6, &in6, 3, &a);
        assert_int_equal(a.scope, 3);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_and_format), cmocka_unit_test(test_bad),
                cmocka_unit_test(test_wildcard),         cmocka_unit_test(test_equal),
                cmocka_unit_test(test_sockaddr),         cmocka_unit_test(test_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
