/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The count of ephemeral ports, from made up rows. That the kernel counts the same is tested with real
 * sockets in tests/netns/test_ephemeral.py. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/ephemeral-pool.h"

#define FIRST  20000
#define LAST   20099
#define SECOND UINT64_C(1000000)

static EphemeralPool *pool_new(unsigned reuse)
{
        const PortSet none = {};
        EphemeralPool *p;

        assert_int_equal(ephemeral_pool_new(FIRST, LAST, &none, reuse, SECOND, &p), 0);
        return p;
}

static Socket row(const char *local, uint16_t port, const char *remote, uint16_t remote_port)
{
        Socket s = { .protocol = IPPROTO_TCP,
                     .family = AF_INET,
                     .state = SOCKET_ESTABLISHED,
                     .local_port = port,
                     .remote_port = remote_port,
                     .inode = 1 };

        assert_int_equal(address_parse(local, &s.local), 0);
        assert_int_equal(address_parse(remote, &s.remote), 0);
        return s;
}

static void add(EphemeralPool *p, const Socket *s)
{
        assert_int_equal(ephemeral_pool_add(p, s), 0);
}

/* n ports of one half, from the n_before-th of it on. */
static void add_half(EphemeralPool *p, const char *local, uint16_t remote_port, bool first_half,
                     unsigned n_before, unsigned n)
{
        for (unsigned i = n_before; i < n_before + n; i++) {
                Socket s = row(local, (uint16_t) (FIRST + 2 * i + !first_half), "10.0.0.9",
                               remote_port);

                add(p, &s);
        }
}

static Tristate cannot(uint16_t port, void *userdata)
{
        ++*(unsigned *) userdata;
        return TRI_UNKNOWN;
}

static Tristate refused(uint16_t port, void *userdata)
{
        *(uint16_t *) userdata = port;
        return TRI_NO;
}

static const EphemeralPeer *only_peer(const EphemeralPool *p)
{
        const EphemeralPeer *peers;

        assert_int_equal(ephemeral_pool_peers(p, &peers), 1);
        return peers;
}

/* Where nothing can be tried, the halves tell. */
static void test_halves(void **state)
{
        static const struct {
                unsigned first, second;
                bool binds;
        } cases[] = {
                { 1, 0, false },   { 0, 1, true },    { 30, 0, false },  { 0, 50, true },
                { 10, 50, true },  { 50, 10, false }, { 50, 49, false }, { 49, 50, true },
                { 50, 50, false }, /* one or the other: the better news */
                { 20, 15, false }, /* what a peak has left */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(ephemeral_pool_freep) EphemeralPool *p = pool_new(0);
                const EphemeralPeer *peer;
                unsigned tries = 0;

                add_half(p, "10.0.0.1", 80, true, 0, cases[i].first);
                add_half(p, "10.0.0.1", 80, false, 0, cases[i].second);
                assert_int_equal(ephemeral_pool_judge(p, cannot, &tries), cases[i].binds);
                ephemeral_pool_finish(p);
                peer = only_peer(p);
                assert_int_equal(tries, cases[i].second > 0);
                assert_int_equal(peer->binds_first, cases[i].binds ? TRI_YES : TRI_NO);
                assert_int_equal(peer->sockets, cases[i].first + cases[i].second);
        }
}

static void test_try_decides(void **state)
{
        _cleanup_(ephemeral_pool_freep) EphemeralPool *p = pool_new(0);
        EphemeralUse u;
        uint16_t tried = 0;

        add_half(p, "10.0.0.1", 80, true, 0, 50);
        add_half(p, "10.0.0.1", 80, false, 0, 10);
        assert_true(ephemeral_pool_judge(p, refused, &tried));
        assert_int_equal(tried % 2, 1);
        for (unsigned i = 0; i < 60; i++) {
                Socket s = row("10.0.0.1", (uint16_t) (i < 50 ? FIRST + 2 * i : FIRST + 2 * i - 99),
                               "10.0.0.9", 80);

                ephemeral_pool_add_again(p, &s);
        }
        ephemeral_pool_finish(p);
        assert_int_equal(only_peer(p)->left, 40);
        u = ephemeral_pool_use(p, IPPROTO_TCP);
        assert_int_equal(u.exclusive, 60);
        assert_int_equal(u.left_connect, 40);
        assert_int_equal(u.left_bind, 40);
}

