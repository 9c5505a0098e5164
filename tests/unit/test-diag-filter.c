/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Filter programs against a model of the kernel's filter machine (net/ipv4/inet_diag.c: its audit
 * and its run), over sets of every sort. What passes must be the set, or more where the filter says
 * that it is coarse. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/inet_diag.h>

#include "kernel/diag-filter.h"

typedef struct inet_diag_bc_op Op;

/* Marks, for each op, that the "yes" walk from the start meets it; a jump may go nowhere else.
 * Returns how many ops the kernel's audit visits: for each jump it walks from the start. */
static size_t audit(const Op *code, size_t size)
{
        size_t n = size / sizeof(Op), met = 0, visits = 0;
        size_t *visited = calloc(n + 1, sizeof(size_t)); /* as the how manieth, from 1 */

        assert_non_null(visited);
        assert_true(size > 0 && size % sizeof(Op) == 0);
        /* nla_len is 16 bits, with its header of 4. */
        assert_true(size + 4 <= UINT16_MAX);
        for (size_t i = 0; i < n; i += code[i].yes / sizeof(Op)) {
                visited[i] = ++met;
                assert_true(code[i].yes >= sizeof(Op) && code[i].yes % sizeof(Op) == 0);
                assert_true(i + code[i].yes / sizeof(Op) <= n);
        }
        visited[n] = ++met;
        for (size_t i = 0; i < n; i += code[i].yes / sizeof(Op)) {
                size_t smallest = sizeof(Op), rest = size - i * sizeof(Op);

                switch (code[i].code) {
                case INET_DIAG_BC_S_GE:
                case INET_DIAG_BC_S_LE:
                        smallest += sizeof(Op);
                        assert_true(rest >= smallest);
                        break;
                case INET_DIAG_BC_AUTO:
                case INET_DIAG_BC_JMP:
                        break;
                default:
                        fail_msg("op %u", code[i].code);
                }
                assert_true(code[i].yes >= smallest);
                assert_true(code[i].no >= smallest && code[i].no % sizeof(Op) == 0);
                assert_true(code[i].no <= rest + 4);
                if (code[i].no < rest) {
                        assert_true(visited[i + code[i].no / sizeof(Op)] > 0);
                        visits += visited[i + code[i].no / sizeof(Op)];
                }
                visits++;
        }
        free(visited);
        return visits;
}

static bool run(const Op *code, size_t size, unsigned port, bool automatic)
{
        long rest = (long) size;

        while (rest > 0) {
                bool yes = true;

                switch (code->code) {
                case INET_DIAG_BC_S_GE:
                        yes = port >= code[1].no;
                        break;
                case INET_DIAG_BC_S_LE:
                        yes = port <= code[1].no;
                        break;
                case INET_DIAG_BC_AUTO:
                        yes = automatic;
                        break;
                case INET_DIAG_BC_JMP:
                        yes = false;
                        break;
                }
                rest -= yes ? code->yes : code->no;
                code += (yes ? code->yes : code->no) / sizeof(Op);
        }
        return rest == 0;
}

/* Every port, with and without the kernel's choice. Returns how many too many pass. */
static unsigned check_filter(const PortSet *ports, bool automatic, size_t max_runs, bool *ret_exact)
{
        _cleanup_(diag_filter_freep) DiagFilter *f = NULL;
        unsigned extra = 0;
        const void *code;
        size_t size;

        assert_int_equal(diag_filter_new_coarse(ports, automatic, max_runs, &f), 0);
        code = diag_filter_code(f, &size);
        audit(code, size);
        for (unsigned port = 0; port < PORTSET_PORTS; port++) {
                bool passes = run(code, size, port, true);

                if (portset_has(ports, (uint16_t) port))
                        assert_true(passes);
                else
                        extra += passes;
                assert_true(run(code, size, port, false) == (!automatic && passes));
        }
        assert_true(diag_filter_exact(f) == (extra == 0));
        *ret_exact = extra == 0;
        return extra;
}

static unsigned count_runs(const PortSet *s)
{
        unsigned n = 0;

        PORTSET_FOREACH_RUN(s, first, last)
                n++;
        return n;
}

static void random_set(PortSet *s, unsigned n_runs, unsigned longest)
{
        portset_clear(s);
        for (unsigned i = 0; i < n_runs; i++) {
                unsigned first = (unsigned) rand() % PORTSET_PORTS;
                unsigned last = first + (unsigned) rand() % longest;

                portset_add_run(s, (uint16_t) first, (uint16_t) MIN_OF(last, PORTSET_PORTS - 1));
        }
}

static void test_edges(void **state)
{
        PortSet s = {};
        bool exact;

        assert_int_equal(check_filter(&s, false, DIAG_FILTER_RUNS_MAX, &exact), 0);
        assert_int_equal(check_filter(&s, true, DIAG_FILTER_RUNS_MAX, &exact), 0);
        portset_add(&s, 0);
        assert_int_equal(check_filter(&s, false, DIAG_FILTER_RUNS_MAX, &exact), 0);
        portset_add(&s, 65535);
        assert_int_equal(check_filter(&s, true, DIAG_FILTER_RUNS_MAX, &exact), 0);
        portset_remove(&s, 0);
        assert_int_equal(check_filter(&s, false, DIAG_FILTER_RUNS_MAX, &exact), 0);
        portset_add_run(&s, 0, 65535);
        assert_int_equal(check_filter(&s, false, DIAG_FILTER_RUNS_MAX, &exact), 0);
        portset_remove(&s, 1000);
        assert_int_equal(check_filter(&s, false, DIAG_FILTER_RUNS_MAX, &exact), 0);
}

