/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The list of .socket units, and what becomes of it in a configuration. */

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config-text-fixture.h"
#include "model/socket-unit.h"
#include "tests/config-equal.h"

static SocketUnits *parse(const char *text)
{
        SocketUnits *l;

        assert_int_equal(socket_units_parse(text, &l), 0);
        return l;
}

static void test_parse(void **state)
{
        _cleanup_(socket_units_freep) SocketUnits *l =
                parse("unit web.socket active app.service /etc/systemd/system/web one.socket\n"
                      "stream [::]:80\n"
                      "datagram 127.0.0.1:53\n"
                      "unit a@x\\x2dy:z.socket failed - -\n"
                      "stream [::]:81 v6only\n"
                      "unit nothing.socket inactive nothing.service -\n"
                      "stream [fe80::1]:82%no-such-link\n"
                      "end\n");
        const SocketUnit *u;

        assert_int_equal(l->n, 2); /* sorted, without the one that has no endpoint here */
        assert_null(socket_units_find(l, "nothing.socket"));
        u = socket_units_find(l, "web.socket");
        assert_ptr_equal(u, &l->units[1]);
        assert_int_equal(u->state, SOCKET_UNIT_ACTIVE);
        assert_string_equal(u->service, "app.service");
        assert_string_equal(u->path, "/etc/systemd/system/web one.socket");
        assert_int_equal(u->n_endpoints, 2);
        assert_int_equal(u->endpoints[0].address.family, AF_UNSPEC);
        assert_int_equal(u->endpoints[1].protocol, IPPROTO_UDP);
        u = &l->units[0];
        assert_int_equal(u->state, SOCKET_UNIT_FAILED);
        assert_null(u->service);
        assert_null(u->path);
        assert_true(u->endpoints[0].v6only);
        assert_int_equal(u->endpoints[0].address.family, AF_INET6);
}

static void test_refused(void **state)
{
        static const char *const texts[] = {
                "",
                "end",
                "\nend\n",
                "end\nend\n",
                "stream 80\nend\n",
                "unit a.socket active - -\nstream 80\n",
                "unit a.socket active -\nend\n",
                "unit a.service active - -\nend\n",
                "unit ../a.socket active - -\nend\n",
                "unit a.socket on - -\nend\n",
                "unit a.socket active b - -\nend\n",
                "unit a.socket active - -\nstream 80 v4only\nend\n",
                "unit a.socket active - -\nstream 80 v6only x\nend\n",
                "unit a.socket active - -\nstream\nend\n",
                "unit a.socket active - -\nstream 80\nunit a.socket active - -\nstream 81\nend\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                SocketUnits *l = NULL;

                assert_int_equal(socket_units_parse(texts[i], &l), -EBADMSG);
                assert_null(l);
        }
}

static void test_cap(void **state)
{
        _cleanup_(socket_units_freep) SocketUnits *l = NULL;
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        assert_non_null(f);
        for (unsigned i = 1; i <= SOCKET_UNITS_ENDPOINTS_MAX + 10; i++)
                fprintf(f, "unit u%u.socket active - -\nstream %u\n", i, i);
        fputs("end\n", f);
        assert_int_equal(fclose(f), 0);
        l = parse(text);
        assert_int_equal(l->n_endpoints, SOCKET_UNITS_ENDPOINTS_MAX);
        assert_int_equal(l->n_dropped, 10);
        assert_int_equal(l->n, SOCKET_UNITS_ENDPOINTS_MAX);
}

static void test_names(void **state)
{
        char name[RESERVATION_NAME_MAX + 1], other[RESERVATION_NAME_MAX + 1];
        static const char *const longs[] = {
                "dev-disk-by\\x2dpath-a-very-long-name-that-goes-on-and-on-1.socket",
                "dev-disk-by\\x2dpath-a-very-long-name-that-goes-on-and-on-2.socket",
        };

        assert_string_equal(
                socket_unit_reservation_name("ssh.socket", SOCKET_UNIT_NAME_SHORT, name), "ssh");
        assert_string_equal(socket_unit_reservation_name("ssh.socket", SOCKET_UNIT_NAME_FULL, name),
                            "ssh.socket");
        assert_string_equal(
                socket_unit_reservation_name("a:b@c\\x2d.socket", SOCKET_UNIT_NAME_SHORT, name),
                "a_b@c_x2d");
        for (SocketUnitName n = 0; n < _SOCKET_UNIT_NAME_MAX; n++) {
                assert_true(
                        reservation_name_valid(socket_unit_reservation_name(longs[0], n, name)));
                assert_string_not_equal(name, socket_unit_reservation_name(longs[1], n, other));
        }
}

/* "NAME=ports" of those behind the declared ones. */
static const char *units_text(const Config *c, char buf[static 512])
{
        size_t n = 0;

        buf[0] = 0;
        for (size_t i = c->n_reservations - c->n_units; i < c->n_reservations; i++) {
                const Reservation *r = c->reservations[i];

                assert_non_null(r->socket_unit);
                assert_ptr_equal(config_find(c, r->name), r);
                n += (size_t) snprintf(buf + n, 512 - n, "%s%s=", n > 0 ? " " : "", r->name);
                for (size_t k = 0; k < r->n_endpoints; k++)
                        n += (size_t) snprintf(buf + n, 512 - n, "%s%u", k > 0 ? "," : "",
                                               r->endpoints[k].port);
        }
        return buf;
}

