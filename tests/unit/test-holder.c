/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/holder.h"

static char *const unit = (char *) "foo.service",
                   *const cgroup = (char *) "/system.slice/foo.service", *const top = (char *) "/",
                   *const exe = (char *) "/usr/bin/foo", *const user = (char *) "alice",
                   *const manager = (char *) "user@1000.service";

static void expect(const Holder *h, const char *want)
{
        char *s = holder_describe(h);

        assert_non_null(s);
        assert_string_equal(s, want);
        free(s);
}

static void test_describe(void **state)
{
        Holder h;

        holder_init(&h);
        h.socket = (Socket){ .state = SOCKET_LISTEN, .uid = 1000, .inode = 1 };
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
        h.certain = false;
        expect(&h, "probably system.slice/foo.service");
}

static void test_describe_user(void **state)
{
        Holder h;

        holder_init(&h);
        h.socket = (Socket){ .state = SOCKET_LISTEN, .uid = 1000, .inode = 1 };
        h.user = user;
        expect(&h, "user alice");
        h.unit = manager;
        h.user_unit = unit;
        h.cgroup = cgroup;
        h.pid = 123;
        expect(&h, "foo.service of user alice (pid 123)");
        /* A program of another user's in there: the manager is still the first one's. */
        h.socket.uid = 0;
        expect(&h, "foo.service of user@1000.service (pid 123)");
        h.socket.uid = 1000;
        h.user = NULL;
        expect(&h, "foo.service of user@1000.service (pid 123)");
        /* Who runs it is told of a container, too. */
        h.container = user;
        expect(&h, "container alice of user@1000.service (pid 123)");
}

static void test_describe_container(void **state)
{
        static char id[] = "4f5e6a7b8c9d0123456789abcdef0123456789abcdef0123456789abcdef0123",
                    no_id[] = "4f5e6a7b8c9d0123456789abcdef0123456789abcdef0123456789abcdef012X";
        Holder h;

        holder_init(&h);
        h.cgroup = cgroup;
        h.unit = unit;
        h.container = user;
        expect(&h, "container alice");
        h.container = id;
        h.pid = 123;
        h.exe = exe;
        expect(&h, "container 4f5e6a7b8c9d (pid 123, /usr/bin/foo)");
        h.container = no_id;
        h.certain = false;
        expect(&h, "probably container "
                   "4f5e6a7b8c9d0123456789abcdef0123456789abcdef0123456789abcdef012X "
                   "(pid 123, /usr/bin/foo)");
}

static void test_describe_unknown(void **state)
{
        Holder h;

        holder_init(&h);
        h.socket.state = SOCKET_TIME_WAIT;
        expect(&h, "no process any more (TIME_WAIT)");
        /* An orphan: the kernel says uid 0, which is not what is known. */
        h.socket.state = SOCKET_FIN_WAIT2;
        expect(&h, "unknown process");
        h.socket.inode = 7;
        expect(&h, "uid 0");
        h.no_process = true;
        expect(&h, "uid 0 (no process has it: the kernel's own)");
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
        h.user_unit = malloc(1);
        h.container = malloc(1);
        h.command = malloc(1);
        h.user = malloc(1);
        h.certain = false;
        holder_done(&h);
        assert_true(h.certain);
        assert_null(h.user_unit);
        assert_null(h.container);
        assert_null(h.command);
        assert_null(h.user);
        assert_null(h.unit);
        assert_null(h.cgroup);
        assert_null(h.exe);
        holder_done(&h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_describe),      cmocka_unit_test(test_describe_unknown),
                cmocka_unit_test(test_describe_user), cmocka_unit_test(test_describe_container),
                cmocka_unit_test(test_done),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
