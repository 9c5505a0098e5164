/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bus/frame.h"

static ssize_t next_text(Frame *f, const char *s)
{
        return frame_next(f, (const uint8_t *) s, strlen(s));
}

static void test_lines(void **state)
{
        Frame f = {};

        assert_int_equal(frame_next(&f, (const uint8_t *) "\0AUTH EXTERNAL 30\r\nBEG", 22), 19);
        assert_false(f.begun);
        assert_int_equal(next_text(&f, "BEGI"), 0);
        assert_int_equal(next_text(&f, "BEGIN\r"), 0);
        assert_false(f.begun);
        assert_int_equal(next_text(&f, "BEGIN\r\nl"), 7);
        assert_true(f.begun);
}

static void test_no_begin(void **state)
{
        static const char *const lines[] = { "BEGIN\n",    "BEGIN \r\n", "begin\r\n",
                                             "XBEGIN\r\n", "\r\n",       "\n" };

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                Frame f = {};

                assert_int_equal(next_text(&f, lines[i]), strlen(lines[i]));
                assert_false(f.begun);
        }
}

static void test_lines_end(void **state)
{
        static uint8_t xs[FRAME_AUTH_MAX + 1];
        Frame f = {};
        unsigned n;

        memset(xs, 'x', sizeof(xs));
        assert_int_equal(frame_next(&f, xs, FRAME_AUTH_MAX), 0);
        assert_int_equal(frame_next(&f, xs, FRAME_AUTH_MAX + 1), -EMSGSIZE);
        for (n = 0; next_text(&f, "DATA\r\n") == 6; n++)
                ;
        assert_int_equal(n, FRAME_AUTH_MAX / 6);
        assert_int_equal(next_text(&f, "DATA\r\n"), -EMSGSIZE);
}

static void header(uint8_t *h, char order, uint32_t fields, uint32_t body)
{
        uint32_t v[2] = { order == 'l' ? htole32(body) : htobe32(body),
                          order == 'l' ? htole32(fields) : htobe32(fields) };

        memset(h, 0, 16);
        h[0] = (uint8_t) order;
        h[1] = 1;
        h[3] = 1;
        memcpy(h + 4, &v[0], 4);
        memcpy(h + 12, &v[1], 4);
}

static void test_messages(void **state)
{
        static const struct {
                uint32_t fields, body, size;
        } table[] = { { 0, 0, 16 }, { 1, 0, 24 },        { 8, 0, 24 },
                      { 9, 5, 37 }, { 65520, 0, 65536 }, { 0, 65520, 65536 } };
        static uint8_t buf[FRAME_MESSAGE_MAX];

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                for (size_t order = 0; order < 2; order++) {
                        Frame f = { .begun = true };

                        header(buf, "lB"[order], table[i].fields, table[i].body);
                        for (size_t n = 0; n < 16; n++)
                                assert_int_equal(frame_next(&f, buf, n), 0);
                        assert_int_equal(frame_next(&f, buf, table[i].size - 1), 0);
                        assert_int_equal(frame_next(&f, buf, table[i].size), table[i].size);
                        assert_int_equal(frame_next(&f, buf, sizeof(buf)), table[i].size);
                }
}

static void test_bad_messages(void **state)
{
        static const struct {
                uint32_t fields, body;
        } big[] = { { 0, 65521 },           { 65521, 0 },
                    { 65513, 9 },           { UINT32_MAX, UINT32_MAX },
                    { UINT32_MAX, 0 },      { 0, UINT32_MAX },
                    { UINT32_MAX - 15, 0 }, { UINT32_MAX - 7, 32 } };
        Frame f = { .begun = true };
        uint8_t h[16];

        for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
                header(h, 'l', big[i].fields, big[i].body);
                assert_int_equal(frame_next(&f, h, 16), -EMSGSIZE);
        }
        header(h, 'x', 0, 0);
        assert_int_equal(frame_next(&f, h, 1), -EBADMSG);
        header(h, 'l', 0, 0);
        h[3] = 2;
        assert_int_equal(frame_next(&f, h, 3), 0);
        assert_int_equal(frame_next(&f, h, 4), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),        cmocka_unit_test(test_no_begin),
                cmocka_unit_test(test_lines_end),    cmocka_unit_test(test_messages),
                cmocka_unit_test(test_bad_messages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
