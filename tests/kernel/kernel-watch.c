/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The watch with a real event loop and real sockets: who is told of what, once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watch-util.h"

/* An outgoing connection gets the port; its peer says goodbye first, so that nothing remains. */
static void test_ephemeral(void **state)
{
        _cleanup_(closep) int peer = listener_on("127.0.0.1", PEER), thief = -1, served = -1;
        Fixture *f = start(state, CONFIG_31000);
        const Collision *c;

        settle(f);
        assert_int_equal(f->n_told, 0);
        ephemeral_range(31000, 31000);
        enter("thief.service");
        thief = connected_to("127.0.0.1", SOCK_STREAM, PEER);
        enter(NULL);
        assert_int_equal(port_of(thief), 31000);
        served = accept(peer, NULL, NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        c = only_collision(f);
        assert_int_equal(c->holder.kind, KIND_EPHEMERAL);
        assert_int_equal(c->port, 31000);
        assert_int_equal(c->holder.socket.state, SOCKET_ESTABLISHED);
        assert_int_equal(c->holder.socket.remote_port, PEER);
        assert_int_equal(c->holder.pid, getpid());
        if (cgroups_available(&cgroups))
                assert_string_equal(c->holder.unit, "thief.service");

        settle(f);
        assert_int_equal(f->n_told, 1);
        assert_int_equal(f->n_changed, 0);
        close_in_order(&served, &thief);
        LOOP_UNTIL(f, f->n_end > 0);
        assert_true(f->n_freed > 0);
        assert_int_equal(f->freed, 31000);
        settle(f);
        assert_int_equal(f->n_told, 2);
        assert_int_equal(f->told[1].kind, KIND_EPHEMERAL);
        assert_int_equal(watch_count(f->watch), 0);
}

/* A squatter who serves many: one collision. */
static void test_squatter(void **state)
{
        _cleanup_(closep) int squatter = -1;
        int clients[20], served[20];
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        enter("thief.service");
        squatter = listener_on("0.0.0.0", 31000);
        enter(NULL);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                clients[i] = connected_to("127.0.0.1", SOCK_STREAM, 31000);
                served[i] = accept(squatter, NULL, NULL);
        }
        LOOP_UNTIL(f, f->n_begin > 0);
        settle(f);
        assert_int_equal(f->n_told, 1);
        assert_int_equal(only_collision(f)->holder.kind, KIND_SQUATTER);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_LISTEN);
        assert_string_equal(only_collision(f)->holder.unit, "thief.service");
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                close_in_order(clients + i, served + i);
        }
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, f->n_end > 0);
        settle(f);
        assert_int_equal(f->n_told, 2);
}

/* In the root cgroup nobody can be told from the owner. */
static void test_unknown(void **state)
{
        _cleanup_(closep) int someone = -1;
        Fixture *f;

        if (cgroups_available(&cgroups) && strcmp(cgroups.home, cgroups.root) != 0 &&
            strcmp(cgroups.home + strlen(cgroups.root), "/") != 0) {
                print_message("this test does not run in the root cgroup\n");
                skip();
        }
        f = start(state, CONFIG_31000);
        someone = listener_on("0.0.0.0", 31000);
        LOOP_UNTIL(f, f->n_begin > 0);
        assert_int_equal(only_collision(f)->holder.kind, KIND_UNKNOWN);
        assert_int_equal(watch_owner_bound(f->watch, only_collision(f)->reservation,
                                           only_collision(f)->endpoint, 31000),
                         TRI_UNKNOWN);
}

static void test_udp(void **state)
{
        _cleanup_(closep) int squatter = -1, chosen = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, "[dns]\nPorts=31000/udp\n[other]\nPorts=31001/udp\n"
                         "[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n");
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_DGRAM, 31000);
        ephemeral_range(31001, 31001);
        chosen = bound_on("0.0.0.0", SOCK_DGRAM, 0);
        enter(NULL);
        assert_int_equal(port_of(chosen), 31001);
        LOOP_UNTIL(f, f->n_begin == 2);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(f->told[i].kind,
                                 f->told[i].port == 31000 ? KIND_SQUATTER : KIND_EPHEMERAL);
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, f->n_end == 1);
        assert_int_equal(f->told[2].port, 31000);
        assert_int_equal(f->freed, 31000);
        settle(f);
        assert_int_equal(f->n_told, 3);
}

