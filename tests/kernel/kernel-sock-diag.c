/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dumps, filters and events against real sockets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "kernel/event-filter.h"
#include "kernel/netlink.h"
#include "kernel/sock-diag.h"
#include "sock-util.h"

#define N_SOCKETS 600u

static SockDiag *diag;

typedef struct Seen {
        PortSet listening, bound, udp;
        unsigned n;
} Seen;

static int on_seen(const Socket *s, void *userdata)
{
        Seen *seen = userdata;

        seen->n++;
        portset_add(s->protocol == IPPROTO_UDP  ? &seen->udp
                    : s->state == SOCKET_LISTEN ? &seen->listening
                                                : &seen->bound,
                    s->local_port);
        return 0;
}

static void dump(int protocol, const DiagFilter *filter, Seen *ret)
{
        uint32_t states = protocol == IPPROTO_TCP ? SOCK_DIAG_LISTENERS : SOCK_DIAG_ALL;

        *ret = (Seen){};
        assert_int_equal(sock_diag_dump(diag, protocol, states, filter, on_seen, ret), 0);
}

/* Sockets of every sort on random ports; fds are left to the end of the program. */
static int fds[N_SOCKETS];
static Seen made;

static void make_sockets(void)
{
        static const char *const addresses[] = { "127.0.0.1", "0.0.0.0", "::1", "::" };

        for (unsigned i = 0; i < N_SOCKETS; i++) {
                const char *address = addresses[(unsigned) rand() % ELEMENTSOF(addresses)];
                int type = rand() % 2 ? SOCK_STREAM : SOCK_DGRAM;
                unsigned port;

                fds[i] = socket_for(address, type);
                do
                        port = 8 + (unsigned) rand() % 65528;
                while (try_bind(fds[i], address, port) < 0);
                if (type == SOCK_DGRAM)
                        portset_add(&made.udp, (uint16_t) port);
                else if (rand() % 2) {
                        assert_int_equal(listen(fds[i], 1), 0);
                        portset_add(&made.listening, (uint16_t) port);
                } else
                        portset_add(&made.bound, (uint16_t) port);
        }
        /* Older kernels do not list them. */
        if (sock_diag_has_bound_inactive(diag) != 1)
                portset_clear(&made.bound);
}

static void test_everything_is_seen(void **state)
{
        Seen tcp, udp;

        dump(IPPROTO_TCP, NULL, &tcp);
        dump(IPPROTO_UDP, NULL, &udp);
        assert_true(portset_equal(&tcp.listening, &made.listening));
        assert_true(portset_equal(&tcp.bound, &made.bound));
        assert_true(portset_equal(&udp.udp, &made.udp));
}

static void random_set(PortSet *s)
{
        unsigned n = 1u << rand() % 13, longest = 1u << rand() % 8;

        portset_clear(s);
        for (unsigned i = 0; i < n; i++) {
                unsigned first = (unsigned) rand() % PORTSET_PORTS;
                unsigned last = first + (unsigned) rand() % longest;

                portset_add_run(s, (uint16_t) first, (uint16_t) MIN_OF(last, PORTSET_PORTS - 1));
        }
}

static void check_set(const PortSet *filtered, const PortSet *all, const PortSet *wanted,
                      bool exact)
{
        PortSet expected = *all;

        portset_intersect(&expected, wanted);
        if (exact)
                assert_true(portset_equal(filtered, &expected));
        else
                assert_true(portset_contains(filtered, &expected));
}

/* What the kernel lets through is what a test here would: more only where the filter is coarse. */
static void test_random_filters(void **state)
{
        unsigned n_exact = 0, n_coarse = 0;

        for (unsigned round = 0; round < 150; round++) {
                _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
                PortSet wanted;
                Seen tcp, udp;
                bool exact;

                random_set(&wanted);
                assert_int_equal(diag_filter_new_coarse(&wanted, false,
                                                        round % 3 ? DIAG_FILTER_RUNS_MAX : 100,
                                                        &filter),
                                 0);
                exact = diag_filter_exact(filter);
                n_exact += exact;
                n_coarse += !exact;
                dump(IPPROTO_TCP, filter, &tcp);
                dump(IPPROTO_UDP, filter, &udp);
                check_set(&tcp.listening, &made.listening, &wanted, exact);
                check_set(&tcp.bound, &made.bound, &wanted, exact);
                check_set(&udp.udp, &made.udp, &wanted, exact);
        }
        assert_true(n_exact > 0 && n_coarse > 0);
}

/* The kernel takes the largest program there is, and the empty set. */
static void test_extreme_filters(void **state)
{
        _cleanup_(diag_filter_freep) DiagFilter *odd = NULL, *none = NULL, *all = NULL;
        PortSet s = {};
        Seen tcp;

        assert_int_equal(diag_filter_new(&s, false, &none), 0);
        dump(IPPROTO_TCP, none, &tcp);
        assert_int_equal(tcp.n, 0);
        for (unsigned port = 1; port < PORTSET_PORTS; port += 2)
                portset_add(&s, (uint16_t) port);
        assert_int_equal(diag_filter_new(&s, false, &odd), 0);
        assert_false(diag_filter_exact(odd));
        dump(IPPROTO_TCP, odd, &tcp);
        check_set(&tcp.listening, &made.listening, &s, false);
        portset_add_run(&s, 0, UINT16_MAX);
        assert_int_equal(diag_filter_new(&s, false, &all), 0);
        dump(IPPROTO_TCP, all, &tcp);
        assert_true(portset_equal(&tcp.listening, &made.listening));
}

