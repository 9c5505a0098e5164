/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/portset.h"

#define PORTS PORTSET_PORTS

/* The naive model. */
typedef struct Model {
        bool has[PORTS];
} Model;

static void assert_same(const PortSet *s, const Model *m)
{
        unsigned count = 0;

        for (unsigned i = 0; i < PORTS; i++) {
                if (portset_has(s, (uint16_t) i) != m->has[i])
                        fail_msg("port %u: %d, model says %d", i, !m->has[i], m->has[i]);
                count += m->has[i];
        }
        assert_int_equal(portset_count(s), count);
        assert_int_equal(portset_empty(s), count == 0);
}

/* Mostly short runs, some long ones; now and then at the very ends. */
static void random_run(uint16_t *ret_first, uint16_t *ret_last)
{
        unsigned first = (unsigned) random() % PORTS, length;

        if (random() % 16 == 0)
                first = random() % 2 ? 0 : PORTS - 1 - (unsigned) random() % 3;
        length = (unsigned) random() % (random() % 8 == 0 ? 5000 : 5);
        *ret_first = (uint16_t) first;
        *ret_last = (uint16_t) MIN_OF(first + length, PORTS - 1);
}

static void random_set(PortSet *s, Model *m, unsigned runs)
{
        portset_clear(s);
        memset(m, 0, sizeof(*m));
        for (unsigned i = 0; i < runs; i++) {
                uint16_t first, last;

                random_run(&first, &last);
                if (random() % 2) {
                        portset_add_run(s, first, last);
                } else {
                        for (unsigned p = first; p <= last; p++)
                                portset_add(s, (uint16_t) p);
                }
                for (unsigned p = first; p <= last; p++)
                        m->has[p] = true;
                if (random() % 4 == 0) {
                        portset_remove(s, last);
                        m->has[last] = false;
                }
        }
}

/* Format, compare with what the model would print, parse again. */
static void assert_round_trip(const PortSet *s, const Model *m)
{
        _cleanup_(freep) char *text = malloc(PORTSET_TEXT_MAX), *want = malloc(1u << 20);
        size_t w = 0;
        PortSet back;
        int n;

        want[0] = 0;
        for (unsigned i = 0; i < PORTS; i++) {
                unsigned first = i;

                if (!m->has[i])
                        continue;
                while (i + 1 < PORTS && m->has[i + 1])
                        i++;
                w += (size_t) sprintf(want + w, first == i ? "%s%u" : "%s%u-%u", w ? "," : "",
                                      first, i);
        }

        n = portset_format(s, text, PORTSET_TEXT_MAX);
        assert_int_equal(n, w);
        assert_string_equal(text, want);
        portset_clear(&back);
        assert_int_equal(portset_parse(text, (size_t) n, &back), 0);
        assert_true(portset_equal(&back, s));

        /* As the kernel prints it: with a newline. */
        text[n] = '\n';
        portset_clear(&back);
        assert_int_equal(portset_parse(text, (size_t) n + 1, &back), 0);
        assert_true(portset_equal(&back, s));
}

static void assert_runs(const PortSet *s, const Model *m)
{
        Model seen = {};
        unsigned before = 0, runs = 0;

        PORTSET_FOREACH_RUN(s, first, last) {
                assert_true(first <= last);
                /* Ascending, and joined where they touch. */
                assert_true(runs == 0 || first > before + 1);
                for (unsigned p = first; p <= last; p++)
                        seen.has[p] = true;
                before = last;
                runs++;
        }
        assert_memory_equal(&seen, m, sizeof(seen));
}

static void test_property(void **state)
{
        _cleanup_(freep) Model *ma = malloc(sizeof(Model)), *mb = malloc(sizeof(Model)),
                               *m = malloc(sizeof(Model));
        PortSet a, b, s;

        srandom(20200229);
        for (unsigned i = 0; i < 300; i++) {
                bool subset = true;
                uint16_t first, last;
                unsigned count = 0;

                random_set(&a, ma, i);
                random_set(&b, mb, i / 3);
                assert_same(&a, ma);
                assert_runs(&a, ma);
                assert_round_trip(&a, ma);

                s = a;
                portset_unite(&s, &b);
                for (unsigned p = 0; p < PORTS; p++)
                        m->has[p] = ma->has[p] || mb->has[p];
                assert_same(&s, m);
                assert_true(portset_contains(&s, &a) && portset_contains(&s, &b));

                s = a;
                portset_subtract(&s, &b);
                for (unsigned p = 0; p < PORTS; p++)
                        m->has[p] = ma->has[p] && !mb->has[p];
                assert_same(&s, m);

                s = a;
                portset_intersect(&s, &b);
                for (unsigned p = 0; p < PORTS; p++)
                        m->has[p] = ma->has[p] && mb->has[p];
                assert_same(&s, m);

                for (unsigned p = 0; p < PORTS; p++)
                        subset = subset && (ma->has[p] || !mb->has[p]);
                assert_int_equal(portset_contains(&a, &b), subset);
                assert_int_equal(portset_equal(&a, &b), memcmp(ma, mb, sizeof(*ma)) == 0);

                random_run(&first, &last);
                for (unsigned p = first; p <= last; p++)
                        count += ma->has[p];
                assert_int_equal(portset_count_run(&a, first, last), count);
                assert_int_equal(portset_ephemeral_left(&a, first, last),
                                 last - first + 1u - count);
        }
}