/* A bound port is gone for whoever connects, once, whatever connections it has. */
static void test_exclusive(void **state)
{
        _cleanup_(ephemeral_pool_freep) EphemeralPool *p = pool_new(0);
        Socket listener = row("10.0.0.1", FIRST, "0.0.0.0", 0),
               accepted = row("10.0.0.1", FIRST, "10.0.0.7", 5000),
               outside = row("10.0.0.1", LAST + 1, "10.0.0.7", 5000);
        const EphemeralPeer *peers;
        unsigned tries = 0;

        listener.state = SOCKET_LISTEN;
        ephemeral_pool_add_exclusive(p, &listener);
        ephemeral_pool_add_exclusive(p, &outside);
        add(p, &accepted);
        add(p, &outside);
        assert_false(ephemeral_pool_judge(p, cannot, &tries));
        ephemeral_pool_finish(p);
        assert_int_equal(ephemeral_pool_peers(p, &peers), 0);
        assert_int_equal(ephemeral_pool_use(p, IPPROTO_TCP).left_connect, 99);
        assert_int_equal(ephemeral_pool_use(p, IPPROTO_TCP).sockets, 2);
}

static void test_reuse(void **state)
{
        static const struct {
                unsigned reuse;
                const char *local;
                SocketState state;
                uint64_t expires_usec;
                bool reusable;
        } cases[] = {
                { 0, "127.0.0.1", SOCKET_TIME_WAIT, 30 * SECOND, false },
                { 1, "10.0.0.1", SOCKET_TIME_WAIT, 30 * SECOND, true },
                { 2, "10.0.0.1", SOCKET_TIME_WAIT, 30 * SECOND, false },
                { 2, "127.0.0.1", SOCKET_TIME_WAIT, 30 * SECOND, true },
                { 2, "127.9.9.9", SOCKET_TIME_WAIT, 58 * SECOND, true },
                { 1, "10.0.0.1", SOCKET_TIME_WAIT, 59 * SECOND + SECOND / 2, false },
                { 1, "10.0.0.1", SOCKET_TIME_WAIT, 0, false }, /* not known */
                { 1, "10.0.0.1", SOCKET_FIN_WAIT2, 30 * SECOND, false },
                { 1, "10.0.0.1", SOCKET_ESTABLISHED, 0, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(ephemeral_pool_freep) EphemeralPool *p = pool_new(cases[i].reuse);
                Socket s = row(cases[i].local, FIRST, "10.0.0.9", 80);

                s.state = cases[i].state;
                s.expires_usec = cases[i].expires_usec;
                add(p, &s);
                ephemeral_pool_finish(p);
                assert_int_equal(only_peer(p)->left, cases[i].reusable ? 100 : 99);
                assert_int_equal(only_peer(p)->timewait, s.state == SOCKET_TIME_WAIT);
        }
}

/* More peers than there is room for, and what is said of each that there is. */
static void test_cap(void **state)
{
        _cleanup_(ephemeral_pool_freep) EphemeralPool *p = pool_new(0);
        const EphemeralPeer *peers;
        size_t n;

        for (unsigned i = 0; i < EPHEMERAL_PEERS_MAX + 100; i++) {
                Socket s = row("10.0.0.1", FIRST, "10.0.0.9", (uint16_t) (i + 1));

                add(p, &s);
                if (i == 7)
                        add(p, &s);
        }
        ephemeral_pool_finish(p);
        n = ephemeral_pool_peers(p, &peers);
        assert_int_equal(n, EPHEMERAL_PEERS_MAX);
        assert_int_equal(ephemeral_pool_dropped(p), 100);
        assert_int_equal(peers[0].sample.remote_port, 8);
        assert_int_equal(peers[0].sockets, 2);
        assert_int_equal(ephemeral_pool_use(p, IPPROTO_TCP).sockets, EPHEMERAL_PEERS_MAX + 101);
        assert_int_equal(ephemeral_pool_use(p, IPPROTO_TCP).left_connect, 100);
}

static void test_percent(void **state)
{
        _cleanup_(ephemeral_pool_freep) EphemeralPool *p = pool_new(0), *none = NULL;
        PortSet all = {};

        assert_int_equal(ephemeral_pool_percent(p, 100), 0);
        assert_int_equal(ephemeral_pool_percent(p, 1), 99);
        assert_int_equal(ephemeral_pool_percent(p, 0), 100);
        portset_add_run(&all, 1, 65535);
        assert_int_equal(ephemeral_pool_new(FIRST, LAST, &all, 0, 0, &none), 0);
        assert_int_equal(ephemeral_pool_percent(none, 0), 100);
        assert_int_equal(ephemeral_pool_use(none, IPPROTO_UDP).left_bind, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_halves),    cmocka_unit_test(test_try_decides),
                cmocka_unit_test(test_exclusive), cmocka_unit_test(test_reuse),
                cmocka_unit_test(test_cap),       cmocka_unit_test(test_percent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
