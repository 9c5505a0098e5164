/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a .socket unit that failed is started again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/units/revive.h"

#define FAILED "unit a.socket failed - -\nstream 80\nend\n"
#define ACTIVE "unit a.socket active - -\nstream 80\nend\n"

typedef struct Ward {
        sd_event *event;
        Revive *revive;
        SocketUnits *list;
        bool taken; /* somebody is on the port */
        unsigned starts, wakes;
} Ward;

static bool on_asked(const SocketUnit *u, void *userdata)
{
        const Ward *w = userdata;

        return w->taken;
}

static void on_start(const SocketUnit *u, void *userdata)
{
        Ward *w = userdata;

        assert_string_equal(u->name, "a.socket");
        w->starts++;
}

static void on_wake(void *userdata)
{
        Ward *w = userdata;

        w->wakes++;
        revive_check(w->revive, w->list);
}

static const ReviveOps ops = { .blocked = on_asked, .start = on_start, .wake = on_wake };

static int setup(void **state)
{
        static Ward ward;

        ward = (Ward){};
        assert_int_equal(sd_event_new(&ward.event), 0);
        assert_int_equal(revive_new(ward.event, &ops, &ward, &ward.revive), 0);
        *state = &ward;
        return 0;
}

static int teardown(void **state)
{
        Ward *w = *state;

        revive_free(w->revive);
        socket_units_free(w->list);
        sd_event_unref(w->event);
        return 0;
}

static void check(Ward *w, const char *text)
{
        socket_units_free(w->list);
        assert_int_equal(socket_units_parse(text, &w->list), 0);
        revive_check(w->revive, w->list);
}

static void test_started_once_it_is_free(void **state)
{
        Ward *w = *state;

        check(w, ACTIVE);
        assert_int_equal(w->starts, 0);
        w->taken = true;
        check(w, FAILED);
        assert_int_equal(w->starts, 0);
        w->taken = false;
        revive_freed(w->revive, &w->list->units[0]);
        assert_int_equal(w->starts, 0); /* from the loop only */
        assert_true(sd_event_run(w->event, 10000000) > 0);
        assert_int_equal(w->starts, 1);
        check(w, ACTIVE);
        assert_int_equal(w->starts, 1);
}

/* However often it fails and is freed: the pause is kept. */
static void test_pause(void **state)
{
        Ward *w = *state;

        check(w, FAILED);
        assert_int_equal(w->starts, 1);
        for (unsigned i = 0; i < 100; i++) {
                w->taken = i % 2 == 0;
                check(w, i % 3 == 0 ? ACTIVE : FAILED);
                revive_freed(w->revive, &w->list->units[0]);
                assert_true(sd_event_run(w->event, 10000000) > 0);
        }
        assert_in_range(w->starts, 1, 2);
}

/* One that fails with its port free is given up after three starts: the pauses are one and two
 * seconds. */
static void test_another_reason(void **state)
{
        Ward *w = *state;

        check(w, FAILED);
        for (unsigned i = 0; i < 3; i++)
                assert_true(sd_event_run(w->event, 10000000) > 0);
        assert_int_equal(w->wakes, 3);
        assert_int_equal(w->starts, 3);
        assert_int_equal(sd_event_run(w->event, 100000), 0); /* nothing is left to wake for */
        /* Until somebody was on its port. */
        revive_freed(w->revive, &w->list->units[0]);
        assert_true(sd_event_run(w->event, 10000000) > 0);
        assert_int_equal(w->starts, 4);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_started_once_it_is_free, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
                cmocka_unit_test_setup_teardown(test_another_reason, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
