/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "kernel/inspect-message.h"
#include "model/reservation.h"

static const InspectAnswer found = {
        .outcome = INSPECT_FOUND,
        .pid = 4321,
        .uid = 1000,
        .started_usec = UINT64_C(1700000000000000),
        .reuse = TRI_YES,
        .cgroup = (char *) "/system.slice/thief.service",
        .exe = (char *) "/usr/bin/thief (deleted)",
        .command = (char *) "thief --port 6379 \\x1b[31m ü",
};

static void test_request(void **state)
{
        InspectRequest q = { INSPECT_MAGIC, INSPECT_REUSE, UINT64_MAX, 77, 0 }, got = {};
        char longer[sizeof(q) + 1] = {};

        assert_int_equal(inspect_request_parse(&q, sizeof(q), &got), 0);
        assert_memory_equal(&q, &got, sizeof(q));
        memcpy(longer, &q, sizeof(q));
        assert_int_equal(inspect_request_parse(longer, sizeof(longer), &got), -EBADMSG);
        assert_int_equal(inspect_request_parse(&q, sizeof(q) - 1, &got), -EBADMSG);
        assert_int_equal(inspect_request_parse(&q, 0, &got), -EBADMSG);
        for (unsigned i = 0; i < 4; i++) {
                InspectRequest bad = q;

                switch (i) {
                case 0:
                        bad.magic++; /* another version */
                        break;
                case 1:
                        bad.flags = INSPECT_REUSE << 1;
                        break;
                case 2:
                        bad.inode = 0;
                        break;
                default:
                        bad.zero = 1;
                }
                assert_int_equal(inspect_request_parse(&bad, sizeof(bad), &got), -EBADMSG);
        }
}

static void test_reply(void **state)
{
        _cleanup_(inspect_answer_done) InspectAnswer got = {};
        char buf[INSPECT_REPLY_MAX];
        size_t n;

        n = inspect_reply_format(&found, buf);
        assert_int_equal(inspect_reply_parse(buf, n, &got), 0);
        assert_int_equal(got.outcome, INSPECT_FOUND);
        assert_int_equal(got.pid, found.pid);
        assert_int_equal(got.uid, found.uid);
        assert_true(got.started_usec == found.started_usec);
        assert_int_equal(got.reuse, TRI_YES);
        assert_string_equal(got.cgroup, found.cgroup);
        assert_string_equal(got.exe, found.exe);
        assert_string_equal(got.command, found.command);
        /* Not one byte less, nor one more. */
        for (size_t i = 0; i < n; i++)
                assert_int_equal(inspect_reply_parse(buf, i, &got), -EBADMSG);
        buf[n] = 0;
        assert_int_equal(inspect_reply_parse(buf, n + 1, &got), -EBADMSG);
        assert_int_equal(got.pid, found.pid); /* left alone */
}

static void test_reply_without_a_process(void **state)
{
        static const InspectOutcome outcomes[] = { INSPECT_NOBODY, INSPECT_UNFINISHED,
                                                   INSPECT_VANISHED };
        char buf[INSPECT_REPLY_MAX];

        for (size_t i = 0; i < ELEMENTSOF(outcomes); i++) {
                InspectAnswer a = { .outcome = outcomes[i],
                                    .uid = UID_INVALID,
                                    .reuse = TRI_UNKNOWN,
                                    .cgroup = (char *) "/" };
                _cleanup_(inspect_answer_done) InspectAnswer got = {};

                assert_int_equal(inspect_reply_parse(buf, inspect_reply_format(&a, buf), &got), 0);
                assert_int_equal(got.outcome, outcomes[i]);
                assert_string_equal(got.cgroup, "/");
                assert_null(got.exe);
                assert_null(got.command);
                /* Nothing is to be said of a process that was not found. */
                a.pid = 1;
                assert_int_equal(inspect_reply_parse(buf, inspect_reply_format(&a, buf), &got),
                                 -EBADMSG);
                a.pid = 0;
                a.command = (char *) "x";
                assert_int_equal(inspect_reply_parse(buf, inspect_reply_format(&a, buf), &got),
                                 -EBADMSG);
        }
}

