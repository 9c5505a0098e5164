/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/holder.h"

static char *const unit = (char *) "foo.service",
                   *const cgroup = (char *) "/system.slice/foo.service", *const top = (char *) "/",
                   *const exe = (char *) "/usr/bin/foo";

static void expect(const Holder *h, const char *want)
{
        char *s = holder_describe(h);

        assert_non_null(s);
        assert_string_equal(s, want);
        free(s);
}

static void test_describe(void **state)
{
        Holder h = { .socket = { .state = SOCKET_LISTEN, .uid = 1000, .inode = 1 } };

        expect(&h, "uid 1000");
        h.pid = 123;
        expect(&h, "uid 1000 (pid 123)");
        h.exe = exe;
        expect(&h, "uid 1000 (pid 123, /usr/bin/foo)");
        h.cgroup = top;
        expect(&h, "uid 1000 (pid 123, /usr/bin/foo)");
        h.unit = unit;
        expect(&h, "foo.service (pid 123, /usr/bin/foo)");
        h.cgroup = cgroup;
        expect(&h, "system.slice/foo.service (pid 123, /usr/bin/foo)");
        h.pid = 0;
        h.exe = NULL;
        expect(&h, "system.slice/foo.service");
}

static void test_describe_unknown(void **state)
{
        Holder h = { .socket = { .state = SOCKET_TIME_WAIT } };

        expect(&h, "no process any more (TIME_WAIT)");
        /* An orphan: the kernel says uid 0, which is not what is known. */
        h.socket.state = SOCKET_FIN_WAIT2;
        expect(&h, "unknown process");
        h.socket.inode = 7;
        expect(&h, "uid 0");
}

static void test_done(void **state)
{
        Holder h;

        holder_init(&h);
        assert_null(h.unit);
        assert_int_equal(h.kind, KIND_UNKNOWN);
        h.unit = malloc(1);
        h.cgroup = malloc(1);
        h.exe = malloc(1);
        holder_done(&h);
        assert_null(h.unit);
        assert_null(h.cgroup);
        assert_null(h.exe);
        holder_done(&h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_describe),
                cmocka_unit_test(test_describe_unknown),
                cmocka_unit_test(test_done),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
