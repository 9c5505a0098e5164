/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config-text-fixture.h"

#include <stdio.h>
#include <stdlib.h>

static void test_example(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[Daemon]\n"
                              "ScanIntervalSec=1s            # listeners and bound sockets\n"
                              "EphemeralFloor=4096\n"
                              "AlertUnit=                    # none\n"
                              "\n"
                              "[redis-server]                # owner\n"
                              "Ports=6379/tcp                # 'N', 'N-M'\n"
                              "Hold=bound\n"
                              "[web]\n"
                              "ListenStream=443\n"
                              "ListenStream=127.0.0.1:8443\n"
                              "Unit=lighttpd.service\n"
                              "[Pool ci]\n"
                              "Ports=20000-20999\n");
        const Reservation *r;
        PortSet ports;

        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_warnings, 1); /* the pool */
        assert_int_equal(c->warnings[0].line, 13);
        assert_int_equal(c->n_reservations, 2);

        r = config_find(c, "redis-server");
        assert_non_null(r);
        assert_string_equal(r->unit, "redis-server.service");
        assert_false(r->unit_explicit);
        assert_int_equal(r->hold, HOLD_BOUND);
        assert_int_equal(r->line, 6);
        assert_int_equal(r->n_endpoints, 1);
        assert_int_equal(r->endpoints[0].protocol, IPPROTO_TCP);
        assert_int_equal(r->endpoints[0].port, 6379);
        assert_int_equal(r->endpoints[0].address.family, AF_UNSPEC);
        assert_int_equal(r->endpoints[0].line, 7);

        r = config_find(c, "web");
        assert_int_equal(r->hold, HOLD_LISTEN);
        assert_string_equal(r->unit, "lighttpd.service");
        assert_int_equal(r->endpoints[1].address.family, AF_INET);

        config_ports(c, &ports);
        assert_int_equal(portset_count(&ports), 3);
        assert_int_equal(c->n_pools, 1);
        assert_int_equal(portset_count(&c->pools[0]->ports), 1000);
        assert_null(config_find(c, "ci"));
        assert_null(config_find(c, "nobody"));
}

static void test_defaults(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("");

        assert_int_equal(c->n_errors + c->n_warnings, 0);
        assert_true(c->daemon.scan_interval_usec == 1000000);
        assert_int_equal(c->daemon.scan_budget_percent, 1);
        assert_true(c->daemon.socket_units);
        assert_int_equal(c->daemon.ephemeral_floor, 4096);
        assert_true(c->daemon.alert_interval_usec == 10000000);
        assert_int_equal(c->daemon.exclusive, EXCLUSIVE_NO);
}

static void test_reset_scalars(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[Daemon]\nEphemeralFloor=9\nEphemeralFloor=\nScanIntervalSec="
                              "2s\nScanIntervalSec=\n"
                              "[a]\nPorts=80\nUnit=b.service\nUnit=\nHold=shared\nHold="
                              "\nDescription=x\nDescription=\n"
                              "ReuseAddress=always\nReuseAddress=\n");
        const Reservation *r = config_find(c, "a");

        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->daemon.ephemeral_floor, 4096);
        assert_true(c->daemon.scan_interval_usec == 1000000);
        assert_string_equal(r->unit, "a.service");
        assert_false(r->unit_explicit);
        assert_int_equal(r->hold, HOLD_NONE);
        assert_false(r->hold_explicit);
        assert_null(r->description);
        assert_int_equal(r->reuse, REUSE_YES);
}

