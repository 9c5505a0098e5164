/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reader in front of inih: line numbers, continuations, comments, what is no text, what is too
 * long; applied.conf's text; and sizes that nobody writes by hand. */

#include "config-text-fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/endpoint.h"
#include "tests/config-equal.h"

static void test_line_numbers(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("# one\r\n"
                                                          "; two\r\n"
                                                          "\r\n"
                                                          "[a]\r\n"
                                                          "Ports=1\r\n"
                                                          "  \r\n"
                                                          "Ports=0\r\n"
                                                          "# eight\r\n"
                                                          "Frobnicate=9\r\n"
                                                          "Ports=nosuch");

        assert_int_equal(c->n_errors, 3);
        assert_int_equal(c->errors[0].line, 7);
        assert_int_equal(c->errors[1].line, 9);
        assert_int_equal(c->errors[2].line, 10); /* no newline at the end */
        assert_int_equal(config_find(c, "a")->line, 4);
}

static void test_bom(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("\xef\xbb\xbf[a]\nPorts=1\n");

        assert_int_equal(c->n_errors, 0);
        assert_int_equal(config_find(c, "a")->line, 1);
}

static void test_continuation(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("[a]\n"
                                                          "Ports=1/tcp\n"
                                                          "   2/tcp 3/tcp\n"
                                                          "\n"
                                                          "# between\n"
                                                          "\t4/tcp   # why\n"
                                                          "Ports=5/tcp \\\n"
                                                          "6/tcp \\\n"
                                                          "# between\n"
                                                          "7/tcp\n"
                                                          "Ports=\\\n"
                                                          "  8/tcp\n"
                                                          "ListenStream=100\n"
                                                          "  [::1]:101\n"
                                                          "  Hold=bound\n"
                                                          "  [b]\n"
                                                          "  Ports=200/tcp\n");
        const Reservation *a = config_find(c, "a");

        assert_int_equal(c->n_errors, 0);
        assert_int_equal(a->n_endpoints, 10);
        for (unsigned i = 0; i < 8; i++)
                assert_int_equal(a->endpoints[i + 2].port, i + 1);
        assert_int_equal(a->endpoints[2 + 3].line, 6);
        assert_int_equal(a->endpoints[2 + 6].line, 10);
        assert_int_equal(a->endpoints[0].port, 100);
        assert_int_equal(a->endpoints[1].port, 101);
        assert_int_equal(a->hold, HOLD_BOUND);
        assert_int_equal(config_find(c, "b")->endpoints[0].port, 200);

        fixture_expect_error("[a]\nPorts=1\nUnit=a.service\n  b.service\n", 4, "continues Unit=");
        fixture_expect_error("[a]\nPorts=1\nDescription=one \\\ntwo\n", 4,
                             "continues Description=");
}

static void test_comments(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("[a] ; here\n"
                                                          "Ports=80 # there\n"
                                                          "Description=a#b;c\n"
                                                          "Unit=x.service\t; and\n"
                                                          "   # indented\n"
                                                          "#Ports=0\n");

        assert_int_equal(c->n_errors, 0);
        assert_string_equal(config_find(c, "a")->description, "a#b;c");
        assert_string_equal(config_find(c, "a")->unit, "x.service");
}

static void test_malformed_lines(void **state)
{
        fixture_expect_error("[a]\nPorts=1\nHold\n", 3, "no KEY=VALUE");
        fixture_expect_error("[a]\nPorts=1\nHold: bound\n", 3, "no KEY=VALUE");
        fixture_expect_error("[a]\nPorts=1\nHold:x=bound\n", 3, "no KEY=VALUE");
        fixture_expect_error("[a]\nPorts=1\n=5\n", 3, "no KEY=VALUE");
        fixture_expect_error("[a]\n   5\nPorts=1\n", 2, "no KEY=VALUE");
        fixture_expect_error("[a]\nPorts=1\nHold=bo\001und\n", 3, "not text");
        fixture_expect_error("[a]\nPorts=1\nDescription=\xff\xfe\n", 3, "not text");
        fixture_expect_error("[a]\nPorts=1\nHold=no\rne\n", 3, "not text");
}

