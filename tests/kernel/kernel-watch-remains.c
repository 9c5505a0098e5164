/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What remains of connections: one collision, that ends when it is cleared, and harms no client. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watch-util.h"

/* The thief closes first: TIME_WAIT remains and still is in the way. The collision turns stale, and
 * ends when that is cleared. */
static void test_stale(void **state)
{
        _cleanup_(closep) int peer = listener_on("127.0.0.1", PEER), thief = -1, served = -1;
        Fixture *f = start(state, CONFIG_31000);
        const Collision *c;
        int n;

        ephemeral_range(31000, 31000);
        thief = connected_to("127.0.0.1", SOCK_STREAM, PEER);
        served = accept(peer, NULL, NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        close_in_order(&thief, &served);
        LOOP_UNTIL(f, only_collision(f)->holder.kind == KIND_STALE);
        settle(f);
        c = only_collision(f);
        assert_int_equal(c->holder.socket.state, SOCKET_TIME_WAIT);
        assert_int_equal(f->n_told, 1);
        assert_true(f->n_changed > 0);

        n = watch_clear_remains(f->watch, c->endpoint, 31000);
        if (n == -EOPNOTSUPP) {
                print_message("kernel without SOCK_DESTROY of TIME_WAIT\n");
                skip();
        }
        assert_int_equal(n, 1);
        assert_int_equal(watch_clear_remains(f->watch, c->endpoint, 31000), 0);
        LOOP_UNTIL(f, f->n_end > 0);
        settle(f);
        assert_int_equal(f->n_told, 2);
}

/* What remains of many connections is one collision where nobody holds the port, and none beside a
 * hold. */
static void test_remains(void **state)
{
        _cleanup_(closep) int server = listener_on("127.0.0.1", 31000);
        Fixture *f;

        for (unsigned i = 0; i < 50; i++) {
                int client = connected_to("127.0.0.1", SOCK_STREAM, 31000);
                int served = accept(server, NULL, NULL);

                close_in_order(&served, &client);
        }
        close(server);
        server = -1;
        ((Fixture *) *state)->held = true;
        f = start(state, CONFIG_31000);
        settle(f);
        assert_int_equal(f->n_told, 0);
        f->held = false;
        LOOP_UNTIL(f, f->n_begin > 0);
        settle(f);
        assert_int_equal(f->n_told, 1);
        assert_int_equal(only_collision(f)->holder.kind, KIND_STALE);
        assert_int_equal(watch_clear_remains(f->watch, only_collision(f)->endpoint, 31000), 50);
        LOOP_UNTIL(f, f->n_end > 0);
        settle(f);
        assert_int_equal(f->n_told, 2);
}

#define ANSWER (96u * 1024)

/* A client that has its whole answer with the end behind it, and has read none of it. Its server has
 * gone, and remains in FIN_WAIT2. */
static int client_with_answer(const char *fin_timeout)
{
        _cleanup_(closep) int server = socket_for("127.0.0.1", SOCK_STREAM), served = -1;
        int client = socket_for("127.0.0.1", SOCK_STREAM);
        static const char answer[ANSWER];
        int arrived = 0;

        assert_int_equal(write_file("/proc/sys/net/ipv4/tcp_fin_timeout", fin_timeout), 0);
        /* No SO_REUSEADDR: its remains are in everybody's way. */
        assert_int_equal(try_bind(server, "127.0.0.1", 31000), 0);
        assert_int_equal(listen(server, 1), 0);
        set_option(client, SOL_SOCKET, SO_RCVBUF, 4 * (int) ANSWER);
        assert_int_equal(try_connect(client, "127.0.0.1", 31000), 0);
        served = accept(server, NULL, NULL);
        assert_int_equal(write(served, answer, ANSWER), ANSWER);
        while (arrived < (int) ANSWER)
                assert_int_equal(ioctl(client, FIONREAD, &arrived), 0);
        return client;
}

static void read_answer(int client)
{
        struct pollfd p = { .fd = client };
        size_t read_so_far = 0;
        char piece[4096];
        ssize_t n;

        assert_int_equal(poll(&p, 1, 0), 0); /* no POLLERR, no POLLHUP */
        while ((n = read(client, piece, sizeof(piece))) > 0)
                read_so_far += (size_t) n;
        assert_int_equal(n, 0);
        assert_int_equal(read_so_far, ANSWER);
        assert_int_equal(poll(&p, 1, 0), 0);
}

/* FIN_WAIT2 is taken away while the client has yet to read: it notices nothing. */
static void test_remains_unread(void **state)
{
        _cleanup_(closep) int client = client_with_answer("60"), again = -1;
        Fixture *f = start(state, CONFIG_31000);
        int n;

        LOOP_UNTIL(f, f->n_begin > 0);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        n = watch_clear_remains(f->watch, only_collision(f)->endpoint, 31000);
        if (n == -EOPNOTSUPP) {
                print_message("kernel without SOCK_DESTROY of TIME_WAIT\n");
                skip();
        }
        assert_int_equal(n, 1);
        again = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        read_answer(client);
}

/* The same while the kernel keeps a whole socket for it, whose end would be a reset. */
static void test_remains_whole(void **state)
{
        _cleanup_(closep) int client = client_with_answer("120");
        Fixture *f = start(state, CONFIG_31000);

        LOOP_UNTIL(f, f->n_begin > 0);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        assert_int_equal(watch_clear_remains(f->watch, only_collision(f)->endpoint, 31000), 0);
        read_answer(client);
}

/* Where a walk over all connections is dear, one tells of all ports, and what came since is found by
 * the next. */
static void test_remains_where_walks_are_dear(void **state)
{
        _cleanup_(closep) _unused_ int first = client_with_answer("60"), second = -1;
        Fixture *f = start(state, CONFIG_31000);
        const Endpoint *e = f->config->reservations[0]->endpoints;
        uint64_t dumps;
        int n;

        LOOP_UNTIL(f, f->n_begin > 0);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        f->watch->pace.sweep_cost = f->watch->walk_cost = USEC_PER_SEC;
        n = watch_clear_remains(f->watch, e, 31000);
        if (n == -EOPNOTSUPP) {
                print_message("kernel without SOCK_DESTROY of TIME_WAIT\n");
                skip();
        }
        assert_int_equal(n, 1);
        LOOP_UNTIL(f, f->n_end > 0);
        second = client_with_answer("60");
        LOOP_UNTIL(f, f->n_begin > 1);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        f->watch->pace.sweep_cost = f->watch->walk_cost = USEC_PER_SEC;
        f->watch->remains_until = now_usec(CLOCK_MONOTONIC) + 60 * USEC_PER_SEC;
        dumps = watch_stats(f->watch)->diag->dumps;
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(watch_clear_remains(f->watch, e, 31000), 0);
        assert_int_equal(watch_stats(f->watch)->diag->dumps, dumps);
        f->watch->remains_until = 0;
        assert_int_equal(watch_clear_remains(f->watch, e, 31000), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WATCH_TEST(test_stale),
                WATCH_TEST(test_remains),
                WATCH_TEST(test_remains_unread),
                WATCH_TEST(test_remains_whole),
                WATCH_TEST(test_remains_where_walks_are_dear),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