static void test_lists(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse(
                "[a]\nPorts=1 2/tcp\nPorts=\nPorts=10-12/udp http\nPorts=domain 3com-tsmux\n"
                "[b]\nListenStream=1000\nListenDatagram=1001\nListenStream=\nListenStream=1002\n"
                "[b]\nListenDatagram=1003\n");
        const Reservation *a = config_find(c, "a"), *b = config_find(c, "b");

        assert_int_equal(c->n_errors + c->n_warnings, 0);
        assert_int_equal(a->n_endpoints, 5);
        assert_int_equal(a->endpoints[0].last, 12);
        assert_int_equal(a->endpoints[0].protocol, IPPROTO_UDP);
        assert_int_equal(a->endpoints[1].port, 80);
        assert_int_equal(a->endpoints[1].protocol, IPPROTO_TCP);
        assert_int_equal(a->endpoints[2].port, 53);
        assert_int_equal(a->endpoints[3].port, 53);
        assert_int_equal(a->endpoints[4].port, 106);
        /* As in unit files an empty ListenStream= takes back ListenDatagram= as well; the second
         * [b] goes on with the first. */
        assert_int_equal(b->n_endpoints, 2);
        assert_int_equal(b->endpoints[0].port, 1002);
        assert_int_equal(b->endpoints[1].port, 1003);
        assert_int_equal(b->endpoints[1].protocol, IPPROTO_UDP);
}