static int on_stop(const Socket *s, void *userdata)
{
        return ++*(unsigned *) userdata == 3 ? -ECANCELED : 0;
}

/* A dump that was given up does not spoil the next. */
static void test_stopped_dump(void **state)
{
        for (unsigned round = 0; round < 20; round++) {
                unsigned n = 0;
                Seen tcp;

                assert_int_equal(sock_diag_dump(diag, IPPROTO_TCP, SOCK_DIAG_STATE(SOCKET_LISTEN),
                                                NULL, on_stop, &n),
                                 -ECANCELED);
                assert_int_equal(n, 3);
                dump(IPPROTO_TCP, NULL, &tcp);
                assert_true(portset_equal(&tcp.listening, &made.listening));
        }
}

static void test_no_handler(void **state)
{
        unsigned n = 0;

        assert_int_equal(sock_diag_dump(diag, 250, SOCK_DIAG_ALL, NULL, on_stop, &n),
                         -EPROTONOSUPPORT);
        assert_int_equal(n, 0);
}

static void test_statistics(void **state)
{
        SockDiagStats before = *sock_diag_stats(diag), after;
        Seen tcp;

        dump(IPPROTO_TCP, NULL, &tcp);
        after = *sock_diag_stats(diag);
        assert_int_equal(after.dumps - before.dumps, 1); /* both families in one */
        assert_int_equal(after.rows - before.rows, tcp.n);
        assert_int_equal(after.malformed, 0);
        assert_int_equal(after.overruns, 0);
}

static int on_event(const Socket *s, void *userdata)
{
        *(unsigned *) userdata += 1;
        return 0;
}

/* Another process's message is no event, though it looks like one. */
static void test_forged_event(void **state)
{
        struct {
                struct nlmsghdr h;
                struct inet_diag_msg m;
                struct nlattr a;
                uint32_t protocol;
        } forged = {
                .h = { .nlmsg_len = sizeof(forged), .nlmsg_type = SOCK_DIAG_BY_FAMILY },
                .m = { .idiag_family = AF_INET, .idiag_state = SOCKET_CLOSE },
                .a = { .nla_len = 5, .nla_type = INET_DIAG_PROTOCOL },
                .protocol = IPPROTO_TCP,
        };
        struct sockaddr_nl to = {};
        socklen_t size = sizeof(to);
        _cleanup_(closep) int events = -1, forger = -1, fd = -1;
        unsigned n = 0;
        Socket s;

        /* The payload itself would pass. */
        assert_int_equal(sock_diag_parse(&forged.m, sizeof(forged) - sizeof(forged.h), 0, &s), 0);
        assert_int_equal(sock_diag_events_open(&events), 0);
        assert_int_equal(netlink_open(0, 0, 0, &forger, NULL), 0);
        assert_int_equal(getsockname(events, (struct sockaddr *) &to, &size), 0);
        to.nl_groups = 0;
        assert_int_equal(sendto(forger, &forged, sizeof(forged), 0, (struct sockaddr *) &to, size),
                         sizeof(forged));
        assert_int_equal(sock_diag_events_read(events, on_event, &n), 0);
        assert_int_equal(n, 0);
        /* The next true one comes through. */
        fd = bound_on("127.0.0.1", SOCK_DGRAM, 0);
        close(fd);
        fd = -1;
        while (n == 0) {
                wait_readable(events);
                assert_int_equal(sock_diag_events_read(events, on_event, &n), 0);
        }
}

/* A forged row in the queue before the question: of the right sequence number and port id, and from a
 * process. */
static void test_forged_row(void **state)
{
        struct {
                struct nlmsghdr h;
                struct inet_diag_msg m;
        } forged = {
                .h = { .nlmsg_len = sizeof(forged), .nlmsg_flags = NLM_F_MULTI, .nlmsg_seq = 1 },
                .m = { .idiag_family = AF_INET,
                       .idiag_state = SOCKET_LISTEN,
                       .id.idiag_sport = htons(7) },
        };
        struct sockaddr_nl to = { .nl_family = AF_NETLINK };
        _cleanup_(sock_diag_freep) SockDiag *d = NULL;
        _cleanup_(closep) int forger = -1;
        Seen seen = {};
        int fd;

        assert_int_equal(netlink_open(0, 0, 0, &fd, &to.nl_pid), 0);
        assert_int_equal(netlink_open(0, 0, 0, &forger, NULL), 0);
        forged.h.nlmsg_pid = to.nl_pid;
        for (unsigned i = 0; i < 3; i++) {
                static const uint16_t types[] = { SOCK_DIAG_BY_FAMILY, TCPDIAG_GETSOCK,
                                                  NLMSG_DONE };

                forged.h.nlmsg_type = types[i];
                assert_int_equal(sendto(forger, &forged, sizeof(forged), 0, (struct sockaddr *) &to,
                                        sizeof(to)),
                                 sizeof(forged));
        }
        assert_int_equal(sock_diag_new_consume_fd(fd, to.nl_pid, &d), 0);
        assert_false(portset_has(&made.listening, 7));
        assert_int_equal(sock_diag_dump(d, IPPROTO_TCP, SOCK_DIAG_STATE(SOCKET_LISTEN), NULL,
                                        on_seen, &seen),
                         0);
        assert_true(portset_equal(&seen.listening, &made.listening));
}

