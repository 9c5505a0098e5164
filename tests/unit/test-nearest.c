/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/nearest.h"

/* The definition, in exponential time. */
static unsigned naive_distance(const char *a, const char *b)
{
        unsigned skip, change;

        if (!*a || !*b)
                return (unsigned) (strlen(a) + strlen(b));
        change = naive_distance(a + 1, b + 1) + (*a != *b);
        skip = MIN_OF(naive_distance(a + 1, b), naive_distance(a, b + 1)) + 1;
        return MIN_OF(change, skip);
}

static void random_word(char buf[static 8])
{
        unsigned n = 1 + (unsigned) random() % 6;

        for (unsigned i = 0; i < n; i++)
                buf[i] = (char) ('a' + random() % 3);
        buf[n] = 0;
}

static void test_distance(void **state)
{
        srandom(1);
        for (unsigned i = 0; i < 3000; i++) {
                unsigned distance = 100, want;
                const char *best = NULL;
                char a[8], b[8];

                random_word(a);
                random_word(b);
                want = naive_distance(a, b);
                nearest(a, b, &best, &distance);
                assert_true((best == b) == (want * 2 <= strlen(b)));
                assert_int_equal(distance, best ? want : 100);
        }
}

static void test_best(void **state)
{
        static const char *const words[] = { "Ports", "Port", "Unit", "ListenStream" };
        static const struct {
                const char *word, *best;
        } rows[] = {
                { "Prots", "Ports" },
                { "ports", "Ports" },
                { "Porst", "Port" },
                { "Por", "Port" },
                { "Uint", "Unit" },
                { "LisetnStream", "ListenStream" },
                { "ListenDatagram", NULL },
                { "x", NULL },
                { "", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *best = NULL;
                unsigned distance = 3;

                for (size_t k = 0; k < ELEMENTSOF(words); k++)
                        nearest(rows[i].word, words[k], &best, &distance);
                if (rows[i].best)
                        assert_string_equal(best, rows[i].best);
                else
                        assert_null(best);
        }
}

static void test_long(void **state)
{
        char word[4096];
        const char *best = NULL;
        unsigned distance = 3;

        memset(word, 'a', sizeof(word) - 1);
        word[sizeof(word) - 1] = 0;
        nearest(word, "Ports", &best, &distance);
        nearest("Ports", word, &best, &distance);
        nearest(word, word, &best, &distance);
        assert_null(best);
        word[63] = 0; /* the longest that is compared */
        nearest(word, word, &best, &distance);
        assert_ptr_equal(best, word);
        assert_int_equal(distance, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_distance),
                cmocka_unit_test(test_best),
                cmocka_unit_test(test_long),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