static void test_ports_mistakes(void **state)
{
        static const struct {
                const char *value, *message;
        } rows[] = {
                { "0", "port 0" },
                { "65536", "too large" },
                { "99999999999999999999999", "too large" },
                { "90-80", "write 80-90" },
                { "-5", "negative" },
                { "-5-7", "negative" },
                { "5-", "has no end" },
                { "5--7", "no port" },
                { "+5", "no port" },
                { "080", "without" },
                { "1-65536", "too large" },
                { "0-10", "port 0" },
                { "80,443", "comma" },
                { "80/sctp", "protocol" },
                { "80/", "protocol" },
                { "80/TCP", "protocol" },
                { "/tcp", "no port before" },
                { "nosuch", "no service" },
                { "ntp/tcp", "write ntp/udp" },
                { "127.0.0.1:80", "ListenStream" },
                { "0x50", "no service" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char text[256];

                snprintf(text, sizeof(text), "[a]\nPorts=4000\n\nPorts=%s\n", rows[i].value);
                fixture_expect_error(text, 4, rows[i].message);
        }
}

static void test_listen_values(void **state)
{
        static const struct {
                const char *value, *canonical;
        } rows[] = {
                { "443", "*:443" },
                { "127.0.0.1:1", "127.0.0.1:1" },
                { "0.0.0.0:65535", "0.0.0.0:65535" },
                { "[::1]:80", "[::1]:80" },
                { "[::]:80", "[::]:80" },
                { "[fe80::1]:80%7", "[fe80::1%7]:80" },
                { "[fe80::1%7]:80", "[fe80::1%7]:80" },
                { "[::ffff:10.0.0.1]:80", "10.0.0.1:80" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(config_freep) Config *c = NULL;
                char text[256], buf[ADDRESS_PORT_TEXT_MAX];
                const Endpoint *e;

                snprintf(text, sizeof(text), "[a]\nListenStream=%s\n", rows[i].value);
                c = fixture_parse(text);
                assert_int_equal(c->n_errors, 0);
                e = &config_find(c, "a")->endpoints[0];
                assert_true(e->listen);
                assert_string_equal(address_format_port(&e->address, e->port, buf),
                                    rows[i].canonical);
        }
}

static void test_listen_mistakes(void **state)
{
        static const struct {
                const char *value, *message;
        } rows[] = {
                { "/run/x.sock", "is a path" },
                { "@name", "abstract" },
                { "vsock:2:80", "VSOCK" },
                { "vsock-stream:2:80", "VSOCK" },
                { "443/tcp", "has a protocol" },
                { "443 444", "more than one" },
                { "*:80", "port alone" },
                { ":80", "port alone" },
                { "::1:80", "write [::1]:80" },
                { "localhost:80", "names are not looked up" },
                { "127.0.0.1", "has no port" },
                { "127.0.0.1:0", "port 0" },
                { "127.0.0.1:65536", "too large" },
                { "127.0.0.1:-1", "no port" },
                { "256.0.0.1:80", "no address" },
                { "[::1]", "write it as" },
                { "[::1", "write it as" },
                { "[127.0.0.1]:80", "no IPv6 address" },
                { "[::g]:80", "no IPv6 address" },
                { "[fe80::1%nosuchdevice]:80", "interface" },
                { "0", "port 0" },
                { "http", "no port" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char text[256];

                snprintf(text, sizeof(text), "[a]\nPorts=4000\nListenStream=%s\n", rows[i].value);
                fixture_expect_error(text, 3, rows[i].message);
        }
}

static void test_key_mistakes(void **state)
{
        static const struct {
                const char *section, *line, *message;
        } rows[] = {
                { "a", "Prots=80", "did you mean Ports=?" },
                { "a", "ports=80", "did you mean Ports=?" },
                { "a", "FreeBnd=yes", "did you mean FreeBind=?" },
                { "a", "Frobnicate=1", "unknown key" },
                { "a", "ScanIntervalSec=1s", "belongs to [Daemon]" },
                { "Daemon", "Hold=bound", "belongs to a reservation" },
                { "Daemon", "ScanIntervalSec=1ms", "50ms" },
                { "Daemon", "ScanIntervalSec=0", "50ms" },
                { "Daemon", "ScanIntervalSec=2h", "1h" },
                { "Daemon", "ScanBudgetPercent=0", "1 to 100" },
                { "Daemon", "ScanBudgetPercent=101", "1 to 100" },
                { "Daemon", "EphemeralFloor=65536", "0 to 65535" },
                { "Daemon", "SocketUnits=maybe", "yes or no" },
                { "Daemon", "AlertUnit=x.service", "template" },
                { "Daemon", "ExclusiveOnExit=no", "keep or drop" },
                { "Daemon", "MetricsFile=relative", "absolute" },
                { "Daemon", "PortserverSocket=relative", "absolute" },
                { "a", "Hold=yes", "none, shared, bound or listen" },
                { "a", "Hold=listen", "needs an address" },
                { "a", "ReuseAddress=maybe", "yes, no or always" },
                { "a", "Exclusive=maybe", "audit" },
                { "a", "Evict=all", "ephemeral" },
                { "a", "Unit=nginx", "full name" },
                { "a", "Unit=nginx.socket", "full name" },
                { "a", "Unit=app@.service", "full name" },
                { "a", "Unit=a/b.service", "full name" },
                { "a", "User=mallory", "no user" },
                { "a", "AlertUnit=x@1.service", "template" },
                { "a", "Accept=yes", "template service" },
                { "a", "Service=x.service", "Unit=" },
                { "a", "ListenFIFO=/x", "no port" },
                { "a", "ListenSequentialPacket=/x", "no port" },
                { "a", "ExecStartPre=/bin/true", "command" },
                { "a", "Symlinks=/x", "file system" },
                { "a", "Backlog=5", "has none" },
                { "a", "FreeBind=perhaps", "yes or no" },
                { "a", "BindIPv6Only=yes", "ipv6-only" },
                { "a", "FileDescriptorName=a:b", "printable" },
                { "a", "SocketProtocol=sctp", "mptcp" },
                { "a", "BindToDevice=%i", "specifier" },
                { "Pool p", "Users=mallory", "no user" },
                { "Pool p", "MaxPerUser=-1", "number of ports" },
                { "Pool p", "Ports=80/tcp", "both" },
                { "a", "Source=/etc/x:1", "unknown key" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char text[256];

                snprintf(text, sizeof(text), "[%s]\n%s\n[%s]\nPorts=4000\n", rows[i].section,
                         rows[i].line,
                         strcmp(rows[i].section, "Daemon") == 0 ? "z" : rows[i].section);
                fixture_expect_error(text, 2, rows[i].message);
        }
}

static void test_sections(void **state)
{
        static const struct {
                const char *header, *message;
        } rows[] = {
                { "[Pool]", "no name" },
                { "[Pool a b]", "no name of" },
                { "[a b]", "no name of" },
                { "[]", "no name of" },
                { "[a/b]", "no name of" },
                { "[act]", "portreserved's own unit" },
                { "[a@]", "no name of" },
                { "[@a]", "no name of" },
                { "[a", "closing bracket" },
                { "[a123456789012345678901234567890123456789012345678]", "longer than 48" },
                { "[Pool a123456789012345678901234567890123456789012345678]", "longer than 48" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char text[256];

                /* What stands in it belongs to nothing: not to the section before. */
                snprintf(text, sizeof(text), "[ok]\nPorts=4000\n%s\nPorts=80\nFrobnicate=1\n",
                         rows[i].header);
                fixture_expect_error(text, 3, rows[i].message);
        }
        fixture_expect_error("[a]\nPorts=1\n[b]\n", 3, "names no port");
        fixture_expect_error("[a]\nPorts=1\n[Pool b]\n", 3, "names no port");
        fixture_expect_error("Ports=1\nHold=none\n[a]\nPorts=2\n", 1, "before any [section]");
        fixture_expect_error("[a] b\nPorts=2\n", 1, "behind the section");
}

static void test_mistake_costs_itself(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[a]\nPorts=80 0 81\nPorts=nosuch\nHold=perhaps\nUnit=x.service\n"
                              "[b]\nPorts=nosuch\n"
                              "[c]\nPorts=82\n");
        const Reservation *r = config_find(c, "a");

        assert_int_equal(c->n_errors, 4);
        assert_int_equal(c->n_reservations, 2);
        assert_int_equal(r->n_endpoints, 4);
        assert_string_equal(r->unit, "x.service");
        assert_true(r->damaged);
        assert_null(config_find(c, "b"));
        assert_non_null(config_find(c, "c"));
}

static void test_hold_rules(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[a]\nUser=alice\nPorts=1\nHold=shared\n"
                              "[b]\nUser=alice\nListenStream=2\n"
                              "[c]\nUser=alice\nUnit=c.service\nListenStream=3\n"
                              "[d]\nListenStream=4\nPorts=5\n"
                              "[e]\nListenStream=6\nHold=bound\n");
        const Reservation *d = config_find(c, "d");

        assert_int_equal(c->n_errors, 0);
        assert_null(config_find(c, "a")->unit);
        assert_int_equal(config_find(c, "a")->uid, 1000);
        assert_int_equal(config_find(c, "b")->hold, HOLD_NONE); /* nobody to pass it to */
        assert_int_equal(config_find(c, "c")->hold, HOLD_LISTEN);
        assert_int_equal(config_find(c, "e")->hold, HOLD_BOUND);
        for (size_t i = 0; i < d->n_endpoints; i++)
                assert_int_equal(reservation_endpoint_hold(d, &d->endpoints[i]),
                                 d->endpoints[i].listen ? HOLD_LISTEN : HOLD_NONE);

        fixture_expect_error("[a]\nUser=alice\nPorts=1\nHold=bound\n", 4, "needs a unit");
        fixture_expect_error("[a]\nHold=listen\nUser=alice\nListenStream=1\n", 2, "needs a unit");
}

/* A user who is not there (yet) does not turn the port into a service's. */
static void test_unknown_user(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("[a]\nUser=mallory\nListenStream=1\n");
        const Reservation *a = config_find(c, "a");

        assert_int_equal(c->n_errors, 1);
        assert_null(a->unit);
        assert_string_equal(a->user, "mallory");
        assert_true(a->uid == UID_INVALID);
        assert_int_equal(a->hold, HOLD_NONE);
}

static void test_socket_keys(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse(
                "[a]\nBacklog=5\nBacklog=6\nFreeBind=yes\nFreeBind=\nBindIPv6Only=ipv6-only\n"
                "ListenStream=443\nListenStream=[::1]:444\nListenStream=0.0.0.0:443\nAccept=no\n"
                "[b]\nListenStream=1\nHold=bound\nBacklog=7\n");
        const Reservation *a = config_find(c, "a");

        assert_int_equal(c->n_errors, 0);
        assert_int_equal(a->n_socket_keys, 3);
        assert_string_equal(reservation_socket_key(a, "Backlog")->value, "6");
        assert_null(reservation_socket_key(a, "FreeBind"));
        assert_true(a->endpoints[0].v6only);
        assert_int_equal(a->endpoints[0].address.family, AF_INET6);
        assert_false(a->endpoints[1].v6only);
        assert_int_equal(a->n_endpoints, 3);
        assert_int_equal(c->n_warnings, 1);
        assert_int_equal(c->warnings[0].line, 14);
}

static void test_no_effect_yet(void **state)
{
        static const char *const lines[] = {
                "[Daemon]\nExclusive=yes\n",
                "[Daemon]\nExclusiveOnExit=keep\n",
                "[Daemon]\nPortserverSocket=@x\n",
                "[Daemon]\nMetricsFile=/x\n",
                "[a]\nExclusive=audit\n[a]\nPorts=1\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_(config_freep) Config *c = fixture_parse(lines[i]);

                assert_int_equal(c->n_errors, 0);
                assert_int_equal(c->n_warnings, 1);
                assert_int_equal(c->warnings[0].line, 2);
                assert_non_null(strstr(c->warnings[0].message, "no effect in this build"));
        }
}

static void test_overlaps(void **state)
{
        fixture_expect_error("[a]\nPorts=80\n[b]\nPorts=80/tcp\n", 4, "reserved by [a]");
        fixture_expect_error("[a]\nPorts=80/udp\n[b]\nPorts=70-90\n", 4, "80/udp");
        fixture_expect_error("[a]\nPorts=70-90\n[b]\nListenStream=127.0.0.1:80\n", 4,
                             "reserved by [a]");
        fixture_expect_error("[a]\nListenStream=127.0.0.1:80\n[b]\nPorts=1-65535\n", 4,
                             "reserved by [a]");
        fixture_expect_error("[a]\nListenStream=127.0.0.1:80\n[b]\nListenStream=80\n", 4,
                             "reserved by [a]");
        fixture_expect_error("[a]\nListenStream=127.0.0.1:80\n[b]\nListenStream=[::]:80\n", 4,
                             "reserved by [a]");
        fixture_expect_error("[a]\nListenStream=[::]:80\n[b]\nListenStream=10.0.0.1:80\n", 4,
                             "reserved by [a]");
        fixture_expect_error("[a]\nListenStream=80\nListenStream=80\n", 3, "already");
        fixture_expect_error("[a]\nListenStream=80\nListenStream=127.0.0.1:80\n", 3, "includes it");
        fixture_expect_error("[a]\nListenStream=127.0.0.1:80\nPorts=70-90\nHold=bound\n", 3,
                             "includes");
        fixture_expect_error("[a]\nPorts=20005\n[Pool p]\nPorts=20000-20999\n", 3,
                             "reserved by [a]");
        fixture_expect_error("[Pool p]\nPorts=20000-20999\n[a]\nPorts=20005\n", 1,
                             "reserved by [a]");
        fixture_expect_error("[Pool p]\nPorts=20000-20999\n[Pool q]\nPorts=20999\n", 3,
                             "another pool");
}

static void test_overlap_leaves_out_whole(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[a]\nPorts=80\n[b]\nPorts=81\nPorts=80\n[c]\nPorts=81\n");

        assert_int_equal(c->n_errors, 1);
        assert_int_equal(c->n_reservations, 2);
        assert_null(config_find(c, "b"));
        assert_non_null(config_find(c, "c")); /* what b had is free again */
}

static void test_no_overlap(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[a]\nPorts=80/tcp\n[b]\nPorts=80/udp\n"
                              "[c]\nListenStream=127.0.0.1:443\n[d]\nListenStream=127.0.0.2:443\n"
                              "[e]\nListenStream=[::]:443\nBindIPv6Only=ipv6-only\n"
                              "[f]\nListenStream=8443\nPorts=8443 8444\n"
                              "[g]\nPorts=90 85-95 92/tcp 90\n");
        const Reservation *f = config_find(c, "f"), *g = config_find(c, "g");
        unsigned count[2] = { 0 };

        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_reservations, 7);
        /* Beside its Listen… line the TCP port is counted once. */
        assert_int_equal(f->n_endpoints, 4);
        assert_int_equal(c->n_warnings, 5);
        for (size_t i = 0; i < g->n_endpoints; i++)
                count[g->endpoints[i].protocol == IPPROTO_UDP] +=
                        g->endpoints[i].last - g->endpoints[i].port + 1u;
        assert_int_equal(count[0], 11);
        assert_int_equal(count[1], 11);
}

static void test_lookup(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[c]\nListenStream=127.0.0.1:443\n[d]\nListenStream=127.0.0.2:443\n["
                              "e]\nPorts=440-450/udp\n");
        const Reservation *r;
        const Endpoint *e;
        unsigned i = 0;

        assert_true(config_lookup(c, IPPROTO_TCP, 443, &i, &r, &e));
        assert_string_equal(r->name, "c");
        assert_ptr_equal(e, &r->endpoints[0]);
        assert_true(config_lookup(c, IPPROTO_TCP, 443, &i, &r, &e));
        assert_string_equal(r->name, "d");
        assert_false(config_lookup(c, IPPROTO_TCP, 443, &i, &r, &e));
        assert_false(config_lookup(c, IPPROTO_TCP, 443, &i, &r, &e));
        i = 0;
        assert_true(config_lookup(c, IPPROTO_UDP, 450, &i, &r, &e));
        assert_string_equal(r->name, "e");
        i = 0;
        assert_false(config_lookup(c, IPPROTO_UDP, 451, &i, &r, &e));
        i = 0;
        assert_false(config_lookup(c, 132, 443, &i, &r, &e));
}

static void test_placeholder_cap(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("[a]\nPorts=1-12500\nHold=bound\n"
                                                          "[b]\nPorts=30000/tcp\nHold=bound\n"
                                                          "[c]\nPorts=30001-65535\n"
                                                          "[d]\nPorts=20000\nHold=none\n"
                                                          "[e]\nPorts=20000-29999\nHold=shared\n");

        assert_int_equal(c->n_errors, 2);
        assert_non_null(strstr(c->errors[0].message, "25001 held sockets"));
        assert_int_equal(c->errors[0].line, 4);
        assert_non_null(config_find(c, "a"));
        assert_null(config_find(c, "b"));
        assert_non_null(config_find(c, "c"));
        assert_null(config_find(c, "e"));
}

/* Every port of the file, by the obvious way: what the daemon would hold and reserve. */
static void test_all_ports_many_ways(void **state)
{
        static bool model[2][65536];
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        srand(7);
        memset(model, 0, sizeof(model));
        fputs("[a]\n", f);
        for (int i = 0; i < 3000; i++) {
                unsigned first = 1 + (unsigned) rand() % 65535,
                         last = first + (unsigned) rand() % 40, kind = (unsigned) rand() % 3;

                if (last > 65535)
                        last = 65535;
                fprintf(f, first == last ? "Ports=%u%.0u%s\n" : "Ports=%u-%u%s\n", first,
                        first == last ? 0 : last,
                        kind == 0   ? "/tcp"
                        : kind == 1 ? "/udp"
                                    : "");
                for (unsigned p = first; p <= last; p++) {
                        model[0][p] |= kind != 1;
                        model[1][p] |= kind != 0;
                }
        }
        fclose(f);

        {
                _cleanup_(config_freep) Config *c = fixture_parse(text);

                assert_int_equal(c->n_errors, 0);
                for (unsigned p = 0; p < 65536; p++)
                        for (unsigned k = 0; k < 2; k++) {
                                unsigned i = 0, n = 0;

                                while (config_lookup(c, k ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t) p,
                                                     &i, NULL, NULL))
                                        n++;
                                assert_int_equal(n, model[k][p]); /* never twice */
                        }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_example),
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_reset_scalars),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_ports_mistakes),
                cmocka_unit_test(test_listen_values),
                cmocka_unit_test(test_listen_mistakes),
                cmocka_unit_test(test_key_mistakes),
                cmocka_unit_test(test_sections),
                cmocka_unit_test(test_mistake_costs_itself),
                cmocka_unit_test(test_hold_rules),
                cmocka_unit_test(test_unknown_user),
                cmocka_unit_test(test_socket_keys),
                cmocka_unit_test(test_no_effect_yet),
                cmocka_unit_test(test_overlaps),
                cmocka_unit_test(test_overlap_leaves_out_whole),
                cmocka_unit_test(test_no_overlap),
                cmocka_unit_test(test_lookup),
                cmocka_unit_test(test_placeholder_cap),
                cmocka_unit_test(test_all_ports_many_ways),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