static void test_long_lines(void **state)
{
        char text[4096], value[2048];

        /* The longest that goes through whole, and the first that does not; then one longer than
         * anything is read into. */
        for (size_t n = 150; n < 1100; n++) {
                _cleanup_(config_freep) Config *c = NULL;

                memset(value, 'x', n);
                value[n] = 0;
                snprintf(text, sizeof(text), "[a]\nPorts=1\nDescription=%s\nPorts=2\n", value);
                c = fixture_parse(text);
                if (c->n_errors == 0) {
                        assert_string_equal(config_find(c, "a")->description, value);
                        assert_true(n + strlen("Description=") <= 197);
                } else {
                        assert_int_equal(c->n_errors, 1);
                        assert_int_equal(c->errors[0].line, 3);
                        assert_non_null(strstr(c->errors[0].message, "longer than"));
                        assert_null(config_find(c, "a")->description);
                        assert_true(n + strlen("Description=") > 197);
                }
                /* The rest of the file is as if the line were not there. */
                assert_int_equal(config_find(c, "a")->n_endpoints, 4);
        }

        /* A comment may be as long as it likes. */
        memset(value, 'x', 2000);
        value[2000] = 0;
        snprintf(text, sizeof(text), "[a]\nPorts=1 # %s\n#%.1500s\n", value, value);
        {
                _cleanup_(config_freep) Config *c = fixture_parse(text);

                assert_int_equal(c->n_errors, 0);
        }

        /* A section's name that is too long takes its keys with it. */
        snprintf(text, sizeof(text), "[a]\nPorts=1\n[%.1500s]\nPorts=2\n", value);
        fixture_expect_error(text, 3, "longer than");
        snprintf(text, sizeof(text), "[a]\nPorts=1\n[%.100s]\nPorts=2\n", value);
        fixture_expect_error(text, 3, "longer than");
}

static void test_binary(void **state)
{
        static char data[1u << 20];
        static const char head[] = "[a]\nPorts=1\nHold=shared\0\nPorts=2\n";

        srand(3);
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char) rand();
        {
                _cleanup_(config_freep) Config *c = fixture_parse_size(data, sizeof(data), false);

                /* Said a few times, not once for each of 4,000 lines. */
                assert_in_range(c->n_errors, 1, 60);
                assert_int_equal(c->n_errors_dropped, 0);
                for (size_t i = 0; i < c->n_errors; i++)
                        for (const char *p = c->errors[i].message; *p; p++)
                                assert_true((unsigned char) *p >= ' ' && *p != 127);
        }
        {
                _cleanup_(config_freep) Config *c =
                        fixture_parse_size(head, sizeof(head) - 1, false);

                assert_int_equal(c->n_errors, 1);
                assert_int_equal(c->errors[0].line, 3);
                assert_int_equal(config_find(c, "a")->n_endpoints, 4);
                assert_int_equal(config_find(c, "a")->hold, HOLD_NONE);
        }
}

static void test_every_prefix(void **state)
{
        static const char text[] =
                "\xef\xbb\xbf[Daemon]\nScanIntervalSec=2s\n[a]\nPorts=80 81 \\\n 90-95/tcp # "
                "x\nListenStream=[::1]:7\n"
                "Hold=bound\nBacklog=5\n[Pool p]\nPorts=1000-2000\nUsers=alice root\n";

        for (size_t n = 0; n <= strlen(text); n++) {
                /* Without a byte behind it that could be read by mistake. */
                char *copy = malloc(n ? n : 1);

                assert_non_null(copy);
                memcpy(copy, text, n);
                config_free(fixture_parse_size(copy, n, false));
                free(copy);
        }
}

