/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/reserve/drift.h"

#define MSEC UINT64_C(1000)
#define SEC  UINT64_C(1000000)

static PortSet one_port(uint16_t port)
{
        PortSet s = {};

        portset_add(&s, port);
        return s;
}

static void test_first_at_once(void **state)
{
        PortSet missing = one_port(80);
        Drift d = {};

        /* Even right after boot. */
        assert_true(drift_notice(&d, 5) <= 5);
        assert_true(drift_tried(&d, &missing, 0, 6));
        assert_int_equal(d.count, 1);
        assert_false(d.missing);
}

/* Somebody who clobbers 10 ms after each repair: waits double up to 5 s, told once. */
static void test_fight(void **state)
{
        uint64_t now = 100 * SEC, at, waited, before = 0;
        PortSet missing = one_port(80);
        unsigned told = 0;
        Drift d = {};

        for (unsigned i = 0; i < 30; i++) {
                at = drift_notice(&d, now);
                waited = at > now ? at - now : 0;
                assert_true(waited <= DRIFT_BACKOFF_MAX_USEC);
                if (i > 0 && before < 4 * SEC)
                        assert_true(waited > before || i == 1);
                before = waited;
                now += waited;
                told += drift_tried(&d, &missing, 0, now);
                now += 10 * MSEC;
        }
        assert_true(before > 4 * SEC);
        assert_int_equal(told, 1);
        assert_int_equal(d.count, 30);

        /* After some peace it is put back at once again. */
        now += 15 * SEC;
        assert_true(drift_notice(&d, now) <= now);
}

/* One that comes each 10 s is no fight. */
static void test_regular(void **state)
{
        PortSet missing = one_port(80);
        uint64_t now = 100 * SEC;
        Drift d = {};

        for (unsigned i = 0; i < 20; i++) {
                assert_true(drift_notice(&d, now) <= now);
                assert_int_equal(drift_tried(&d, &missing, 0, now), i == 0);
                now += 10 * SEC;
        }
}

static void test_told_again(void **state)
{
        PortSet missing = one_port(80), other = one_port(81);
        uint64_t now = 100 * SEC;
        Drift d = {};

        (void) drift_notice(&d, now);
        assert_true(drift_tried(&d, &missing, 0, now));
        (void) drift_notice(&d, now += SEC);
        assert_false(drift_tried(&d, &missing, 0, now));
        (void) drift_notice(&d, now += SEC);
        assert_true(drift_tried(&d, &other, 0, now));
        (void) drift_notice(&d, now += DRIFT_QUIET_USEC);
        assert_false(drift_tried(&d, &other, 0, now));
        (void) drift_notice(&d, now += DRIFT_QUIET_USEC + 1);
        assert_true(drift_tried(&d, &other, 0, now));
}

/* A repair that fails again and again is one clobber. */
static void test_failing(void **state)
{
        PortSet missing = one_port(80);
        uint64_t now = 100 * SEC;
        unsigned told = 0;
        Drift d = {};

        for (unsigned i = 0; i < 20; i++) {
                (void) drift_notice(&d, now += 5 * SEC);
                told += drift_tried(&d, &missing, -EROFS, now);
                assert_true(d.missing);
        }
        assert_int_equal(told, 1);
        assert_int_equal(d.count, 1);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_at_once), cmocka_unit_test(test_fight),
                cmocka_unit_test(test_regular),       cmocka_unit_test(test_told_again),
                cmocka_unit_test(test_failing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