typedef struct Awaited {
        uint64_t cookie;
        unsigned n;
} Awaited;

static int on_awaited(const Socket *s, void *userdata)
{
        Awaited *a = userdata;

        a->n += s->cookie == a->cookie;
        return 0;
}

/* Lost events are told, and those after them come again. */
static void test_lost_events(void **state)
{
        _cleanup_(closep) int events = -1;
        unsigned n = 0, rounds = 0;
        Awaited awaited = {};
        int r = 0;

        assert_int_equal(sock_diag_events_open(&events), 0);
        set_option(events, SOL_SOCKET, SO_RCVBUF, 1);
        for (unsigned i = 0; i < 1000; i++)
                close(bound_on("127.0.0.1", SOCK_DGRAM, 0));
        while (r == 0) {
                wait_readable(events);
                r = sock_diag_events_read(events, on_event, &n);
        }
        assert_int_equal(r, -ENOBUFS);
        /* The kernel tells them from a work queue: some of the burst may yet come, and one of ours
         * be lost among them. */
        while (awaited.n == 0) {
                struct pollfd p = { .fd = events, .events = POLLIN };
                int fd = bound_on("127.0.0.1", SOCK_DGRAM, 0);

                awaited.cookie = cookie_of(fd);
                close(fd);
                do
                        r = sock_diag_events_read(events, on_awaited, &awaited);
                while (awaited.n == 0 && r == 0 && poll(&p, 1, 1000) == 1);
                assert_true(r == 0 || r == -ENOBUFS);
                assert_true(rounds++ < 100);
        }
}

static int on_event_port(const Socket *s, void *userdata)
{
        portset_add(userdata, s->local_port);
        return 0;
}

/* Of the events those of the set come, and no others; another set replaces it. */
static void test_event_filter(void **state)
{
        _cleanup_(closep) int events = -1;
        PortSet all = {}, all_seen = {};

        assert_int_equal(sock_diag_events_open(&events), 0);
        for (unsigned round = 0; round < 20; round++) {
                PortSet wanted, closed = {}, seen = {};

                random_set(&wanted);
                assert_int_equal(event_filter_attach(events, &wanted), 0);
                for (unsigned i = 0; i < 200; i++) {
                        int fd = socket_for("127.0.0.1", SOCK_DGRAM);
                        unsigned port = 1 + (unsigned) rand() % 65535;

                        if (try_bind(fd, "127.0.0.1", port) == 0)
                                portset_add(&closed, (uint16_t) port);
                        close(fd);
                }
                portset_unite(&all, &closed);
                portset_intersect(&closed, &wanted);
                while (!portset_contains(&seen, &closed)) {
                        wait_readable(events);
                        assert_int_equal(sock_diag_events_read(events, on_event_port, &seen), 0);
                }
                portset_unite(&all_seen, &seen);
        }
        /* Some come late, from another CPU, and meet the next filter; but by far not all. */
        assert_true(portset_contains(&all, &all_seen));
        assert_true(portset_count(&all_seen) * 10 < portset_count(&all) * 9);
}

/* The buffer that is asked for holds a server's worth of closes. */
static void test_events_buffer(void **state)
{
        _cleanup_(closep) int events = -1;
        unsigned n = 0;

        assert_int_equal(sock_diag_events_open(&events), 0);
        for (unsigned i = 0; i < 2000; i++)
                close(bound_on("127.0.0.1", SOCK_DGRAM, 0));
        while (n < 2000) {
                wait_readable(events);
                assert_int_equal(sock_diag_events_read(events, on_event, &n), 0);
        }
}

static int setup(void **state)
{
        srand(3);
        if (loopback_up(state) < 0 || sock_diag_new(&diag) < 0)
                return -1;
        make_sockets();
        return 0;
}

static int teardown(void **state)
{
        for (unsigned i = 0; i < N_SOCKETS; i++)
                close(fds[i]);
        diag = sock_diag_free(diag);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_is_seen), cmocka_unit_test(test_random_filters),
                cmocka_unit_test(test_extreme_filters),    cmocka_unit_test(test_stopped_dump),
                cmocka_unit_test(test_no_handler),         cmocka_unit_test(test_statistics),
                cmocka_unit_test(test_forged_event),       cmocka_unit_test(test_forged_row),
                cmocka_unit_test(test_lost_events),        cmocka_unit_test(test_events_buffer),
                cmocka_unit_test(test_event_filter),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