/* What the helper would never say. */
static void test_reply_distrusted(void **state)
{
        static const struct {
                size_t offset;
                uint32_t value;
        } table[] = {
                { offsetof(InspectReply, magic), INSPECT_MAGIC + 1 },
                { offsetof(InspectReply, outcome), 0 },
                { offsetof(InspectReply, outcome), _INSPECT_OUTCOME_MAX },
                { offsetof(InspectReply, outcome), INSPECT_NOBODY },
                { offsetof(InspectReply, pid), 0 },
                { offsetof(InspectReply, pid), (uint32_t) -1 },
                { offsetof(InspectReply, pid), 4194305 },
                { offsetof(InspectReply, started_usec) + 4, UINT32_MAX },
                { offsetof(InspectReply, reuse), 2 },
                { offsetof(InspectReply, reuse), (uint32_t) -2 },
                { offsetof(InspectReply, zero), 1 },
        };
        char buf[INSPECT_REPLY_MAX], bad[INSPECT_REPLY_MAX];
        size_t n = inspect_reply_format(&found, buf);
        InspectAnswer got;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                memcpy(bad, buf, n);
                memcpy(bad + table[i].offset, &table[i].value, sizeof(table[i].value));
                assert_int_equal(inspect_reply_parse(bad, n, &got), -EBADMSG);
        }
        /* Each byte of the texts as a control character, or as the beginning of a character. */
        for (size_t i = sizeof(InspectReply); i < n - 1; i++)
                for (const char *c = "\x1b\n\x7f\xff"; *c; c++) {
                        memcpy(bad, buf, n);
                        bad[i] = *c;
                        assert_int_equal(inspect_reply_parse(bad, n, &got), -EBADMSG);
                }
        /* A cgroup path is absolute. */
        memcpy(bad, buf, n);
        bad[sizeof(InspectReply)] = 'x';
        assert_int_equal(inspect_reply_parse(bad, n, &got), -EBADMSG);
}

static void test_caps(void **state)
{
        static char text[INSPECT_EXE_MAX + 2], command[HOLDER_COMMAND_MAX + 2];
        InspectAnswer a = found;
        _cleanup_(inspect_answer_done) InspectAnswer got = {}, cut = {};
        char buf[INSPECT_REPLY_MAX + 1];
        size_t n;

        memset(text, '/', INSPECT_EXE_MAX);
        memset(command, 'c', HOLDER_COMMAND_MAX);
        a.cgroup = a.exe = text;
        a.command = command;
        n = inspect_reply_format(&a, buf);
        assert_int_equal(n, INSPECT_REPLY_MAX);
        assert_int_equal(inspect_reply_parse(buf, n, &got), 0);
        assert_string_equal(got.command, command);
        /* One more is left out rather than cut: a wrong path would be another's. */
        text[INSPECT_EXE_MAX] = '/';
        n = inspect_reply_format(&a, buf);
        assert_int_equal(inspect_reply_parse(buf, n, &cut), 0);
        assert_null(cut.exe);
        assert_null(cut.cgroup);
        assert_int_equal(cut.pid, a.pid);
        /* And nobody else may send more. */
        memset(buf + sizeof(InspectReply), '/', sizeof(buf) - sizeof(InspectReply));
        assert_int_equal(inspect_reply_parse(buf, sizeof(buf), &got), -EBADMSG);
        memset(buf + sizeof(InspectReply), 0, 2);
        memset(buf + sizeof(InspectReply) + 2, 'c', HOLDER_COMMAND_MAX + 1);
        buf[sizeof(InspectReply) + 2 + HOLDER_COMMAND_MAX + 1] = 0;
        assert_int_equal(
                inspect_reply_parse(buf, sizeof(InspectReply) + 2 + HOLDER_COMMAND_MAX + 2, &got),
                -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_reply),
                cmocka_unit_test(test_reply_without_a_process),
                cmocka_unit_test(test_reply_distrusted),
                cmocka_unit_test(test_caps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
