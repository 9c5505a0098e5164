/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which messages are written when many come. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "daemon/alert/limit.h"

#define INTERVAL 10

typedef struct Case {
        Limits *limits;
        Reservation a, b;
        Endpoint tcp, udp;
} Case;

static int setup(void **state)
{
        static Case c;

        c = (Case){
                .a = { .name = (char *) "a" },
                .b = { .name = (char *) "b" },
                .tcp = { .protocol = IPPROTO_TCP, .port = 1, .last = 65535 },
                .udp = { .protocol = IPPROTO_UDP, .port = 1, .last = 65535 },
        };
        *state = &c;
        return limits_new(&c.limits);
}

static int teardown(void **state)
{
        limits_free(((Case *) *state)->limits);
        return 0;
}

/* How many were suppressed before; -1: this one is. */
static int pass(Case *c, const Reservation *r, EventKind kind, const Endpoint *e, uint16_t port,
                uint64_t now)
{
        Event event = { .kind = kind, .reservation = r, .endpoint = e, .port = port };
        unsigned suppressed;

        return limits_pass(c->limits, &event, now, INTERVAL, &suppressed) ? (int) suppressed : -1;
}

static void test_same_port(void **state)
{
        Case *c = *state;

        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 100), 0);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 100), -1);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 109), -1);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 110), 2);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 120), 0);
}

/* Another port, protocol, kind or reservation has not been told. */
static void test_others(void **state)
{
        Case *c = *state;

        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 100), 0);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 81, 100), 0);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->udp, 80, 100), 0);
        assert_int_equal(pass(c, &c->a, EVENT_RESOLVED, &c->tcp, 80, 100), 0);
        assert_int_equal(pass(c, &c->b, EVENT_COLLISION, &c->tcp, 80, 100), 0);
        assert_int_equal(pass(c, NULL, EVENT_DRIFT, NULL, 0, 100), 0);
        assert_int_equal(pass(c, NULL, EVENT_DRIFT, NULL, 0, 105), -1);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 105), -1);
        /* What was not told is said with the next, whichever port that is about. */
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 82, 106), 1);
}

static void test_many_ports(void **state)
{
        Case *c = *state;

        for (uint16_t i = 0; i < LIMIT_PORTS; i++)
                assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, (uint16_t) (80 + i), 100),
                                 0);
        for (uint16_t i = 0; i < 1000; i++)
                assert_int_equal(
                        pass(c, &c->a, EVENT_COLLISION, &c->tcp, (uint16_t) (1000 + i), 101), -1);
        /* The interval begins with the first of them, so it ends however many come. */
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 5000, 110), 1000);
        assert_int_equal(pass(c, &c->a, EVENT_COLLISION, &c->tcp, 80, 110), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_same_port, setup, teardown),
                cmocka_unit_test_setup_teardown(test_others, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_ports, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
