/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pace of looks and sweeps, by a clock of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/watch/pace.h"

typedef struct Spent {
        uint64_t elapsed, looks, sweeps, longest_sweep;
        unsigned n_looks, n_sweeps;
} Spent;

/* As watch.c goes by it: a tick that is a look or a sweep. On a host as busy as ours each takes
 * longer than it costs. */
static Spent simulate(Pace *p, uint64_t now, uint64_t duration, uint64_t look_max,
                      uint64_t sweep_max, uint64_t wanted_each)
{
        uint64_t begin = now, wanted = now + wanted_each;
        Spent s = {};

        while (now - begin < duration) {
                bool sweep;
                uint64_t cost;

                if (wanted_each > 0 && now >= wanted) {
                        pace_want_sweep(p, now);
                        wanted = now + wanted_each;
                }
                if (now < p->tick) {
                        now = wanted_each > 0 ? MIN_OF(p->tick, wanted) : p->tick;
                        continue;
                }
                sweep = pace_sweep_is_due(p, now);
                cost = 1 + (uint64_t) rand() % (sweep ? sweep_max : look_max);
                now += cost + (uint64_t) rand() % (cost + 1);
                if (sweep) {
                        pace_swept(p, now, cost);
                        assert_true(p->sweep >= now + p->interval);
                        s.sweeps += cost;
                        s.longest_sweep = MAX_OF(s.longest_sweep, cost);
                        s.n_sweeps++;
                } else {
                        pace_looked(p, now, cost);
                        assert_true(p->tick >= now + p->interval);
                        s.looks += cost;
                        s.n_looks++;
                }
        }
        s.elapsed = now - begin;
        return s;
}

/* Whatever sweeps cost, they stay within the budget; the one that is begun when the time is up may
 * be too much. */
static void test_budget(void **state)
{
        static const unsigned budgets[] = { 1, 2, 10, 50, 100 };

        srand(1);
        for (unsigned round = 0; round < 200; round++) {
                unsigned budget = budgets[round % ELEMENTSOF(budgets)];
                uint64_t sweep_max = UINT64_C(1) << (8 + rand() % 14);
                Pace p = {};
                Spent s;

                pace_set(&p, 50 * USEC_PER_MSEC + (uint64_t) rand() % USEC_PER_SEC, budget);
                s = simulate(&p, (uint64_t) rand(), 600 * USEC_PER_SEC, 1000, sweep_max, 0);
                assert_true(s.n_sweeps > 0);
                assert_true((s.sweeps - s.longest_sweep) * 100 <= s.elapsed * budget);
        }
}

/* The interval is the cost over the budget, and no shorter than ScanIntervalSec=. */
static void test_interval_follows_cost(void **state)
{
        Pace p = {};

        pace_set(&p, USEC_PER_SEC, 1);
        assert_true(pace_sweep_is_due(&p, 5));
        pace_swept(&p, 5, 200 * USEC_PER_MSEC);
        assert_int_equal(p.sweep_interval, 20 * USEC_PER_SEC);
        assert_false(pace_sweep_is_due(&p, 20 * USEC_PER_SEC));
        assert_true(pace_sweep_is_due(&p, 20 * USEC_PER_SEC + 5));
        pace_swept(&p, 5, 20);
        assert_int_equal(p.sweep_interval, USEC_PER_SEC);
        pace_set(&p, USEC_PER_SEC, 10);
        pace_swept(&p, 5, 200 * USEC_PER_MSEC);
        assert_int_equal(p.sweep_interval, 2 * USEC_PER_SEC);
        /* A new configuration is looked at anew. */
        pace_set(&p, USEC_PER_SEC, 10);
        assert_true(pace_sweep_is_due(&p, 6));
}

/* Between sweeps there are looks, each ScanIntervalSec=. */
static void test_looks_go_on(void **state)
{
        Pace p = {};
        Spent s;

        pace_set(&p, USEC_PER_SEC, 1);
        s = simulate(&p, 7, 1000 * USEC_PER_SEC, 10, 100 * USEC_PER_MSEC, 0);
        assert_true(s.n_looks + s.n_sweeps >= 900);
        assert_true(s.n_looks > 2 * s.n_sweeps);
}

/* A host on which even looks are dear. */
static void test_dear_looks(void **state)
{
        Pace p = {};
        Spent s;

        pace_set(&p, 50 * USEC_PER_MSEC, 1);
        s = simulate(&p, 7, 600 * USEC_PER_SEC, 100 * USEC_PER_MSEC, 1000, 0);
        assert_true(s.looks * 10 <= s.elapsed + 10 * 100 * USEC_PER_MSEC);
}

/* One that is wanted comes at once, and with a writer that causes one each 100 ms all together
 * stay at a tenth. */
static void test_wanted(void **state)
{
        Pace p = {};
        Spent s;

        pace_set(&p, 3600 * USEC_PER_SEC, 1);
        pace_swept(&p, USEC_PER_SEC, 2 * USEC_PER_MSEC);
        pace_want_sweep(&p, 100 * USEC_PER_SEC);
        assert_int_equal(p.tick, 100 * USEC_PER_SEC);
        assert_true(pace_sweep_is_due(&p, p.tick));
        pace_swept(&p, 100 * USEC_PER_SEC, USEC_PER_SEC);
        pace_want_sweep(&p, 101 * USEC_PER_SEC);
        assert_int_equal(p.tick, 110 * USEC_PER_SEC);
        /* It does not put off what is due anyway. */
        p.tick = p.sweep = 105 * USEC_PER_SEC;
        pace_want_sweep(&p, 102 * USEC_PER_SEC);
        assert_int_equal(p.tick, 105 * USEC_PER_SEC);

        pace_set(&p, USEC_PER_SEC, 1);
        s = simulate(&p, 200 * USEC_PER_SEC, 600 * USEC_PER_SEC, 100, 400 * USEC_PER_MSEC,
                     100 * USEC_PER_MSEC);
        assert_true((s.sweeps - s.longest_sweep) * 10 <= s.elapsed);
        assert_true(s.sweeps * 50 > s.elapsed); /* it was wanted all the time */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_budget),      cmocka_unit_test(test_interval_follows_cost),
                cmocka_unit_test(test_looks_go_on), cmocka_unit_test(test_dear_looks),
                cmocka_unit_test(test_wanted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
