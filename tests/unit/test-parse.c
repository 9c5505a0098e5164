/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/parse.h"

static void test_bool(void **state)
{
        bool b = false;

        assert_int_equal(parse_bool("yes", &b), 0);
        assert_true(b);
        assert_int_equal(parse_bool("OFF", &b), 0);
        assert_false(b);
        assert_int_equal(parse_bool("", &b), -EINVAL);
        assert_int_equal(parse_bool("yes ", &b), -EINVAL);
}

static void test_uint(void **state)
{
        static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "01", "1x", "0x10" };
        uint64_t v = 7;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(parse_uint(bad[i], 0, UINT64_MAX, &v), -EINVAL);
        assert_int_equal(parse_uint("65536", 0, 65535, &v), -ERANGE);
        assert_int_equal(parse_uint("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
        assert_int_equal(v, 7);
        assert_int_equal(parse_uint("0", 0, 1, &v), 0);
        assert_int_equal(v, 0);
        assert_int_equal(parse_uint("18446744073709551615", 0, UINT64_MAX, &v), 0);
        assert_true(v == UINT64_MAX);
}

static void test_timespan(void **state)
{
        static const char *const bad[] = { "", "  ", "s", "1 fortnight", "-1s", "1.5s", "1s x" };
        uint64_t v = 7;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(parse_timespan(bad[i], &v), -EINVAL);
        assert_int_equal(parse_timespan("18446744073709551615s", &v), -ERANGE);
        assert_int_equal(v, 7);
        assert_int_equal(parse_timespan("2", &v), 0);
        assert_int_equal(v, 2000000);
        assert_int_equal(parse_timespan("500ms", &v), 0);
        assert_int_equal(v, 500000);
        assert_int_equal(parse_timespan("1h 2min 3s", &v), 0);
        assert_true(v == UINT64_C(3723000000));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bool),
                cmocka_unit_test(test_uint),
                cmocka_unit_test(test_timespan),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