static bool same(const char *a, const char *b)
{
        return strcmp(a, "redis-server.service") == 0 && strcmp(b, "redis.service") == 0;
}

static void test_declared_wins(void **state)
{
        _cleanup_(config_freep) Config *c =
                fixture_parse("[web]\nPorts=80/tcp\n[mine]\nPorts=90-91/tcp\nUnit=x.service\n"
                              "[redis]\nPorts=6379/tcp\n[ssh]\nListenStream=127.0.0.1:22\n");
        _cleanup_(socket_units_freep) SocketUnits *l =
                parse("unit web.socket active web.service -\nstream [::]:80\nstream 127.0.0.1:81\n"
                      "unit o.socket active o.service -\nstream 127.0.0.1:90\ndatagram 90\nstream "
                      "127.0.0.2:91\n"
                      "unit redis-server.socket active redis-server.service -\nstream 6379\n"
                      "unit ssh.socket active other.service -\nstream 127.0.0.2:22\n"
                      "unit portreserved-web.socket active web.service -\nstream 99\n"
                      "end\n");
        Reservation *declared = config_find(c, "web");
        UnitConflicts conflicts;
        char text[512];

        assert_int_equal(config_set_units(c, l, same, &conflicts), 0);
        assert_string_equal(units_text(c, text), "o=90 ssh.socket=22 web.socket=81");
        assert_int_equal(c->n_errors, 0);
        assert_int_equal(conflicts.n, 2);
        assert_string_equal(conflicts.first, "port 90/tcp of o.socket is reserved by [mine]");
        /* What is declared is what it was, pointers and all. */
        assert_ptr_equal(config_find(c, "web"), declared);
        assert_ptr_equal(c->reservations[0], declared);
}

static void test_replaced(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("[web]\nPorts=80/tcp\n"),
                                       *plain = fixture_parse("[web]\nPorts=80/tcp\n");
        _cleanup_(socket_units_freep)
                SocketUnits *one = parse("unit a.socket active - -\nstream 81\nunit b.socket "
                                         "failed - -\nstream 82\nend\n"),
                            *two = parse("unit b.socket active - -\nstream 83\nend\n");
        const Reservation *old, *r;
        UnitConflicts conflicts;
        const Endpoint *e;
        unsigned iterator = 0;
        char text[512];
        PortSet ports;

        assert_int_equal(config_set_units(c, one, NULL, &conflicts), 0);
        assert_string_equal(units_text(c, text), "a=81 b=82");
        assert_true(config_lookup(c, IPPROTO_TCP, 82, &iterator, &r, &e));
        assert_true(r->socket_failed);
        assert_true(config_equal(c, plain));
        config_ports(c, &ports);
        assert_int_equal(portset_count(&ports), 3);

        old = config_find(c, "b");
        assert_int_equal(config_set_units(c, two, NULL, &conflicts), 0);
        assert_string_equal(old->name, "b"); /* still to be looked at */
        config_forget_replaced(c);
        assert_string_equal(units_text(c, text), "b=83");
        iterator = 0;
        assert_false(config_lookup(c, IPPROTO_TCP, 82, &iterator, &r, &e));
        iterator = 0;
        assert_true(config_lookup(c, IPPROTO_TCP, 80, &iterator, &r, &e));
        assert_string_equal(r->name, "web");

        assert_int_equal(config_set_units(c, NULL, NULL, &conflicts), 0);
        assert_int_equal(c->n_units, 0);
        assert_int_equal(c->n_reservations, 1);
}

/* Units that stand by for each other: who listens has the port, and of the other there is a word
 * only if it failed. */
static void test_who_listens_comes_first(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("");
        _cleanup_(socket_units_freep) SocketUnits *l =
                parse("unit a.socket inactive - -\nstream 80\nunit b.socket failed - -\nstream 80\n"
                      "unit c.socket active - -\nstream 80\nend\n");
        UnitConflicts conflicts;
        char text[512];

        assert_int_equal(config_set_units(c, l, NULL, &conflicts), 0);
        assert_string_equal(units_text(c, text), "c=80");
        assert_int_equal(conflicts.n, 1);
        assert_string_equal(conflicts.first, "port 80/tcp of b.socket is reserved by [c]");
}

/* It is not written to applied.conf. */
static void test_not_applied(void **state)
{
        _cleanup_(config_freep) Config *c = fixture_parse("[web]\nPorts=80/tcp\n");
        _cleanup_(socket_units_freep) SocketUnits *l =
                parse("unit a.socket active - -\nstream 4711\nend\n");
        _cleanup_(freep) char *text = NULL;
        UnitConflicts conflicts;

        assert_int_equal(config_set_units(c, l, NULL, &conflicts), 0);
        assert_int_equal(config_format(c, &text, NULL), 0);
        assert_non_null(strstr(text, "Ports=80/tcp"));
        assert_null(strstr(text, "4711"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_cap),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_declared_wins),
                cmocka_unit_test(test_replaced),
                cmocka_unit_test(test_who_listens_comes_first),
                cmocka_unit_test(test_not_applied),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
