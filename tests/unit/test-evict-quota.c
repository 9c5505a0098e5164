/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many go in ten seconds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/evict/quota.h"

#define BEGIN UINT64_C(5) /* a machine that has just come up */

static unsigned pass(Quota *q, const char *name, unsigned tries, uint64_t now)
{
        unsigned n = 0;

        for (unsigned i = 0; i < tries; i++)
                n += quota_pass(q, name, now);
        return n;
}

static void test_of_a_reservation(void **state)
{
        Quota q = {};

        assert_int_equal(pass(&q, "a", 1000, BEGIN), QUOTA_PER_RESERVATION);
        assert_int_equal(pass(&q, "b", 1, BEGIN), 1);
        assert_int_equal(pass(&q, "a", 1, BEGIN + QUOTA_WINDOW_USEC - 1), 0);
        assert_int_equal(pass(&q, "a", 1000, BEGIN + QUOTA_WINDOW_USEC), QUOTA_PER_RESERVATION);
        quota_deinit(&q);
}

static void test_overall(void **state)
{
        unsigned n = 0;
        Quota q = {};

        for (unsigned i = 0; i < 50; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "r%u", i);
                n += pass(&q, name, 10, BEGIN + i);
        }
        assert_int_equal(n, QUOTA_OVERALL);
        assert_int_equal(pass(&q, "", 1, BEGIN + 60), 0);
        /* Whom the others left nothing has its own share still. */
        assert_int_equal(pass(&q, "r49", 1000, BEGIN + QUOTA_WINDOW_USEC), QUOTA_PER_RESERVATION);
        quota_deinit(&q);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_of_a_reservation),
                cmocka_unit_test(test_overall),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