static void test_bound_only(void **state)
{
        _cleanup_(closep) int squatter = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        if (!watch_stats(f->watch)->bound_inactive) {
                print_message("kernel without TCP_BOUND_INACTIVE (6.8)\n");
                skip();
        }
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        assert_int_equal(only_collision(f)->holder.kind, KIND_SQUATTER);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_CLOSE);
        /* It goes on to listen: still the same collision. */
        assert_int_equal(listen(squatter, 1), 0);
        settle(f);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_LISTEN);
        assert_int_equal(f->n_told, 1);
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, f->n_end > 0);
}

/* Bound explicitly, then connected: no choice of the kernel's. */
static void test_bound_and_connected(void **state)
{
        _cleanup_(closep) _unused_ int peer = listener_on("127.0.0.1", PEER), squatter = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        assert_int_equal(try_connect(squatter, "127.0.0.1", PEER), 0);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        settle(f);
        assert_int_equal(only_collision(f)->holder.kind, KIND_SQUATTER);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_ESTABLISHED);
        assert_int_equal(f->n_told, 1);
}

/* Addresses as bind(2) sees them. */
static void test_addresses(void **state)
{
        _cleanup_(closep) int only6 = socket_for("::", SOCK_STREAM), other = -1, v4 = -1, dual = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, "[a]\nListenStream=127.0.0.1:31000\n[b]\nListenStream=[::]:31001\n"
                         "[c]\nListenStream=127.0.0.1:31002\n"
                         "[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n");
        enter("thief.service");
        /* Neighbours that are not in the way. */
        close(only6);
        only6 = socket_for("::", SOCK_STREAM);
        set_option(only6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        assert_int_equal(try_bind(only6, "::", 31000), 0);
        assert_int_equal(listen(only6, 1), 0);
        other = listener_on("127.0.0.2", 31000);
        settle(f);
        assert_int_equal(f->n_told, 0);
        /* IPv4 below a dual-stack endpoint, dual stack above an IPv4 one. */
        v4 = listener_on("127.0.0.1", 31001);
        dual = listener_on("::", 31002);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin == 2);
        settle(f);
        assert_int_equal(f->n_told, 2);
        assert_int_equal(f->told[0].port + f->told[1].port, 31001 + 31002);
        assert_int_equal(f->told[0].kind, KIND_SQUATTER);
        assert_int_equal(f->told[1].kind, KIND_SQUATTER);
}

/* The owner's listener, whom it serves, and what remains of those; seen bound, and gone. */
static void test_owner(void **state)
{
        _cleanup_(closep) int owner = -1, client = -1, served = -1;
        const Endpoint *e;
        Reservation *r;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        r = config_find(f->config, "web");
        e = r->endpoints[0].protocol == IPPROTO_TCP ? r->endpoints : r->endpoints + 1;
        assert_int_equal(watch_owner_bound(f->watch, r, e, 31000), TRI_NO);
        enter("web.service");
        owner = listener_on("::", 31000);
        enter(NULL);
        assert_int_equal(watch_owner_bound(f->watch, r, e, 31000), TRI_YES);
        client = connected_to("127.0.0.1", SOCK_STREAM, 31000);
        served = accept(owner, NULL, NULL);
        LOOP_UNTIL(f, f->n_owner_bound > 0);
        assert_int_equal(f->owner_port, 31000);
        settle(f);
        close_in_order(&served, &client);
        settle(f);
        assert_int_equal(f->n_owner_gone, 0);
        close(owner);
        owner = -1;
        LOOP_UNTIL(f, f->n_owner_gone > 0);
        assert_int_equal(watch_owner_bound(f->watch, r, e, 31000), TRI_NO);
        settle(f);
        assert_int_equal(f->n_owner_gone, 1);
}

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* As Go's net.Listen() does it: MPTCP, of both families. Clients come and go while every sweep looks,
 * then the listener goes, and those who are left are still the owner's. */
