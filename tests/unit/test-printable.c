/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/printable.h"

static void test_table(void **state)
{
        static const struct {
                const char *in, *out;
        } table[] = {
                { "", "" },
                { "/usr/sbin/nginx", "/usr/sbin/nginx" },
                { "dev-disk\\x2dby.swap", "dev-disk\\x2dby.swap" },
                { "a\nb\tc\x1b[31m\x7f", "a\\x0ab\\x09c\\x1b[31m\\x7f" },
                { "Gr\xc3\xbc\xc3\x9f"
                  "e \xe2\x82\xac \xf0\x9f\x98\x80",
                  "Gr\xc3\xbc\xc3\x9f"
                  "e \xe2\x82\xac \xf0\x9f\x98\x80" },
                { "\xff\xfe", "\\xff\\xfe" },
                { "a\xef\xbf\xbe", "a\\xef\\xbf\\xbe" }, /* U+FFFE */
                { "\xef\xb7\x90", "\\xef\\xb7\\x90" },   /* U+FDD0 */
                { "\xf4\x8f\xbf\xbf", "\\xf4\\x8f\\xbf\\xbf" },
                { "\xef\xbf\xbd", "\xef\xbf\xbd" }, /* U+FFFD is a character */
                { "\x80", "\\x80" },
                { "\xc3", "\\xc3" },
                { "\xe2\x82", "\\xe2\\x82" },
                { "\xc0\xaf", "\\xc0\\xaf" }, /* overlong "/" */
                { "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
                { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* a surrogate */
                { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* above U+10FFFF */
                { "\xc2\x9b"
                  "31m",
                  "\\xc2\\x9b"
                  "31m" }, /* CSI in one character */
                { "\xc2\xa0", "\xc2\xa0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *s = printable(table[i].in);

                assert_non_null(s);
                assert_string_equal(s, table[i].out);
                free(s);
        }
}

/* Whole characters, whole escapes. */
static void test_cut(void **state)
{
        static const struct {
                const char *in;
                size_t max;
                const char *out;
        } table[] = {
                { "abc", 3, "abc" },
                { "abc", 2, "ab" },
                { "abc", 0, "" },
                { "a\x1b", 5, "a\\x1b" },
                { "a\x1b", 4, "a" },
                { "a\xe2\x82\xac", 4, "a\xe2\x82\xac" },
                { "a\xe2\x82\xac", 3, "a" },
                /* Nothing behind the cut, though it would fit. */
                { "a\x1b"
                  "b",
                  2, "a" },
                { "", 7, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *s = printable_cut(table[i].in, table[i].max);

                assert_non_null(s);
                assert_string_equal(s, table[i].out);
                free(s);
        }
}

static void test_every_pair(void **state)
{
        for (unsigned a = 1; a < 256; a++)
                for (unsigned b = 1; b < 256; b++) {
                        char in[3] = { (char) a, (char) b, 0 }, *s = printable(in);

                        assert_non_null(s);
                        for (const char *p = s; *p; p++)
                                assert_true((unsigned char) *p >= 0x20 && *p != 0x7f);
                        /* What is printable stays as it is. */
                        assert_true(a < 0x20 || a > 0x7e || b < 0x20 || b > 0x7e ||
                                    strcmp(s, in) == 0);
                        free(s);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_every_pair),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
