/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/json.h"

/* The exact text, in the order of the keys. Takes the reference over. */
static void assert_json(json_t *value, const char *expect)
{
        _cleanup_(freep) char *text = NULL;

        assert_non_null(value);
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        json_decref(value);
        assert_string_equal(text, expect);
}

static void test_text(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                { "", "\"\"" },
                { "/usr/sbin/nginx", "\"/usr/sbin/nginx\"" },
                { "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
                  "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
                { "a\xff"
                  "b",
                  "\"a\\\\xffb\"" },
                { "\xc3", "\"\\\\xc3\"" },                                  /* cut off */
                { "\xc0\xaf", "\"\\\\xc0\\\\xaf\"" },                       /* overlong */
                { "\xed\xa0\x80", "\"\\\\xed\\\\xa0\\\\x80\"" },            /* a surrogate */
                { "\xf4\x90\x80\x80", "\"\\\\xf4\\\\x90\\\\x80\\\\x80\"" }, /* above U+10FFFF */
                { "\x1b[31m\n", "\"\\\\x1b[31m\\\\x0a\"" }, /* nothing that a terminal obeys */
                { "a\"b", "\"a\\\"b\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_json(json_text(cases[i].in), cases[i].out);
        assert_json(json_text(NULL), "null");
}

static void test_time(void **state)
{
        char buf[TIME_TEXT_MAX];

        assert_string_equal(time_format(0, buf), "1970-01-01T00:00:00.000000Z");
        assert_string_equal(time_format(UINT64_C(1769850902123456), buf),
                            "2026-01-31T09:15:02.123456Z");
        /* 29 February, and a clock far off: still in the buffer. */
        assert_string_equal(time_format(UINT64_C(1709208000000001), buf),
                            "2024-02-29T12:00:00.000001Z");
        assert_true(strlen(time_format(UINT64_MAX, buf)) < sizeof(buf));
}

/* Of what was added later nothing is known. */
#define REST_UNKNOWN                                                                               \
        "\"user\":null,\"user_unit\":null,\"container\":null,\"command\":null,\"started\":null,"   \
        "\"automatic\":null,\"expires_sec\":null,\"reuse\":null,\"no_process\":false,\"certain\":" \
        "true,\"mptcp\":false}"

static void test_holder_unknown(void **state)
{
        Holder h;

        holder_init(&h);
        assert_json(
                json_from_holder(&h),
                "{\"kind\":\"unknown\",\"state\":null,\"local\":null,\"remote\":null,\"unit\":null,"
                "\"cgroup\":null,\"pid\":null,\"exe\":null,\"uid\":null,\"since\":"
                "null," REST_UNKNOWN);
}

static void test_holder_connection(void **state)
{
        Holder h;

        holder_init(&h);
        h.kind = KIND_EPHEMERAL;
        h.socket = (Socket){
                .protocol = IPPROTO_TCP,
                .family = AF_INET,
                .state = SOCKET_ESTABLISHED,
                .local = { .family = AF_INET, .in.s_addr = htonl(0xc0a80104) },
                .remote = { .family = AF_INET, .in.s_addr = htonl(0xc0a80104) },
                .local_port = 48121,
                .remote_port = 6379,
                .uid = 33,
                .inode = 4711,
                .automatic = TRI_YES,
                .reuse = TRI_NO,
                .expires_usec = 59000001,
        };
        h.user = strdup("www-data");
        h.user_unit = strdup("b\\x2dc.service");
        h.container = strdup("web");
        h.command = strdup("app\n--all");
        h.started_usec = UINT64_C(1769850902000000);
        h.certain = false;
        h.unit = strdup("app.service");
        h.cgroup = strdup("/system.slice/app.service");
        h.pid = 12;
        h.exe = strdup("/opt/\xff");
        h.since_usec = UINT64_C(1769850902123456);
        assert_json(
                json_from_holder(&h),
                "{\"kind\":\"ephemeral\",\"state\":\"ESTABLISHED\",\"local\":\"192.168.1.4:48121\","
                "\"remote\":\"192.168.1.4:6379\",\"unit\":\"app.service\","
                "\"cgroup\":\"/system.slice/app.service\",\"pid\":12,\"exe\":\"/opt/\\\\xff\","
                "\"uid\":33,\"since\":\"2026-01-31T09:15:02.123456Z\",\"user\":\"www-data\","
                "\"user_unit\":\"b\\\\x2dc.service\",\"container\":\"web\","
                "\"command\":\"app\\\\x0a--all\",\"started\":\"2026-01-31T09:15:02.000000Z\","
                "\"automatic\":true,\"expires_sec\":60,\"reuse\":false,\"no_process\":false,"
                "\"certain\":false,\"mptcp\":false}");
        holder_done(&h);
}

/* Root listens on [::]: nobody is at the other end, and uid 0 is a fact. */
static void test_holder_listener(void **state)
{
        Holder h;

        holder_init(&h);
        h.kind = KIND_SQUATTER;
        h.socket = (Socket){
                .protocol = IPPROTO_TCP,
                .family = AF_INET6,
                .state = SOCKET_LISTEN,
                .local = { .family = AF_INET6 },
                .local_port = 80,
                .inode = 1,
                .automatic = TRI_NO,
                .reuse = TRI_YES,
        };
        h.no_process = true;
        h.socket.mptcp = true;
        assert_json(
                json_from_holder(&h),
                "{\"kind\":\"squatter\",\"state\":\"LISTEN\",\"local\":\"[::]:80\",\"remote\":null,"
                "\"unit\":null,\"cgroup\":null,\"pid\":null,\"exe\":null,\"uid\":0,\"since\":null,"
                "\"user\":null,\"user_unit\":null,\"container\":null,\"command\":null,"
                "\"started\":null,\"automatic\":false,\"expires_sec\":null,\"reuse\":true,"
                "\"no_process\":true,\"certain\":true,\"mptcp\":true}");

        /* The same without an inode: the 0 is the kernel's way to say nothing. */
        h.no_process = h.socket.mptcp = false;
        h.socket.automatic = h.socket.reuse = TRI_UNKNOWN;
        h.kind = KIND_STALE;
        h.socket.inode = 0;
        h.socket.state = SOCKET_TIME_WAIT;
        h.socket.remote = (Address){ .family = AF_INET6 };
        h.socket.remote.in6.s6_addr[15] = 1;
        h.socket.remote_port = 5;
        assert_json(json_from_holder(&h), "{\"kind\":\"stale\",\"state\":\"TIME_WAIT\",\"local\":"
                                          "\"[::]:80\",\"remote\":\"[::1]:5\","
                                          "\"unit\":null,\"cgroup\":null,\"pid\":null,\"exe\":null,"
                                          "\"uid\":null,\"since\":null," REST_UNKNOWN);
}

static void test_reservation(void **state)
{
        Reservation r = {
                .name = (char *) "web",
                .unit = (char *) "lighttpd.service",
                .uid = UID_INVALID,
                .hold = HOLD_LISTEN,
                .file = "/etc/portreserved.conf",
                .line = 12,
        };

        assert_json(json_from_reservation(&r),
                    "{\"name\":\"web\",\"unit\":\"lighttpd.service\",\"user\":null,"
                    "\"source\":\"/etc/"
                    "portreserved.conf:12\",\"socket_unit\":null,\"hold\":\"listen\",\"exclusive\":"
                    "\"no\","
                    "\"enforced\":false}");
        r.unit = NULL;
        r.user = (char *) "postgres";
        r.hold = HOLD_SHARED;
        r.exclusive = EXCLUSIVE_AUDIT;
        r.file = NULL;
        assert_json(json_from_reservation(&r),
                    "{\"name\":\"web\",\"unit\":null,\"user\":\"postgres\",\"source\":null,"
                    "\"socket_unit\":null,\"hold\":\"shared\",\"exclusive\":\"audit\",\"enforced\":"
                    "false}");
}

static void test_endpoint(void **state)
{
        Endpoint e = { .protocol = IPPROTO_UDP, .port = 5000, .last = 5010 };

        assert_json(json_from_endpoint(&e, 5002, 5004, "none", true, false, NULL),
                    "{\"protocol\":\"udp\",\"address\":\"*\",\"port\":5002,\"last\":5004,"
                    "\"state\":\"none\",\"reserved\":true,\"restart_needed\":false,\"collision\":"
                    "null}");

        e.protocol = IPPROTO_TCP;
        e.address = (Address){ .family = AF_INET6 };
        e.address.in6.s6_addr[15] = 1;
        assert_json(json_from_endpoint(&e, 5000, 5000, "pending", false, true,
                                       json_pack("{s:s}", "kind", "x")),
                    "{\"protocol\":\"tcp\",\"address\":\"::1\",\"port\":5000,\"last\":5000,"
                    "\"state\":\"pending\",\"reserved\":false,\"restart_needed\":true,"
                    "\"collision\":{\"kind\":\"x\"}}");
}

static void test_error(void **state)
{
        assert_json(
                json_error_object("NotFound", "no reservation 'a\xff'", 4),
                "{\"error\":\"NotFound\",\"message\":\"no reservation 'a\\\\xff'\",\"exit\":4}");
}

static void test_diagnostics(void **state)
{
        Diagnostic errors[] = {
                { .file = "a.conf", .line = 3, .message = (char *) "port 0; write 1 to 65535" },
                { .file = "b\xff.conf", .line = 0, .message = (char *) "cannot be read" },
        };
        Diagnostic warning = { .file = "a.conf", .line = 9, .message = (char *) "no effect" };
        Config c = {};

        assert_json(json_from_diagnostics(&c), "{\"errors\":[],\"warnings\":[]}");
        c.errors = errors;
        c.n_errors = 2;
        c.warnings = &warning;
        c.n_warnings = 1;
        assert_json(json_from_diagnostics(&c),
                    "{\"errors\":[{\"file\":\"a.conf\",\"line\":3,\"message\":\"port 0; write 1 to "
                    "65535\"},{\"file\":\"b\\\\xff.conf\",\"line\":null,\"message\":\"cannot be "
                    "read\"}],\"warnings\":[{\"file\":\"a.conf\",\"line\":9,\"message\":\"no "
                    "effect\"}]}");
        c.n_errors = 0;
        c.n_warnings = 0;
        c.n_errors_dropped = 7;
        assert_json(json_from_diagnostics(&c),
                    "{\"errors\":[],\"warnings\":[],\"errors_dropped\":7}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_time),
                cmocka_unit_test(test_holder_unknown),
                cmocka_unit_test(test_holder_connection),
                cmocka_unit_test(test_holder_listener),
                cmocka_unit_test(test_reservation),
                cmocka_unit_test(test_endpoint),
                cmocka_unit_test(test_error),
                cmocka_unit_test(test_diagnostics),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