static void test_small_sets(void **state)
{
        /* Every shape of a small tree. */
        for (unsigned n = 1; n <= 40; n++) {
                PortSet s = {};
                bool exact;

                for (unsigned i = 0; i < n; i++)
                        portset_add_run(&s, (uint16_t) (100 + 10 * i), (uint16_t) (103 + 10 * i));
                assert_int_equal(check_filter(&s, n % 2, DIAG_FILTER_RUNS_MAX, &exact), 0);
        }
}

static void test_random_sets(void **state)
{
        static const unsigned runs[] = { 1, 2, 3, 7, 50, 300, 1500, 3000 };

        srand(1);
        for (unsigned round = 0; round < 64; round++) {
                PortSet s;
                bool exact;

                random_set(&s, runs[round % ELEMENTSOF(runs)], 1 + (unsigned) rand() % 40);
                check_filter(&s, round % 2, DIAG_FILTER_RUNS_MAX, &exact);
                assert_true(exact);
        }
}

static void test_largest_exact_set(void **state)
{
        PortSet s = {};
        bool exact;

        for (unsigned i = 0; i < DIAG_FILTER_RUNS_MAX; i++)
                portset_add(&s, (uint16_t) (1 + 19 * i));
        assert_int_equal(check_filter(&s, true, DIAG_FILTER_RUNS_MAX, &exact), 0);
        assert_true(exact);
        portset_add(&s, 65535);
        /* One run too many: joined over the narrowest gap, which are 18 ports. */
        assert_int_equal(check_filter(&s, true, DIAG_FILTER_RUNS_MAX, &exact), 18);
        assert_false(exact);
}

/* The audit of a thousand scattered ports takes about a millisecond: at two or three nanoseconds a
 * visit, so many of them. */
static void test_audit_is_affordable(void **state)
{
        _cleanup_(diag_filter_freep) DiagFilter *f = NULL;
        const void *code;
        PortSet s = {};
        size_t size;

        for (unsigned i = 0; i < 1000; i++)
                portset_add(&s, (uint16_t) (1024 + 61 * i));
        assert_int_equal(diag_filter_new(&s, false, &f), 0);
        code = diag_filter_code(f, &size);
        assert_true(audit(code, size) < 800000);
}

static void test_odd_ports(void **state)
{
        PortSet s = {};
        bool exact;
        unsigned extra;

        for (unsigned port = 1; port < PORTSET_PORTS; port += 2)
                portset_add(&s, (uint16_t) port);
        extra = check_filter(&s, false, DIAG_FILTER_RUNS_MAX, &exact);
        assert_int_equal(extra, 32768 - DIAG_FILTER_RUNS_MAX);
        check_filter(&s, true, 1, &exact);
}

/* The fewest ports too many: as many as the narrowest gaps that had to be closed are wide. */
static void test_coarsening_is_least(void **state)
{
        srand(2);
        for (unsigned round = 0; round < 40; round++) {
                unsigned gaps[PORTSET_PORTS] = {}, n_gaps = 0, least = 0, runs, close;
                size_t max = 1 + (size_t) rand() % 60;
                int previous = -1;
                PortSet s;
                bool exact;

                random_set(&s, 20 + (unsigned) rand() % 200, 50);
                runs = count_runs(&s);
                PORTSET_FOREACH_RUN(&s, first, last) {
                        if (previous >= 0)
                                gaps[n_gaps++] = (unsigned) (first - previous - 1);
                        previous = last;
                }
                /* Selection sort of what is needed. */
                close = runs > max ? runs - (unsigned) max : 0;
                for (unsigned i = 0; i < close; i++) {
                        unsigned best = i, t;

                        for (unsigned k = i; k < n_gaps; k++)
                                if (gaps[k] < gaps[best])
                                        best = k;
                        t = gaps[i];
                        gaps[i] = gaps[best];
                        gaps[best] = t;
                        least += gaps[i];
                }
                assert_int_equal(check_filter(&s, false, max, &exact), least);
        }
}

/* The reverse of the kernel's choice, before the same tree. */
static void test_explicit(void **state)
{
        srand(3);
        for (unsigned round = 0; round < 20; round++) {
                _cleanup_(diag_filter_freep) DiagFilter *f = NULL;
                const void *code;
                size_t size;
                PortSet s;

                if (round == 0)
                        portset_clear(&s);
                else
                        random_set(&s, round * round, 30);
                assert_int_equal(diag_filter_new_explicit(&s, &f), 0);
                code = diag_filter_code(f, &size);
                audit(code, size);
                for (unsigned port = 0; port < PORTSET_PORTS; port++) {
                        assert_false(run(code, size, port, true));
                        assert_int_equal(run(code, size, port, false),
                                         portset_has(&s, (uint16_t) port));
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_edges),
                cmocka_unit_test(test_small_sets),
                cmocka_unit_test(test_random_sets),
                cmocka_unit_test(test_largest_exact_set),
                cmocka_unit_test(test_audit_is_affordable),
                cmocka_unit_test(test_odd_ports),
                cmocka_unit_test(test_coarsening_is_least),
                cmocka_unit_test(test_explicit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
