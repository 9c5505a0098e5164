/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "kernel/process-facts.h"
#include "kernel/process.h"

static void test_stat(void **state)
{
        uint64_t v = 7;

        assert_int_equal(process_parse_stat("1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 "
                                            "0 123 170 3\n",
                                            &v),
                         0);
        assert_true(v == 123);
        /* A name may be anything. */
        assert_int_equal(process_parse_stat("9 (a) S 1 (b)\n c) R 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 "
                                            "8 20 0 1 0 18446744073709 1\n",
                                            &v),
                         0);
        assert_true(v == UINT64_C(18446744073709));
        for (const char *const *t =
                     (const char *const[]){ "", "1 (init", "1 (init)", "1 (init) S 0 1 1\n",
                                            "1 (x) S 0 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 -5 1",
                                            "1 (x) S 0 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 "
                                            "18446744073709551615 1",
                                            NULL };
             *t; t++) {
                v = 7;
                assert_int_equal(process_parse_stat(*t, &v), -EBADMSG);
                assert_true(v == 7);
        }
}

static void test_status(void **state)
{
        uid_t uid = 7;

        assert_int_equal(
                process_parse_status("Name:\tx\nUmask:\t0022\nUid:\t1\t2\t3\t4\nGid:\t0\n", &uid),
                0);
        assert_int_equal(uid, 2);
        /* A name that looks like the line has its newline escaped by the kernel. */
        assert_int_equal(process_parse_status("Name:\t\\nUid:\t5\t5\nUid:\t1\t0\t3\t4\n", &uid), 0);
        assert_int_equal(uid, 0);
        uid = 7;
        for (const char *const *t =
                     (const char *const[]){ "", "Uid:\t1\t2\n", "\nUid:\t1\n", "\nUid:\t1\t\n",
                                            "\nUid:\t1\t-2\n", "\nUid:\t1\t4294967295\t", NULL };
             *t; t++)
                assert_int_equal(process_parse_status(*t, &uid), -EBADMSG);
        assert_int_equal(uid, 7);
}

/* What the kernel says of this very process. */
static void test_self(void **state)
{
        _cleanup_(freep) char *stat = NULL, *status = NULL;
        uint64_t ticks = 0, since_boot = now_usec(CLOCK_BOOTTIME);
        uid_t uid;

        assert_int_equal(file_read("/proc/self/stat", 65536, &stat, NULL), 0);
        assert_int_equal(process_parse_stat(stat, &ticks), 0);
        assert_true(ticks * USEC_PER_SEC / (uint64_t) sysconf(_SC_CLK_TCK) <= since_boot);
        assert_int_equal(file_read("/proc/self/status", 65536, &status, NULL), 0);
        assert_int_equal(process_parse_status(status, &uid), 0);
        assert_int_equal(uid, geteuid());
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stat),
                cmocka_unit_test(test_status),
                cmocka_unit_test(test_self),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