static void test_many_lines(void **state)
{
        static const char *const shapes[] = {
                "Ports=%u/tcp\n",
                "Ports=1-65535\n",
                "Ports=0\n",
                "Ports=80\n",
                "Hold=bound\n",
                "Evict=any\n",
                "[r%u]\n",
                "Frobnicate=%u\n",
                "[Pool p%u]\nPorts=1-65535\n",
                "[r%u]\nPorts=1-65535\n",
                "[r%u]\nPorts=%u/udp\n",
        };

        for (size_t s = 0; s < ELEMENTSOF(shapes); s++) {
                _cleanup_(config_freep) Config *c = NULL;
                _cleanup_(freep) char *text = NULL;
                size_t size;
                FILE *f = open_memstream(&text, &size);

                fputs("[a]\n", f);
                for (unsigned i = 0; i < 100000; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                        fprintf(f, shapes[s], i % 65535 + 1, i % 65535 + 1);
#pragma GCC diagnostic pop
                }
                fclose(f);
                c = fixture_parse_size(text, size, false);
                assert_true(c->n_errors <= 1000 && c->n_warnings <= 1000);
                if (s == 0)
                        assert_int_equal(config_find(c, "a")->n_endpoints, 65535);
                if (s == 1)
                        assert_int_equal(config_find(c, "a")->n_endpoints, 2);
                /* Of 65,535 names 1,000 are taken, once and again: 98,000 headers are too many; 999
                 * of the taken ones overlap the first; and [a] is empty. */
                if (strncmp(shapes[s], "[Pool", 5) == 0)
                        assert_int_equal(c->n_errors + c->n_errors_dropped, 98000 + 999 + 1);
                if (s == 2)
                        assert_int_equal(c->n_errors + c->n_errors_dropped, 100000);
        }
}

static void expect_round_trip(const Config *c)
{
        _cleanup_(config_freep) Config *d = NULL;
        _cleanup_(freep) char *text = NULL, *again = NULL;
        size_t size;

        assert_int_equal(config_format(c, &text, &size), 0);
        d = fixture_parse_size(text, size, true);
        if (d->n_errors > 0)
                fail_msg("line %u of its own text: %s", d->errors[0].line, d->errors[0].message);
        assert_true(config_equal(c, d));
        assert_int_equal(config_format(d, &again, NULL), 0);
        assert_string_equal(text, again);
        for (size_t i = 0; i < c->n_reservations; i++) {
                assert_string_equal(c->reservations[i]->file, d->reservations[i]->file);
                assert_int_equal(c->reservations[i]->line, d->reservations[i]->line);
        }
}

static void test_round_trip(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse(
                "[Daemon]\nScanIntervalSec=250ms\nScanBudgetPercent=3\nSocketUnits="
                "no\nEphemeralFloor=0\nAlertIntervalSec=0\n"
                "AlertUnit=alert@.service\nExclusive=audit\nExclusiveOnExit=keep\nPortserverSocket="
                "@x\nPortreserveDirectory=/x\n"
                "MetricsFile=/var/lib/x.prom\n"
                "[a]\nPorts=http domain 100-200 "
                "150\nUser=alice\nUnit=b@1.service\nHold=bound\nReuseAddress=always\nEvict=any\n"
                "Exclusive=no\nAlertUnit=b@.service\nDescription=It's \"a\"; 100% [ok] = # x\n"
                "[b]\nListenStream=443\nListenDatagram=[fe80::1]:444%3\nBindIPv6Only=ipv6-"
                "only\nBacklog=7\nPorts=443\n"
                "[c]\nPorts=1\nUser=root\n"
                "[Pool p]\nPorts=20000-20999 30000\nUsers=alice "
                "root\nMaxPerUser=5\nMaxLeaseSec=1h\n");

        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_reservations, 3);
        expect_round_trip(c);
}

