/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/record.h"

static char directory[64];
static char path[80];

static int setup(void **state)
{
        strcpy(directory, "/tmp/record-test.XXXXXX");
        if (!mkdtemp(directory))
                return -1;
        return path_join(path, sizeof(path), directory, "ours");
}

static int teardown(void **state)
{
        (void) unlink(path);
        return rmdir(directory);
}

static void test_round_trip(void **state)
{
        PortSet s = {}, back;

        portset_add(&back, 1);
        assert_int_equal(record_read(directory, "ours", &back), -ENOENT);
        assert_int_equal(record_remove(directory, "ours"), 0);

        /* Nothing, the longest there is, everything. */
        for (unsigned i = 0; i < 3; i++) {
                if (i == 1)
                        for (unsigned p = 1; p < 65536; p += 2)
                                portset_add(&s, (uint16_t) p);
                if (i == 2)
                        portset_add_run(&s, 0, 65535);
                assert_int_equal(record_write(directory, "ours", &s), 0);
                memset(&back, 0x55, sizeof(back));
                assert_int_equal(record_read(directory, "ours", &back), 0);
                assert_true(portset_equal(&s, &back));
        }
        assert_int_equal(record_remove(directory, "ours"), 0);
        assert_int_equal(record_read(directory, "ours", &back), -ENOENT);
}

/* Cut short anywhere, or grown, it is not believed. */
static void test_cut_short(void **state)
{
        _cleanup_(freep) char *text = NULL;
        PortSet s = {}, before, back;
        size_t size;

        portset_add_run(&s, 8080, 8089);
        portset_add(&s, 12345);
        assert_int_equal(record_write(directory, "ours", &s), 0);
        assert_int_equal(file_read(path, 4096, &text, &size), 0);
        memset(&back, 0x55, sizeof(back));
        before = back;
        for (size_t i = 0; i < size; i++) {
                assert_int_equal(file_write_atomic(path, text, i, 0600), 0);
                assert_int_equal(record_read(directory, "ours", &back), -EBADMSG);
                assert_true(portset_equal(&back, &before));
        }
        /* One byte changed to NUL. */
        for (size_t i = 0; i < size; i++) {
                char c = text[i];

                text[i] = 0;
                assert_int_equal(file_write_atomic(path, text, size, 0600), 0);
                assert_int_equal(record_read(directory, "ours", &back), -EBADMSG);
                text[i] = c;
        }
        assert_int_equal(file_write_atomic(path, text, size, 0600), 0);
        assert_int_equal(record_read(directory, "ours", &back), 0);
        assert_true(portset_equal(&s, &back));
}

static void test_garbage(void **state)
{
        _cleanup_(freep) char *huge = malloc(1u << 20);
        PortSet back;

        memset(huge, '\n', 1u << 20);
        assert_int_equal(file_write_atomic(path, huge, 1u << 20, 0600), 0);
        assert_int_equal(record_read(directory, "ours", &back), -EBADMSG);
        memset(huge, '1', 1u << 20);
        assert_int_equal(file_write_atomic(path, huge, 1u << 20, 0600), 0);
        assert_int_equal(record_read(directory, "ours", &back), -EBADMSG);
        /* Well formed, but of another boot. */
        assert_int_equal(file_write_atomic(path, "80\nnamespace 1 x\n", 17, 0600), 0);
        assert_int_equal(record_read(directory, "ours", &back), -ENOENT);
}

static void test_directory_gone(void **state)
{
        PortSet s = {}, back;

        portset_add(&s, 80);
        (void) unlink(path);
        assert_int_equal(rmdir(directory), 0);
        assert_int_equal(record_remove(directory, "ours"), 0);
        assert_int_equal(record_write(directory, "ours", &s), 0);
        assert_int_equal(record_read(directory, "ours", &back), 0);
        assert_true(portset_equal(&s, &back));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_cut_short),
                cmocka_unit_test(test_garbage),
                cmocka_unit_test(test_directory_gone),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