static void test_go_like_server(void **state)
{
        _cleanup_(closep) int server = -1;
        int clients[16], served[16];
        Fixture *f;

        need_cgroups();
        enter("web.service");
        server = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
        if (server < 0) {
                enter(NULL);
                print_message("kernel without MPTCP: %s\n", strerror(errno));
                skip();
        }
        set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
        assert_int_equal(try_bind(server, "::", 31000), 0);
        assert_int_equal(listen(server, 64), 0);
        f = start(state, CONFIG_31000);
        memset(clients, -1, sizeof(clients));
        memset(served, -1, sizeof(served));
        enter("thief.service");
        for (unsigned i = 0; i < 600; i++) {
                unsigned k = i % ELEMENTSOF(clients);

                closep(clients + k);
                closep(served + k);
                clients[k] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
                                    i % 2 ? IPPROTO_MPTCP : IPPROTO_TCP);
                assert_int_equal(try_connect(clients[k], "127.0.0.1", 31000), 0);
                served[k] = accept(server, NULL, NULL);
                assert_true(served[k] >= 0);
                if (i % 20 == 0)
                        assert_int_equal(watch_sweep(f->watch), 0);
        }
        enter(NULL);
        settle(f);
        assert_int_equal(f->n_told, 0);

        close(server);
        server = -1;
        LOOP_UNTIL(f, f->n_owner_gone > 0);
        settle(f);
        /* Of the 600, some may have left remains, which have been the owner's only beside it. */
        for (unsigned i = 0; i < f->n_told; i++)
                assert_int_equal(f->told[i].kind, KIND_STALE);
        for (size_t k = 0; k < ELEMENTSOF(clients); k++) {
                closep(clients + k);
                closep(served + k);
        }
}

/* A server of ours (or PID 1's): its children are accepted though the kernel calls their port
 * chosen. */
static void test_accepted(void **state)
{
        _cleanup_(closep) int ours = -1, client = -1, served = -1;
        Fixture *f = start(state, CONFIG_31000);

        enter("thief.service");
        ours = listener_on("::", 31000);
        f->ours = cookie_of(ours);
        client = connected_to("127.0.0.1", SOCK_STREAM, 31000);
        served = accept(ours, NULL, NULL);
        enter(NULL);
        settle(f);
        close_in_order(&served, &client);
        settle(f);
        assert_int_equal(f->n_told, 0);
}

/* A new configuration: what is on an endpoint before and after goes on, the rest ends. */
static void test_apply(void **state)
{
        _cleanup_(closep) int a = -1, b = -1;
        _cleanup_(config_freep) Config *old = NULL, *older = NULL;
        Fixture *f;

        need_cgroups();
        f = start(state, "[a]\nPorts=31000/tcp\n[b]\nPorts=31001/tcp\n");
        enter("thief.service");
        a = listener_on("127.0.0.1", 31000);
        b = listener_on("127.0.0.1", 31001);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin == 2);
        old = f->config;
        f->config = make_config("[new]\nPorts=80/tcp\n[a]\nPorts=30000-31000/tcp\n");
        /* Not the same endpoint, if only by its run: still the same place and port. */
        assert_int_equal(watch_apply(f->watch, f->config), 0);
        assert_int_equal(f->n_begin, 2);
        assert_int_equal(f->n_end, 1);
        assert_int_equal(f->told[2].port, 31001);
        assert_string_equal(only_collision(f)->reservation->name, "a");
        older = f->config;
        f->config = make_config("[b]\nPorts=31001/tcp\n");
        assert_int_equal(watch_apply(f->watch, f->config), 0);
        assert_int_equal(f->n_end, 2);
        assert_int_equal(f->n_begin, 3);
        assert_string_equal(only_collision(f)->reservation->name, "b");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WATCH_TEST(test_ephemeral),      WATCH_TEST(test_squatter),
                WATCH_TEST(test_unknown),        WATCH_TEST(test_udp),
                WATCH_TEST(test_bound_only),     WATCH_TEST(test_bound_and_connected),
                WATCH_TEST(test_addresses),      WATCH_TEST(test_owner),
                WATCH_TEST(test_go_like_server), WATCH_TEST(test_accepted),
                WATCH_TEST(test_apply),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
