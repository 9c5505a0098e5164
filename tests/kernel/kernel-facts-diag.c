/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the watch relies on and the kernel promises nowhere: pinned, so that a kernel that behaves
 * otherwise is noticed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diag-util.h"

static void test_destroy_events(void **state)
{
        static const struct {
                const char *address;
                int type, protocol;
        } kinds[] = {
                { "127.0.0.1", SOCK_STREAM, IPPROTO_TCP },
                { "::1", SOCK_STREAM, IPPROTO_TCP },
                { "127.0.0.1", SOCK_DGRAM, IPPROTO_UDP },
                { "::1", SOCK_DGRAM, IPPROTO_UDP },
        };
        _cleanup_(closep) int events = -1;

        assert_int_equal(sock_diag_events_open(&events), 0);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                int fd = bound_on(kinds[i].address, kinds[i].type, 30000);
                uint64_t cookie = cookie_of(fd);
                Found f;

                close(fd);
                f = wait_destroyed(events, cookie);
                assert_int_equal(f.row.state, SOCKET_CLOSE);
                assert_int_equal(f.row.inode, 0);
                assert_int_equal(f.row.local_port, 30000);
                assert_int_equal(f.row.protocol, kinds[i].protocol);
        }
}

static void test_port_is_free_at_the_event(void **state)
{
        _cleanup_(closep) int events = -1, again = -1;
        int fd = bound_on("127.0.0.1", SOCK_STREAM, 30000);
        uint64_t cookie = cookie_of(fd);

        assert_int_equal(sock_diag_events_open(&events), 0);
        close(fd);
        wait_destroyed(events, cookie);
        again = bound_on("127.0.0.1", SOCK_STREAM, 30000);
}

static void test_bound_inactive(void **state)
{
        _cleanup_(closep) int fd = bound_on("127.0.0.1", SOCK_STREAM, 30000);
        Found f;

        /* In no other state does it show. */
        f = find(IPPROTO_TCP, SOCK_DIAG_ALL & ~SOCK_DIAG_STATE(SOCKET_BOUND_INACTIVE), 30000, 0,
                 false);
        assert_int_equal(f.n, 0);
        if (sock_diag_has_bound_inactive(diag) != 1) {
                close(fd); /* skip() jumps over the clean-up */
                print_message("kernel without TCP_BOUND_INACTIVE (6.8)\n");
                skip();
        }
        f = find(IPPROTO_TCP, SOCK_DIAG_STATE(SOCKET_BOUND_INACTIVE), 30000, 0, false);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.row.state, SOCKET_CLOSE);
        assert_int_equal(f.row.inode, inode_of(fd));
        assert_true(f.row.cookie == cookie_of(fd));
}

/* BC_AUTO: the kernel chose the port. Accepted sockets and TIME_WAIT match it as well. */
static void test_automatic(void **state)
{
        _cleanup_(closep) int listener = listener_on("127.0.0.1", 30000);
        _cleanup_(closep) int chosen = connected_to("127.0.0.1", SOCK_STREAM, 30000);
        _cleanup_(closep) int accepted = accept(listener, NULL, NULL);
        _cleanup_(closep) int any = listener_on("127.0.0.1", 0);
        _cleanup_(closep) int explicit = bound_on("127.0.0.1", SOCK_STREAM, 30001);
        _cleanup_(closep) _unused_ int udp = bound_on("127.0.0.1", SOCK_DGRAM, 30002);
        _cleanup_(closep) int udp_any = bound_on("127.0.0.1", SOCK_DGRAM, 0);
        uint16_t port = port_of(chosen);

        assert_int_equal(try_connect(explicit, "127.0.0.1", 30000), 0);
        assert_int_equal(find(IPPROTO_TCP, SOCK_DIAG_ALL, port, cookie_of(chosen), true).n, 1);
        assert_int_equal(find(IPPROTO_TCP, SOCK_DIAG_ALL, port_of(any), cookie_of(any), true).n, 1);
        assert_int_equal(find(IPPROTO_TCP, SOCK_DIAG_ALL, 30000, cookie_of(accepted), true).n, 1);
        assert_int_equal(find(IPPROTO_TCP, SOCK_DIAG_ALL, 30000, cookie_of(listener), true).n, 0);
        assert_int_equal(find(IPPROTO_TCP, SOCK_DIAG_ALL, 30001, 0, true).n, 0);
        assert_int_equal(find(IPPROTO_TCP, SOCK_DIAG_ALL, 30001, 0, false).n, 1);
        assert_int_equal(find(IPPROTO_UDP, SOCK_DIAG_ALL, 30002, 0, true).n, 0);
        assert_int_equal(find(IPPROTO_UDP, SOCK_DIAG_ALL, port_of(udp_any), 0, true).n, 1);

        close_in_order(&chosen, &accepted);
        assert_int_equal(find(IPPROTO_TCP, SOCK_DIAG_STATE(SOCKET_TIME_WAIT), port, 0, true).n, 1);
}