static void test_extremes(void **state)
{
        _cleanup_(freep) Model *m = calloc(1, sizeof(Model));
        char tight[PORTSET_TEXT_MAX];
        PortSet s = {};

        assert_round_trip(&s, m);

        /* Every second one: the longest text there is. */
        for (unsigned p = 1; p < PORTS; p += 2) {
                portset_add(&s, (uint16_t) p);
                m->has[p] = true;
        }
        assert_int_equal(portset_count(&s), 32768);
        assert_same(&s, m);
        assert_runs(&s, m);
        assert_round_trip(&s, m);

        /* All but 0, and all. */
        portset_add_run(&s, 1, UINT16_MAX);
        memset(m->has + 1, true, PORTS - 1);
        assert_int_equal(portset_count(&s), 65535);
        assert_round_trip(&s, m);
        assert_int_equal(portset_format(&s, tight, sizeof(tight)), strlen("1-65535"));
        portset_add(&s, 0);
        m->has[0] = true;
        assert_runs(&s, m);
        assert_round_trip(&s, m);
        assert_int_equal(portset_format(&s, tight, 8), 7);
        assert_int_equal(portset_format(&s, tight, 7), -ENOSPC);
        assert_int_equal(portset_format(&s, tight, 0), -ENOSPC);
}

static void test_runs(void **state)
{
        unsigned first = 7, last = 7;
        PortSet s = {};

        portset_add_run(&s, 10, 9);
        assert_true(portset_empty(&s));
        assert_int_equal(portset_count_run(&s, 10, 9), 0);
        assert_int_equal(portset_ephemeral_left(&s, 10, 9), 0);

        portset_add_run(&s, 63, 64);
        portset_add_run(&s, 65535, 65535);
        assert_true(portset_next_run(&s, 0, &first, &last));
        assert_int_equal(first, 63);
        assert_int_equal(last, 64);
        assert_true(portset_next_run(&s, 64, &first, &last));
        assert_int_equal(first, 64);
        assert_true(portset_next_run(&s, 65, &first, &last));
        assert_int_equal(first, 65535);
        assert_int_equal(last, 65535);
        first = 7;
        assert_false(portset_next_run(&s, 65536, &first, &last));
        assert_int_equal(first, 7);

        /* Nested, and left early. */
        PORTSET_FOREACH_RUN(&s, a, b) {
                PORTSET_FOREACH_RUN(&s, c, d) {
                        if (c > b)
                                break;
                        first = a + d;
                }
        }
        assert_int_equal(first, 65535 + 65535);
}

static void test_parse(void **state)
{
        static const char *const bad[] = {
                " ",       "1 ",  " 1",   "1, 2",  ",",
                ",1",      "1,",  "1,,2", "65536", "99999999999999999999",
                "1-",      "-1",  "-",    "1--2",  "2-1",
                "1-65536", "080", "00",   "1-02",  "0x10",
                "1\n\n",   "\n1", "1\n2", "1;2",   "+1",
                "1-2-3",   "a",   "1,\n", "1\r\n", "1.5",
                "1\t",
        };
        static const struct {
                const char *text;
                unsigned count;
        } good[] = {
                { "", 0 },
                { "\n", 0 },
                { "0", 1 },
                { "0\n", 1 },
                { "0-0", 1 },
                { "65535", 1 },
                { "0-65535\n", 65536 },
                { "1,1,1", 1 },
                { "5-9,3", 6 },
                { "1-10,5-20\n", 20 },
        };
        PortSet s = {}, before;

        portset_add(&s, 4711);
        before = s;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                if (portset_parse(bad[i], strlen(bad[i]), &s) != -EINVAL)
                        fail_msg("\"%s\" was taken", bad[i]);
                assert_true(portset_equal(&s, &before));
        }
        /* A NUL is not an end. */
        assert_int_equal(portset_parse("1\0", 2, &s), -EINVAL);

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(portset_parse(good[i].text, strlen(good[i].text), &s), 0);
                if (portset_count(&s) != good[i].count)
                        fail_msg("\"%s\" gave %u ports", good[i].text, portset_count(&s));
        }
        /* Not past its end. */
        assert_int_equal(portset_parse("12345", 2, &s), 0);
        assert_true(portset_has(&s, 12));
        assert_int_equal(portset_count(&s), 1);
}

static void assert_summary(const PortSet *s, const char *expected)
{
        char buf[PORTSET_SUMMARY_MAX];

        assert_string_equal(portset_summary(s, buf), expected);
}

static void test_summary(void **state)
{
        char expected[PORTSET_SUMMARY_MAX + 32] = "", *at = expected;
        PortSet s = {};

        assert_summary(&s, "none");
        portset_add(&s, 0);
        portset_add_run(&s, 8080, 8081);
        portset_add(&s, 65535);
        assert_summary(&s, "0,8080-8081,65535");
        portset_clear(&s);
        portset_add_run(&s, 0, 65535);
        assert_summary(&s, "0-65535");

        /* What is shown is whole ports, from the first on. */
        portset_clear(&s);
        for (unsigned p = 10000; p < 10100; p += 2) {
                portset_add(&s, (uint16_t) p);
                if (p < 10044)
                        at += sprintf(at, "%s%u", p > 10000 ? "," : "", p);
        }
        sprintf(at, "… (50 ports)");
        assert_summary(&s, expected);

        portset_clear(&s);
        for (unsigned p = 0; p < 65536; p += 3)
                portset_add_run(&s, (uint16_t) p, (uint16_t) (p + (p < 65535)));
        assert_true(strlen(portset_summary(&s, expected)) < PORTSET_SUMMARY_MAX);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_property), cmocka_unit_test(test_extremes),
                cmocka_unit_test(test_runs),     cmocka_unit_test(test_parse),
                cmocka_unit_test(test_summary),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
