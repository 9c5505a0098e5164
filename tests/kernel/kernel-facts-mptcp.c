/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What dumps of TCP say of MPTCP sockets, which Go programs listen by: each of their subflows is a row
 * like any other, with the inode of the socket that the process has and the cgroup that made it.
 * Ownership and names therefore need no rule of their own. Only cookies differ. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diag-util.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int mptcp_socket(void)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

        if (fd < 0) {
                print_message("kernel without MPTCP: %s\n", strerror(errno));
                skip();
        }
        return fd;
}

static int mptcp_listener(uint16_t port)
{
        int fd = mptcp_socket();

        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        assert_int_equal(try_bind(fd, "127.0.0.1", port), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

static void enter(const char *unit)
{
        if (cgroups_available(&cgroups))
                cgroups_enter(&cgroups, unit);
}

static void assert_made_in(const Socket *s, const char *unit)
{
        if (cgroups_available(&cgroups))
                assert_true(s->cgroup == cgroups_id(&cgroups, unit));
}

static void test_bound_only(void **state)
{
        _cleanup_(closep) int fd = mptcp_socket();
        Found f;

        assert_int_equal(try_bind(fd, "127.0.0.1", 30000), 0);
        if (sock_diag_has_bound_inactive(diag) != 1) {
                close(fd);
                print_message("kernel without TCP_BOUND_INACTIVE (6.8)\n");
                skip();
        }
        f = find(IPPROTO_TCP, SOCK_DIAG_LISTENERS | SOCK_DIAG_ULP, 30000, 0, false);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.row.state, SOCKET_CLOSE);
        assert_int_equal(f.row.inode, inode_of(fd));
        /* The one state in which it looks like plain TCP. */
        assert_false(f.row.mptcp);
}

static void test_listener(void **state)
{
        _cleanup_(closep) _unused_ int fd = -1, plain = listener_on("127.0.0.1", 30001);
        Found f;

        enter("server.service");
        fd = mptcp_listener(30000);
        enter(NULL);
        f = find(IPPROTO_TCP, SOCK_DIAG_ALL | SOCK_DIAG_ULP, 30000, 0, false);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.row.state, SOCKET_LISTEN);
        assert_int_equal(f.row.inode, inode_of(fd));
        assert_made_in(&f.row, "server.service");
        assert_true(f.row.mptcp);
        assert_true(f.row.cookie != cookie_of(fd)); /* the subflow's */

        f = find(IPPROTO_TCP, SOCK_DIAG_ALL | SOCK_DIAG_ULP, 30001, 0, false);
        assert_int_equal(f.n, 1);
        assert_false(f.row.mptcp);
        /* It has to be asked for. */
        assert_false(find(IPPROTO_TCP, SOCK_DIAG_ALL, 30000, 0, false).row.mptcp);
}

/* A thief by MPTCP is a thief by TCP: the kernel's choice, in everybody's way, freed by SOCK_DESTROY,
 * remains of it in TIME_WAIT. */
static void test_connection(void **state)
{
        _cleanup_(closep) int listener = -1, client = -1, accepted = -1, server = -1;
        uint16_t port;
        Found f;

        enter("server.service");
        listener = mptcp_listener(30000);
        enter("client.service");
        client = mptcp_socket();
        assert_int_equal(try_connect(client, "127.0.0.1", 30000), 0);
        accepted = accept(listener, NULL, NULL);
        enter(NULL);
        port = port_of(client);

        f = find(IPPROTO_TCP, SOCK_DIAG_ALL | SOCK_DIAG_ULP, port, 0, true);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.row.state, SOCKET_ESTABLISHED);
        assert_int_equal(f.row.inode, inode_of(client));
        assert_made_in(&f.row, "client.service");
        assert_true(f.row.mptcp);
        server = socket_for("127.0.0.1", SOCK_STREAM);
        set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
        assert_int_equal(try_bind(server, "127.0.0.1", port), -EADDRINUSE);

        close(listener);
        listener = -1;
        f = find(IPPROTO_TCP, SOCK_DIAG_ALL | SOCK_DIAG_ULP, 30000, 0, false);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.row.inode, inode_of(accepted));
        assert_made_in(&f.row, "server.service");
        assert_true(f.row.mptcp);

        f = find(IPPROTO_TCP, SOCK_DIAG_ALL, port, 0, false);
        assert_int_equal(sock_diag_destroy(diag, &f.row), 0);
        assert_int_equal(try_bind(server, "127.0.0.1", port), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bound_only),
                cmocka_unit_test(test_listener),
                cmocka_unit_test(test_connection),
        };

        return cmocka_run_group_tests(tests, diag_setup, diag_teardown);
}
