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

static void test_first(void **state)
{
        PortSet missing = one_port(80);
        Drift d = {};

        /* Even right after boot. */
        assert_int_equal(drift_seen(&d, &missing, 1, 0, 5), 1);
        assert_int_equal(d.count, 1);
        assert_false(d.missing);
}

/* Each 100 ms for a minute. */
static void test_fight(void **state)
{
        uint64_t now = 100 * SEC;
        PortSet missing = one_port(80);
        unsigned told = 0;
        Drift d = {};

        for (unsigned i = 0; i < 600; i++)
                told += drift_seen(&d, &missing, 1, 0, now += 100 * MSEC) > 0;
        assert_int_equal(told, 1);
        assert_int_equal(d.count, 600);
        /* The next series. */
        assert_int_equal(drift_seen(&d, &missing, 1, 0, now + DRIFT_QUIET_USEC + 1), 600);
        assert_int_equal(d.count, 601);
}

/* Who never stops is told of now and then, with how often it was. */
static void test_reminder(void **state)
{
        uint64_t now = 100 * SEC;
        PortSet missing = one_port(80);
        Drift d = {};

        assert_int_equal(drift_seen(&d, &missing, 1, 0, now), 1);
        for (unsigned i = 1; i < DRIFT_REMIND_USEC / SEC; i++)
                assert_int_equal(drift_seen(&d, &missing, 1, 0, now += SEC), 0);
        assert_int_equal(drift_seen(&d, &missing, 1, 0, now += SEC), DRIFT_REMIND_USEC / SEC);
        assert_int_equal(drift_seen(&d, &missing, 1, 0, now += SEC), 0);
}

/* Two who overwrite it in turns: what each takes out is told, once. */
static void test_other_ports(void **state)
{
        PortSet one = one_port(80), other = one_port(81), both = one;
        uint64_t now = 100 * SEC;
        Drift d = {};

        portset_unite(&both, &other);
        assert_int_equal(drift_seen(&d, &one, 1, 0, now), 1);
        assert_int_equal(drift_seen(&d, &other, 1, 0, now += SEC), 0);
        assert_int_equal(drift_seen(&d, &other, 1, 0, now += DRIFT_MORE_USEC), 2);
        assert_int_equal(drift_seen(&d, &one, 1, 0, now += DRIFT_MORE_USEC), 0);
        assert_int_equal(drift_seen(&d, &both, 1, 0, now += DRIFT_MORE_USEC), 0);
        /* A new series begins from nothing. */
        assert_int_equal(drift_seen(&d, &one, 1, 0, now += DRIFT_QUIET_USEC + 1), 3);
        assert_int_equal(drift_seen(&d, &other, 1, 0, now += DRIFT_MORE_USEC), 1);
}

/* A repair that fails again and again is one clobber. */
static void test_failing(void **state)
{
        PortSet missing = one_port(80);
        uint64_t now = 100 * SEC;
        unsigned told = 0;
        Drift d = {};

        for (unsigned i = 0; i < 20; i++) {
                told += drift_seen(&d, &missing, 1, -EROFS, now += 5 * SEC);
                assert_true(d.missing);
        }
        assert_int_equal(told, 1);
        assert_int_equal(d.count, 1);
        assert_int_equal(drift_seen(&d, &missing, 1, 0, now += SEC), 0);
        assert_false(d.missing);
        assert_int_equal(d.count, 1);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first),    cmocka_unit_test(test_fight),
                cmocka_unit_test(test_reminder), cmocka_unit_test(test_other_ports),
                cmocka_unit_test(test_failing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
