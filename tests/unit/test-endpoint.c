/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/endpoint.h"

/* "*", or an address; "6!" stands for the IPv6 wildcard that leaves IPv4 alone. */
static Endpoint make(const char *text)
{
        Endpoint e = { .protocol = IPPROTO_TCP, .port = 80, .last = 80 };

        if (strcmp(text, "6!") == 0) {
                e.v6only = true;
                text = "::";
        }
        if (strcmp(text, "*") != 0)
                assert_int_equal(address_parse(text, &e.address), 0);
        return e;
}

/* tests/kernel/kernel-bind-rules.c holds the same against the kernel. */
static void test_meets(void **state)
{
        static const char *const places[] = { "*",         "0.0.0.0",  "127.0.0.1", "127.0.0.2",
                                              "::",        "6!",       "::1",       "2001:db8::1",
                                              "fe80::1%1", "fe80::1%2" };
        static const char *const want[] = {
                /* *  0  .1 .2 :: 6! ::1 db8 %1 %2 */
                "yyyyyyyyyy", /* * */
                "yyyyy.....", /* 0.0.0.0 */
                "yyy.y.....", /* 127.0.0.1 */
                "yy.yy.....", /* 127.0.0.2 */
                "yyyyyyyyyy", /* :: */
                "y...yyyyyy", /* :: v6only */
                "y...yyy...", /* ::1 */
                "y...yy.y..", /* 2001:db8::1 */
                "y...yy..y.", /* fe80::1%1 */
                "y...yy...y", /* fe80::1%2 */
        };

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                for (size_t k = 0; k < ELEMENTSOF(places); k++) {
                        Endpoint a = make(places[i]), b = make(places[k]);

                        if (endpoint_meets_address(&a, &b.address, b.v6only) != (want[i][k] == 'y'))
                                fail_msg("%s and %s", places[i], places[k]);
                        assert_int_equal(endpoint_overlaps(&a, &b), want[i][k] == 'y');
                        assert_int_equal(endpoint_overlaps(&b, &a), want[i][k] == 'y');
                }

        /* Without a scope it may be meant for any link. */
        {
                Endpoint a = make("fe80::1"), b = make("fe80::1%1"), c = make("fe80::2%1");

                assert_true(endpoint_overlaps(&a, &b));
                assert_true(endpoint_overlaps(&b, &a));
                assert_false(endpoint_overlaps(&a, &c));
        }
}

static void test_overlaps(void **state)
{
        Endpoint a = make("*"), b = make("127.0.0.1");

        a.port = 100;
        a.last = 200;
        b.port = 200;
        b.last = 300;
        assert_true(endpoint_overlaps(&a, &b));
        assert_true(endpoint_overlaps(&b, &a));
        b.port = 201;
        assert_false(endpoint_overlaps(&a, &b));
        assert_false(endpoint_overlaps(&b, &a));
        b.port = 50;
        assert_true(endpoint_overlaps(&a, &b));
        b.protocol = IPPROTO_UDP;
        assert_false(endpoint_overlaps(&a, &b));

        assert_true(endpoint_has_port(&a, 100));
        assert_true(endpoint_has_port(&a, 200));
        assert_false(endpoint_has_port(&a, 99));
        assert_false(endpoint_has_port(&a, 201));
}

static void test_same_place(void **state)
{
        static const char *const places[] = {
                "*", "0.0.0.0", "127.0.0.1", "6!", "::1", "fe80::1%1"
        };
        Endpoint any = make("*"), dual = make("::"), a, b;

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                for (size_t k = 0; k < ELEMENTSOF(places); k++) {
                        a = make(places[i]);
                        b = make(places[k]);
                        b.port = b.last = 81;
                        assert_int_equal(endpoint_same_place(&a, &b), i == k);
                }
        assert_true(endpoint_same_place(&any, &dual));
        assert_true(endpoint_same_place(&dual, &any));

        /* The flag says nothing about a specific address. */
        a = b = make("::1");
        b.v6only = true;
        assert_true(endpoint_same_place(&a, &b));
        b.protocol = IPPROTO_UDP;
        assert_false(endpoint_same_place(&a, &b));
}

static void test_format(void **state)
{
        char buf[ENDPOINT_TEXT_MAX];
        Endpoint e = make("127.0.0.1");

        assert_string_equal(endpoint_format(&e, buf), "tcp 127.0.0.1:80");
        e = make("*");
        e.protocol = IPPROTO_UDP;
        e.last = 89;
        assert_string_equal(endpoint_format(&e, buf), "udp *:80-89");
        e = make("fe80::1%7");
        assert_string_equal(endpoint_format(&e, buf), "tcp [fe80::1%7]:80");

        /* The longest there can be fits. */
        assert_int_equal(
                address_parse("fe80:1111:2222:3333:4444:5555:6666:7777%4294967295", &e.address), 0);
        e.port = 64444;
        e.last = 65535;
        assert_string_equal(endpoint_format(&e, buf),
                            "tcp [fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:64444-65535");
}

static void test_protocol(void **state)
{
        assert_int_equal(protocol_from_string("tcp"), IPPROTO_TCP);
        assert_int_equal(protocol_from_string("udp"), IPPROTO_UDP);
        assert_int_equal(protocol_from_string("TCP"), -EINVAL);
        assert_int_equal(protocol_from_string(""), -EINVAL);
        assert_int_equal(protocol_from_string("sctp"), -EINVAL);
        assert_string_equal(protocol_to_string(IPPROTO_TCP), "tcp");
        assert_string_equal(protocol_to_string(IPPROTO_UDP), "udp");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_meets),      cmocka_unit_test(test_overlaps),
                cmocka_unit_test(test_same_place), cmocka_unit_test(test_format),
                cmocka_unit_test(test_protocol),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
