/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The filter of destroy events, run by a model of the kernel's machine. That the kernel takes it is
 * tests/kernel's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/filter.h>

#include "base/cleanup.h"
#include "kernel/event-filter.h"

static struct sock_filter code[EVENT_FILTER_CODE_MAX];

static bool run(unsigned n, unsigned port)
{
        for (unsigned i = 0;;) {
                const struct sock_filter *op;

                assert_true(i < n);
                op = code + i++;
                switch (op->code) {
                case BPF_LD | BPF_H | BPF_ABS:
                        assert_int_equal(op->k, 16 + 4); /* nlmsghdr, and what is before the port */
                        break;
                case BPF_JMP | BPF_JGE | BPF_K:
                        i += port >= op->k ? op->jt : op->jf;
                        break;
                case BPF_JMP | BPF_JA:
                        i += op->k;
                        break;
                case BPF_RET | BPF_K:
                        return op->k > 0;
                default:
                        fail_msg("op %u", op->code);
                }
        }
}

/* How many ports too many pass. */
static unsigned check_set(const PortSet *ports)
{
        unsigned extra = 0;
        int n = event_filter_compile(ports, EVENT_FILTER_RUNS_MAX, code);

        assert_true(n > 0 && n <= (int) EVENT_FILTER_CODE_MAX);
        for (unsigned port = 0; port < PORTSET_PORTS; port++) {
                bool passes = run((unsigned) n, port);

                if (portset_has(ports, (uint16_t) port))
                        assert_true(passes);
                else
                        extra += passes;
        }
        return extra;
}

static void test_edges(void **state)
{
        PortSet s = {};

        assert_int_equal(check_set(&s), 0);
        portset_add(&s, 0);
        assert_int_equal(check_set(&s), 0);
        portset_add(&s, UINT16_MAX);
        assert_int_equal(check_set(&s), 0);
        portset_remove(&s, 0);
        assert_int_equal(check_set(&s), 0);
        portset_add_run(&s, 0, UINT16_MAX);
        assert_int_equal(check_set(&s), 0);
}

static void test_random_sets(void **state)
{
        srand(1);
        for (unsigned round = 0; round < 300; round++) {
                unsigned n = 1 + (unsigned) rand() % (round % 2 ? 20 : 1200);
                PortSet s = {};

                for (unsigned i = 0; i < n; i++) {
                        unsigned first = (unsigned) rand() % PORTSET_PORTS;
                        unsigned last = first + (unsigned) rand() % 30;

                        portset_add_run(&s, (uint16_t) first,
                                        (uint16_t) MIN_OF(last, PORTSET_PORTS - 1));
                }
                assert_int_equal(check_set(&s), 0);
        }
}

/* The worst set there is fits, and passes too much instead of too little. */
static void test_scattered(void **state)
{
        PortSet s = {};

        for (unsigned port = 1; port < PORTSET_PORTS; port += 2)
                portset_add(&s, (uint16_t) port);
        assert_true(check_set(&s) > 0);
        portset_clear(&s);
        for (unsigned i = 0; i < 1200; i++)
                portset_add(&s, (uint16_t) (7 + 54 * i));
        assert_int_equal(check_set(&s), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_edges),
                cmocka_unit_test(test_random_sets),
                cmocka_unit_test(test_scattered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