/* The destroy event comes when TIME_WAIT begins; the row that remains has the socket's cookie, and
 * nothing of its owner. */
static void test_time_wait(void **state)
{
        _cleanup_(closep) int listener = listener_on("127.0.0.1", 30000), events = -1;
        _cleanup_(closep) int thief = connected_to("127.0.0.1", SOCK_STREAM, 30000);
        _cleanup_(closep) int accepted = accept(listener, NULL, NULL), server = -1;
        uint64_t cookie = cookie_of(thief);
        uint16_t port = port_of(thief);
        Found f;

        assert_int_equal(sock_diag_events_open(&events), 0);
        close_in_order(&thief, &accepted);
        wait_destroyed(events, cookie);
        f = find(IPPROTO_TCP, SOCK_DIAG_ALL, port, 0, false);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.row.state, SOCKET_TIME_WAIT);
        assert_true(f.row.cookie == cookie);
        assert_int_equal(f.row.inode, 0);
        assert_int_equal(f.row.uid, 0);
        assert_true(f.row.cgroup == 0);
        assert_true(f.row.timewait);
        assert_true(f.row.expires_usec > 0 && f.row.expires_usec <= UINT64_C(60) * 1000 * 1000);

        server = socket_for("127.0.0.1", SOCK_STREAM);
        set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
        assert_int_equal(try_bind(server, "127.0.0.1", port), -EADDRINUSE);
        assert_int_equal(sock_diag_destroy(diag, &f.row), 0);
        assert_int_equal(try_bind(server, "127.0.0.1", port), 0);
}

static void test_destroy_connected(void **state)
{
        _cleanup_(closep) _unused_ int listener = listener_on("127.0.0.1", 30000);
        _cleanup_(closep) int chosen = connected_to("127.0.0.1", SOCK_STREAM, 30000);
        _cleanup_(closep) int explicit = bound_on("127.0.0.1", SOCK_STREAM, 30001);
        _cleanup_(closep) int server = socket_for("127.0.0.1", SOCK_STREAM);
        uint16_t port = port_of(chosen);
        Found f;

        assert_int_equal(try_connect(explicit, "127.0.0.1", 30000), 0);

        /* The kernel's choice is free at once, though its process still has the socket. */
        f = find(IPPROTO_TCP, SOCK_DIAG_ALL, port, cookie_of(chosen), false);
        assert_int_equal(f.n, 1);
        assert_int_equal(sock_diag_destroy(diag, &f.row), 0);
        assert_int_equal(try_bind(server, "127.0.0.1", port), 0);

        /* One that was bound explicitly keeps its port until it is closed. */
        close(server);
        server = socket_for("127.0.0.1", SOCK_STREAM);
        f = find(IPPROTO_TCP, SOCK_DIAG_ALL, 30001, cookie_of(explicit), false);
        assert_int_equal(f.n, 1);
        assert_int_equal(sock_diag_destroy(diag, &f.row), 0);
        assert_int_equal(try_bind(server, "127.0.0.1", 30001), -EADDRINUSE);
        close(explicit);
        explicit = -1;
        assert_int_equal(try_bind(server, "127.0.0.1", 30001), 0);
}

static void test_destroy_bound_only(void **state)
{
        _cleanup_(closep) int fd = bound_on("127.0.0.1", SOCK_STREAM, 30000);
        Socket s = { .protocol = IPPROTO_TCP,
                     .family = AF_INET,
                     .local = { .family = AF_INET, .in.s_addr = htonl(INADDR_LOOPBACK) },
                     .remote = { .family = AF_INET },
                     .local_port = 30000,
                     .cookie = cookie_of(fd) };

        assert_int_equal(sock_diag_destroy(diag, &s), -ENOENT);
}

/* A dual-stack socket's row for an IPv4 peer: its family is AF_INET6, its addresses are IPv4's; and
 * it can be destroyed by them. */
static void test_mapped(void **state)
{
        _cleanup_(closep) int listener = listener_on("::", 30000);
        _cleanup_(closep) int client = connected_to("127.0.0.1", SOCK_STREAM, 30000);
        _cleanup_(closep) int accepted = accept(listener, NULL, NULL);
        char c;
        Found f;

        f = find(IPPROTO_TCP, SOCK_DIAG_ALL, 30000, cookie_of(accepted), false);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.row.family, AF_INET6);
        assert_int_equal(f.row.local.family, AF_INET);
        assert_int_equal(f.row.local.in.s_addr, htonl(INADDR_LOOPBACK));
        assert_int_equal(f.row.remote.family, AF_INET);
        assert_int_equal(f.row.remote_port, port_of(client));
        assert_int_equal(sock_diag_destroy(diag, &f.row), 0);
        wait_readable(client);
        assert_int_equal(read(client, &c, 1), -1);
        assert_int_equal(errno, ECONNRESET);
}

/* A connection is found by its addresses and cookie, over IPv4, IPv6 and an IPv6 socket to IPv4,
 * and so is what remains of it. */
