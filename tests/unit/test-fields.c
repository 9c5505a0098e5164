/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The fields of an event, and the text that an alert unit has them from. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "daemon/alert/fields.h"

/* The value of a field, or NULL. */
static const char *value_of(const Fields *f, const char *name)
{
        size_t l = strlen(name);

        for (int i = 0; i < f->n; i++) {
                const char *s = f->iov[i].iov_base;

                assert_int_equal(strlen(s), f->iov[i].iov_len);
                if (strncmp(s, name, l) == 0 && s[l] == '=')
                        return s + l + 1;
        }
        return NULL;
}

static void test_fields(void **state)
{
        Reservation r = { .name = (char *) "web", .unit = (char *) "web.service" };
        Endpoint e = { .protocol = IPPROTO_TCP, .port = 80, .last = 89 };
        Holder h;
        Event event = { .kind = EVENT_COLLISION, .reservation = &r, .endpoint = &e, .port = 81 };
        Fields f;

        holder_init(&h);
        h.kind = KIND_EPHEMERAL;
        h.unit = (char *) "app.service";
        h.pid = 12;
        h.exe = (char *) "/usr/bin/app";
        h.cgroup = (char *) "/system.slice/app.service";
        h.command = (char *) "app --serve";
        h.user = (char *) "www-data";
        h.started_usec = UINT64_C(1000000);
        h.since_usec = UINT64_C(1700000000123456);
        h.certain = true;
        h.socket = (Socket){ .protocol = IPPROTO_TCP,
                             .state = SOCKET_ESTABLISHED,
                             .inode = 1,
                             .uid = 33,
                             .automatic = TRI_YES,
                             .local_port = 81,
                             .local = { .family = AF_INET, .in.s_addr = htonl(INADDR_LOOPBACK) },
                             .remote_port = 6379,
                             .remote = { .family = AF_INET, .in.s_addr = htonl(INADDR_LOOPBACK) } };
        event.holder = &h;
        fields_fill(&event, "it is taken", 3, &f);
        assert_string_equal(value_of(&f, "MESSAGE"), "it is taken (3 more not shown)");
        assert_string_equal(value_of(&f, "MESSAGE_ID"), event_kind_message_id(EVENT_COLLISION));
        assert_string_equal(value_of(&f, "PORTRESERVED_EVENT"), "collision");
        assert_string_equal(value_of(&f, "PORTRESERVED_NAME"), "web");
        assert_string_equal(value_of(&f, "PORTRESERVED_PROTOCOL"), "tcp");
        assert_string_equal(value_of(&f, "PORTRESERVED_PORT"), "81");
        assert_string_equal(value_of(&f, "PORTRESERVED_KIND"), "ephemeral");
        assert_string_equal(value_of(&f, "PORTRESERVED_STATE"), "ESTABLISHED");
        assert_string_equal(value_of(&f, "PORTRESERVED_PEER"), "127.0.0.1:6379");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_UNIT"), "app.service");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_PID"), "12");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_EXE"), "/usr/bin/app");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_UID"), "33");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_USER"), "www-data");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_COMMAND"), "app --serve");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_CGROUP"),
                            "/system.slice/app.service");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_STARTED"),
                            "1970-01-01T00:00:01.000000Z");
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT_CERTAIN"), "yes");
        assert_null(value_of(&f, "PORTRESERVED_CULPRIT_CONTAINER"));
        assert_string_equal(value_of(&f, "PORTRESERVED_CULPRIT"),
                            "system.slice/app.service (pid 12, /usr/bin/app)");
        assert_string_equal(value_of(&f, "PORTRESERVED_SOCKET"),
                            "127.0.0.1:81 -> 127.0.0.1:6379 ESTABLISHED");
        assert_string_equal(value_of(&f, "PORTRESERVED_LOCAL"), "127.0.0.1:81");
        assert_string_equal(value_of(&f, "PORTRESERVED_ADDRESS"), "*");
        assert_string_equal(value_of(&f, "PORTRESERVED_UNIT"), "web.service");
        assert_string_equal(value_of(&f, "PORTRESERVED_AUTOMATIC"), "yes");
        assert_string_equal(value_of(&f, "PORTRESERVED_SINCE"), "2023-11-14T22:13:20.123456Z");
        assert_string_equal(value_of(&f, "PORTRESERVED_REMEDY"), "portreservectl evict 81/tcp");
        assert_true(f.n < FIELDS_MAX - 5);
        fields_done(&f);
        assert_int_equal(f.n, 0);
}

/* About no reservation, by nobody: what is not known is left out. */
static void test_absent(void **state)
{
        Fields f;

        fields_fill(&(Event){ .kind = EVENT_DRIFT }, "overwritten", 0, &f);
        assert_string_equal(value_of(&f, "MESSAGE"), "overwritten");
        assert_null(value_of(&f, "PORTRESERVED_NAME"));
        assert_null(value_of(&f, "PORTRESERVED_PORT"));
        assert_null(value_of(&f, "PORTRESERVED_CULPRIT_PID"));
        fields_done(&f);
}

static void test_environment(void **state)
{
        static const struct {
                const char *value, *line;
        } rows[] = {
                { "plain", "A=\"plain\"\n" },
                { "", "A=\"\"\n" },
                { " two  words ", "A=\" two  words \"\n" },
                { "a=b # c ; d", "A=\"a=b # c ; d\"\n" },
                { "it's", "A=\"it's\"\n" },
                { "\"quoted\"", "A=\"\\\"quoted\\\"\"\n" },
                { "`id` $(id) $HOME", "A=\"\\`id\\` \\$(id) \\$HOME\"\n" },
                { "back\\", "A=\"back\\\\\"\n" },
                { "x\"\nLD_PRELOAD=/evil\nB=\"y",
                  "A=\"x\\\"\\\\x0aLD_PRELOAD=/evil\\\\x0aB=\\\"y\"\n" },
                { "\r\t\x1b[31m", "A=\"\\\\x0d\\\\x09\\\\x1b[31m\"\n" },
                { "\xc3\xa4\xff", "A=\"\xc3\xa4\\\\xff\"\n" },
                { "%h %i", "A=\"%h %i\"\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(freep) char *field = NULL, *text = NULL;
                Fields f = { .n = 1 };

                assert_true(asprintf(&field, "A=%s", rows[i].value) >= 0);
                f.iov[0] = (struct iovec){ .iov_base = field, .iov_len = strlen(field) };
                text = fields_environment(&f);
                assert_non_null(text);
                assert_string_equal(text, rows[i].line);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_absent),
                cmocka_unit_test(test_environment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
