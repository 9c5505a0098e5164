/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/user-names.h"

static char directory[] = "/tmp/test-user-names.XXXXXX";
static char passwd[64], dynamic[64];
static UserNames names;

static void expect(uid_t uid, const char *name)
{
        _cleanup_(freep) char *found = NULL;
        int r = user_names_get(&names, uid, &found);

        if (!name) {
                assert_int_equal(r, -ENOENT);
                assert_null(found);
                return;
        }
        assert_int_equal(r, 0);
        assert_string_equal(found, name);
}

static void test_passwd(void **state)
{
        static const char text[] = "root:x:0:0:root:/root:/bin/bash\n"
                                   "#off:x:7:7::/:/bin/sh\n"
                                   "\n"
                                   "cut\n"
                                   "cut:x\n"
                                   "no:x:12x:1::/:/bin/sh\n"
                                   "long:x:010:1::/:/bin/sh\n"
                                   "alice:x:1000:1000:A,B:/home/alice:/bin/bash\n"
                                   "second:x:1000:1000::/:/bin/sh\n"
                                   ":x:1001:1::/:/bin/sh\n"
                                   "\x1b[2J:x:1002:1::/:/bin/sh\n"
                                   "last:x:4294967294";

        assert_int_equal(file_write_atomic(passwd, text, strlen(text), 0644), 0);
        expect(0, "root");
        expect(1000, "alice"); /* the first, as getpwuid(3) */
        expect(7, NULL);
        expect(8, NULL);
        expect(10, NULL);
        expect(12, NULL);
        expect(1001, NULL);
        expect(1002, "\\x1b[2J");
        expect(4294967294, "last");
        expect((uid_t) -1, NULL);

        /* Another file in its place. */
        assert_int_equal(file_write_atomic(passwd, "bob:x:1000:\n", 12, 0644), 0);
        expect(1000, "bob");
        expect(0, NULL);
        /* More than is read: nobody is named out of what was there before. */
        assert_int_equal(unlink(passwd), 0);
        assert_int_equal(symlink("/dev/zero", passwd), 0);
        expect(1000, NULL);
        assert_int_equal(unlink(passwd), 0);
        expect(1000, NULL);
}

/* In any order, some uids twice: as a search from the top finds them. */
static void test_many(void **state)
{
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        char name[32];

        assert_non_null(f);
        for (unsigned i = 0; i < 3000; i++)
                fprintf(f, "u%u:x:%u:\n", i, i * 7919 % 2000);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(file_write_atomic(passwd, text, size, 0644), 0);
        for (unsigned i = 0; i < 2000; i++) {
                (void) snprintf(name, sizeof(name), "u%u", i);
                expect(i * 7919 % 2000, name);
        }
        expect(2000, NULL);
}

static void test_dynamic(void **state)
{
        char path[128], longest[USER_NAME_MAX + 1];

        (void) unlink(passwd);
        expect(61234, NULL);
        (void) snprintf(path, sizeof(path), "%s/direct:61234", dynamic);
        assert_int_equal(symlink("app", path), 0);
        expect(61234, "app");
        expect(6123, NULL);

        (void) snprintf(path, sizeof(path), "%s/direct:61235", dynamic);
        memset(longest, 'x', sizeof(longest));
        longest[USER_NAME_MAX] = 0;
        assert_int_equal(symlink(longest, path), 0);
        expect(61235, NULL);
}

static int set_up(void **state)
{
        if (!mkdtemp(directory))
                return -1;
        (void) snprintf(passwd, sizeof(passwd), "%s/passwd", directory);
        (void) snprintf(dynamic, sizeof(dynamic), "%s/dynamic", directory);
        user_names_init(&names, passwd, dynamic);
        return mkdir(dynamic, 0755);
}

static int tear_down(void **state)
{
        char path[128];

        user_names_done(&names);
        for (unsigned uid = 61234; uid <= 61235; uid++) {
                (void) snprintf(path, sizeof(path), "%s/direct:%u", dynamic, uid);
                (void) unlink(path);
        }
        (void) unlink(passwd);
        (void) rmdir(dynamic);
        return rmdir(directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_passwd),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_dynamic),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
