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
#include "base/file.h"
#include "kernel/mountinfo.h"

/* "ROOT WHERE TYPE OPTIONS;" of each, up to the one at /last. */
static int on_mount(const Mount *m, void *userdata)
{
        FILE *f = userdata;

        fprintf(f, "%s %s %s %s;", m->root, m->where, m->type, m->options);
        return strcmp(m->where, "/last") == 0 ? 7 : 0;
}

static void test_read(void **state)
{
        static const char text[] =
                "22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw,hidepid=invisible\n"
                "no mount\n"
                "23 1 0:22 / - short rw\n"
                "24 1 0:23 /a\\040b /with\\040blank\\134\\9 rw master:1 shared:2 - cgroup2 none "
                "rw\n"
                "25 1 0:24 / /x rw - tmpfs\n"
                "26 1 0:25 / /last rw - proc proc rw\n"
                "27 1 0:26 / /behind rw - proc proc rw\n";
        _cleanup_(freep) char *got = NULL;
        char path[] = "/tmp/mountinfo-XXXXXX";
        size_t size = 0;
        FILE *f;
        int fd;

        fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(close(fd), 0);
        f = open_memstream(&got, &size);
        assert_non_null(f);
        assert_int_equal(mountinfo_read(path, on_mount, f), 7);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(got, "/ /proc proc rw,hidepid=invisible;"
                                 "/a b /with blank\\\\9 cgroup2 rw;"
                                 "/ /x tmpfs ;"
                                 "/ /last proc rw;");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mountinfo_read(path, on_mount, NULL), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