static void test_found_by_addresses(void **state)
{
        static const struct {
                const char *listens, *connects;
        } cases[] = {
                { "127.0.0.1", "127.0.0.1" },
                { "::1", "::1" },
                { "127.0.0.1", "::ffff:127.0.0.1" },
                { "::", "127.0.0.1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(closep) int listener = listener_on(cases[i].listens, 30000);
                _cleanup_(closep) int client = socket_for(cases[i].connects, SOCK_STREAM);
                _cleanup_(closep) int accepted = -1;
                uint64_t cookies[2];
                Socket now;
                Found f[2];

                if (strchr(cases[i].connects, ':')) {
                        struct sockaddr_in6 to = { .sin6_family = AF_INET6,
                                                   .sin6_port = htons(30000) };

                        assert_int_equal(inet_pton(AF_INET6, cases[i].connects, &to.sin6_addr), 1);
                        assert_int_equal(connect(client, (struct sockaddr *) &to, sizeof(to)), 0);
                } else
                        assert_int_equal(try_connect(client, cases[i].connects, 30000), 0);
                accepted = accept(listener, NULL, NULL);
                cookies[0] = cookie_of(client);
                cookies[1] = cookie_of(accepted);
                for (unsigned k = 0; k < 2; k++) {
                        f[k] = find(IPPROTO_TCP, SOCK_DIAG_ALL, k == 0 ? port_of(client) : 30000,
                                    cookies[k], false);
                        assert_int_equal(f[k].n, 1);
                        assert_int_equal(sock_diag_find(diag, &f[k].row, &now), 1);
                        assert_true(now.cookie == cookies[k]);
                        assert_int_equal(now.state, SOCKET_ESTABLISHED);
                        f[k].row.cookie++;
                        assert_int_equal(sock_diag_find(diag, &f[k].row, &now), 0);
                        f[k].row.cookie--;
                }
                close_in_order(&client, &accepted);
                do
                        assert_int_equal(sock_diag_find(diag, &f[0].row, &now), 1);
                while (now.state != SOCKET_TIME_WAIT);
                assert_true(now.cookie == cookies[0]);
                while (sock_diag_find(diag, &f[1].row, &now) == 1)
                        assert_int_not_equal(now.state, SOCKET_TIME_WAIT);
                assert_int_equal(sock_diag_find(diag, &f[1].row, &now), 0);
        }
}

static void test_v6only(void **state)
{
        _cleanup_(closep) _unused_ int only = socket_for("::", SOCK_STREAM),
                                       dual = listener_on("::", 30001);
        Found f;

        set_option(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        assert_int_equal(try_bind(only, "::", 30000), 0);
        assert_int_equal(listen(only, 1), 0);
        f = find(IPPROTO_TCP, SOCK_DIAG_LISTENERS, 30000, 0, false);
        assert_int_equal(f.n, 1);
        assert_true(f.row.v6only);
        f = find(IPPROTO_TCP, SOCK_DIAG_LISTENERS, 30001, 0, false);
        assert_int_equal(f.n, 1);
        assert_false(f.row.v6only);
}

/* A socket has the cgroup in which it was made, whoever has it later; an accepted one its
 * listener's. */
static void test_cgroup(void **state)
{
        _cleanup_(closep) int listener = -1, client = -1, accepted = -1;

        if (!cgroups_available(&cgroups)) {
                print_message("no cgroup v2 here\n");
                skip();
        }
        cgroups_enter(&cgroups, "server.service");
        listener = listener_on("127.0.0.1", 30000);
        cgroups_enter(&cgroups, "client.service");
        client = connected_to("127.0.0.1", SOCK_STREAM, 30000);
        accepted = accept(listener, NULL, NULL);
        cgroups_enter(&cgroups, NULL);

        assert_true(
                find(IPPROTO_TCP, SOCK_DIAG_ALL, 30000, cookie_of(listener), false).row.cgroup ==
                cgroups_id(&cgroups, "server.service"));
        assert_true(
                find(IPPROTO_TCP, SOCK_DIAG_ALL, 30000, cookie_of(accepted), false).row.cgroup ==
                cgroups_id(&cgroups, "server.service"));
        assert_true(find(IPPROTO_TCP, SOCK_DIAG_ALL, port_of(client), cookie_of(client), false)
                            .row.cgroup == cgroups_id(&cgroups, "client.service"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_destroy_events),
                cmocka_unit_test(test_port_is_free_at_the_event),
                cmocka_unit_test(test_bound_inactive),
                cmocka_unit_test(test_automatic),
                cmocka_unit_test(test_time_wait),
                cmocka_unit_test(test_destroy_connected),
                cmocka_unit_test(test_destroy_bound_only),
                cmocka_unit_test(test_mapped),
                cmocka_unit_test(test_found_by_addresses),
                cmocka_unit_test(test_v6only),
                cmocka_unit_test(test_cgroup),
        };

        return cmocka_run_group_tests(tests, diag_setup, diag_teardown);
}
