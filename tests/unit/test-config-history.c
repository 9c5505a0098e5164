/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which reservation of the configuration before is meant by a new name. */

#include "config-text-fixture.h"

/* The former name of now's reservation, or "". */
static void expect_former(const char *before, const char *now, const char *name, const char *former)
{
        _cleanup_(config_freep) Config *old = fixture_parse(before), *c = fixture_parse(now);
        const Reservation *r;

        assert_int_equal(old->n_errors + c->n_errors, 0);
        assert_int_equal(config_note_renamed(c, old), 0);
        r = config_find(c, name);
        assert_non_null(r);
        assert_string_equal(r->former_name ? r->former_name : "", former);
        if (*former)
                assert_ptr_equal(config_find_former(c, former), r);
}

static void test_renamed(void **state)
{
        const char *old = "[old]\nPorts=80/tcp\nPorts=81/tcp\nUnit=u.service\n";

        expect_former(old, "[new]\nPorts=80/tcp\nPorts=81/tcp\nUnit=u.service\n", "new", "old");
        /* One endpoint is enough, and where it stands does not matter. */
        expect_former(old, "[new]\nPorts=90/tcp\nPorts=81/tcp\nUnit=u.service\n", "new", "old");
        expect_former(old, "[old]\nPorts=80/tcp\nUnit=u.service\n", "old", "");
}

static void test_another_one(void **state)
{
        const char *old = "[old]\nPorts=80/tcp\nUnit=u.service\n";

        expect_former(old, "[new]\nPorts=80/tcp\nUnit=v.service\n", "new", "");
        expect_former(old, "[new]\nPorts=80/udp\nUnit=u.service\n", "new", "");
        expect_former(old, "[new]\nListenStream=127.0.0.1:80\nUnit=u.service\n", "new", "");
        /* The old one is still there. */
        expect_former(old, "[new]\nPorts=80/tcp\nUnit=u.service\n[old]\nPorts=81/tcp\n", "new", "");
}

/* Of two that came out of one, the first has its name. */
static void test_split(void **state)
{
        const char *old = "[old]\nPorts=80/tcp\nPorts=81/tcp\nUnit=u.service\n";
        const char *now = "[a]\nPorts=80/tcp\nUnit=u.service\n[b]\nPorts=81/tcp\nUnit=u.service\n";

        expect_former(old, now, "a", "old");
        expect_former(old, now, "b", "");
}

/* What PID 1 has loaded may say a name for longer than one reload; not once it is another's. */
static void test_kept(void **state)
{
#define B "[b]\nPorts=80/tcp\nUnit=u.service\n"
        _cleanup_(config_freep) Config *first =
                fixture_parse("[a]\nPorts=80/tcp\nUnit=u.service\n");
        _cleanup_(config_freep) Config *second = fixture_parse(B), *third = fixture_parse(B);
        _cleanup_(config_freep) Config *fourth = fixture_parse(B "[a]\nPorts=81/tcp\n");

        assert_int_equal(config_note_renamed(second, first), 0);
        assert_int_equal(config_note_renamed(third, second), 0);
        assert_string_equal(config_find(third, "b")->former_name, "a");
        assert_int_equal(config_note_renamed(fourth, third), 0);
        assert_null(config_find(fourth, "b")->former_name);
        assert_null(config_find_former(fourth, "a"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_renamed),
                cmocka_unit_test(test_another_one),
                cmocka_unit_test(test_split),
                cmocka_unit_test(test_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