static void test_equal_sees_every_key(void **state)
{
        static const char base[] =
                "[Daemon]\n[a]\nPorts=80/tcp\nListenStream=90\n[Pool p]\nPorts=1000\n";
        static const char *const changes[] = {
                "[Daemon]\nScanIntervalSec=2s\n",
                "[Daemon]\nScanBudgetPercent=2\n",
                "[Daemon]\nSocketUnits=no\n",
                "[Daemon]\nEphemeralFloor=1\n",
                "[Daemon]\nAlertIntervalSec=1s\n",
                "[Daemon]\nAlertUnit=x@.service\n",
                "[Daemon]\nExclusive=yes\n",
                "[Daemon]\nExclusiveOnExit=keep\n",
                "[Daemon]\nPortserverSocket=/x\n",
                "[Daemon]\nPortreserveDirectory=/x\n",
                "[Daemon]\nMetricsFile=/x\n",
                "[a]\nPorts=81\n",
                "[a]\nListenStream=91\n",
                "[a]\nUnit=x.service\n",
                "[a]\nUser=alice\n",
                "[a]\nHold=bound\n",
                "[a]\nReuseAddress=no\n",
                "[a]\nExclusive=yes\n",
                "[a]\nEvict=any\n",
                "[a]\nAlertUnit=x@.service\n",
                "[a]\nDescription=x\n",
                "[a]\nBacklog=1\n",
                "[b]\nPorts=5\n",
                "[Pool p]\nPorts=1001\n",
                "[Pool p]\nUsers=alice\n",
                "[Pool p]\nMaxPerUser=1\n",
                "[Pool p]\nMaxLeaseSec=1\n",
                "[Pool q]\nPorts=5\n",
        };
        _cleanup_(config_freep) Config *c = fixture_parse(base), *same = fixture_parse(base);

        assert_true(config_equal(c, same));
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                _cleanup_(config_freep) Config *d = NULL;
                char text[512];

                snprintf(text, sizeof(text), "%s%s", base, changes[i]);
                d = fixture_parse(text);
                assert_int_equal(d->n_errors, 0);
                if (config_equal(c, d))
                        fail_msg("no difference seen: %s", changes[i]);
                expect_round_trip(d);
        }
}

static void test_random_round_trips(void **state)
{
        static const char *const lines[] = {
                "[a]",
                "[b]",
                "[c@1]",
                "[Daemon]",
                "[Pool p]",
                "[Pool q]",
                "Ports=80",
                "Ports=1-100/tcp",
                "Ports=90-300",
                "Ports=http domain",
                "  ntp 77",
                "Ports=",
                "ListenStream=80",
                "ListenStream=127.0.0.1:81",
                "ListenStream=[::]:82",
                "ListenDatagram=0.0.0.0:83",
                "ListenStream=",
                "BindIPv6Only=ipv6-only",
                "Backlog=9",
                "Hold=bound",
                "Hold=shared",
                "Hold=listen",
                "Hold=none",
                "Hold=",
                "User=alice",
                "User=mallory",
                "User=",
                "Unit=x.service",
                "Unit=",
                "Exclusive=yes",
                "Evict=ephemeral",
                "Description=x y",
                "ReuseAddress=no",
                "Ports=0",
                "nonsense",
                "Users=root",
                "MaxPerUser=3",
                "EphemeralFloor=7",
                "Ports=60000-65535 \\",
                "[bad",
        };

        srand(11);
        for (unsigned round = 0; round < 3000; round++) {
                _cleanup_(config_freep) Config *c = NULL;
                char text[4096] = "";
                size_t n = 0;

                for (unsigned i = (unsigned) rand() % 40; i > 0; i--)
                        n += (size_t) snprintf(text + n, sizeof(text) - n, "%s\n",
                                               lines[(size_t) rand() % ELEMENTSOF(lines)]);
                c = fixture_parse(text);
                expect_round_trip(c);
        }
}

static void test_source(void **state)
{
        static const char text[] = "[a]\nSource=/etc/portreserved.conf.d/x.conf:17\nPorts=80\n";
        _cleanup_(config_freep) Config *c = fixture_parse_size(text, strlen(text), true);
        const Reservation *r = config_find(c, "a");

        assert_int_equal(c->n_errors, 0);
        assert_string_equal(r->file, "/etc/portreserved.conf.d/x.conf");
        assert_int_equal(r->line, 17);
        assert_string_equal(r->endpoints[0].file, "/etc/portreserved.conf.d/x.conf");
        assert_int_equal(r->endpoints[0].line, 17);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_line_numbers),
                cmocka_unit_test(test_bom),
                cmocka_unit_test(test_continuation),
                cmocka_unit_test(test_comments),
                cmocka_unit_test(test_malformed_lines),
                cmocka_unit_test(test_long_lines),
                cmocka_unit_test(test_binary),
                cmocka_unit_test(test_every_prefix),
                cmocka_unit_test(test_many_lines),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_equal_sees_every_key),
                cmocka_unit_test(test_random_round_trips),
                cmocka_unit_test(test_source),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
