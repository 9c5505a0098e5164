/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many go in ten seconds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/evict/limit.h"

#define BEGIN UINT64_C(5) /* a machine that has just come up */

static unsigned pass(Limit *l, const char *name, unsigned tries, uint64_t now)
{
        unsigned n = 0;

        for (unsigned i = 0; i < tries; i++)
                n += limit_pass(l, name, now);
        return n;
}

static void test_of_a_reservation(void **state)
{
        Limit l = {};

        assert_int_equal(pass(&l, "a", 1000, BEGIN), LIMIT_PER_RESERVATION);
        assert_int_equal(pass(&l, "b", 1, BEGIN), 1);
        assert_int_equal(pass(&l, "a", 1, BEGIN + LIMIT_WINDOW_USEC - 1), 0);
        assert_int_equal(pass(&l, "a", 1000, BEGIN + LIMIT_WINDOW_USEC), LIMIT_PER_RESERVATION);
        limit_deinit(&l);
}

static void test_overall(void **state)
{
        unsigned n = 0;
        Limit l = {};

        for (unsigned i = 0; i < 50; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "r%u", i);
                n += pass(&l, name, 10, BEGIN + i);
        }
        assert_int_equal(n, LIMIT_OVERALL);
        assert_int_equal(pass(&l, "", 1, BEGIN + 60), 0);
        /* Whom the others left nothing has its own share still. */
        assert_int_equal(pass(&l, "r49", 1000, BEGIN + LIMIT_WINDOW_USEC), LIMIT_PER_RESERVATION);
        limit_deinit(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_of_a_reservation),
                cmocka_unit_test(test_overall),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
