/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bus/handover-request.h"
#include "kernel/runtime.h"

static void test_good(void **state)
{
        static const char one[] = "start\0redis-server", two[] = "stop\0a@1\0web.x";
        HandoverNames n;

        assert_int_equal(handover_request_parse(one, sizeof(one), &n), 0);
        assert_true(n.start);
        assert_int_equal(n.n, 1);
        assert_string_equal(n.names[0], "redis-server");
        assert_int_equal(handover_request_parse(two, sizeof(two), &n), 0);
        assert_false(n.start);
        assert_int_equal(n.n, 2);
        assert_string_equal(n.names[0], "a@1");
        assert_string_equal(n.names[1], "web.x");
}

static void test_bad(void **state)
{
        static const struct {
                const char *text;
                size_t size;
        } table[] = {
                { "", 0 },
                { "", 1 },
                { "start", 5 },
                { "start", 6 },
                { "start\0a", 7 },
                { "start\0a\0b", 9 },
                { "Start\0a", 8 },
                { "restart\0a", 10 },
                { "start\0", 7 },
                { "start\0a\0", 9 },
                { "start\0a b", 10 },
                { "start\0a\nb", 10 },
                { "start\0../x", 11 },
                { "start\0\xff", 8 },
                { "start\0aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeee", 56 },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                HandoverNames n = { .n = 77 };

                assert_int_equal(handover_request_parse(table[i].text, table[i].size, &n),
                                 -EBADMSG);
                assert_int_equal(n.n, 77);
        }
}

static void test_caps(void **state)
{
        static char text[HANDOVER_MESSAGE_MAX + 1];
        HandoverNames n;
        size_t l;

        l = (size_t) sprintf(text, "start") + 1;
        for (unsigned i = 0; i < HANDOVER_NAMES_MAX; i++)
                l += (size_t) sprintf(text + l, "n%u", i) + 1;
        assert_int_equal(handover_request_parse(text, l, &n), 0);
        assert_int_equal(n.n, HANDOVER_NAMES_MAX);
        l += (size_t) sprintf(text + l, "more") + 1;
        assert_int_equal(handover_request_parse(text, l, &n), -EBADMSG);
        memset(text, 0, sizeof(text));
        (void) sprintf(text, "start");
        assert_int_equal(handover_request_parse(text, sizeof(text), &n), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_caps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
