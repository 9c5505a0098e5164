/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One hold: its owner and thieves come and go, in each mode. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hold-util.h"

/* The main path, twice over, with each answer that the daemon may have. */
static void owner_comes_and_goes(World *w, const char *protocol_name, int protocol)
{
        apply_one(w, "bound", "yes", protocol_name);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        expect_closed(w, protocol);

        for (int run = 0; run < 2; run++) {
                int owner;

                assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
                expect_state(w, HOLD_STATE_SHARING);
                assert_int_equal(steal_as(0, protocol, dual, w->port, PLAIN), -EADDRINUSE);
                run_for(w, 60);
                expect_state(w, HOLD_STATE_SHARING);

                /* Also one that leaves other addresses to whoever comes, if the door stayed open. */
                owner = serve(w, protocol, run ? local : dual, REUSEADDR);
                assert_true(run_until_state(w, HOLD_STATE_IN_USE));
                expect_closed(w, protocol);

                close(owner);
                assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
                assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
                expect_closed(w, protocol);
        }
        assert_int_equal(w->n_pending_events, 0);
        assert_int_equal(w->n_stored, 1);
}

static void test_tcp(void **state)
{
        owner_comes_and_goes(*state, "tcp", IPPROTO_TCP);
}

static void test_udp(void **state)
{
        owner_comes_and_goes(*state, "udp", IPPROTO_UDP);
}

/* SO_REUSEPORT over IPv6, which the kernel puts behind ours: it gets its datagrams all the same. */
static void test_udp_reuseport(void **state)
{
        static const char *const modes[][2] = { { "bound", "yes" },
                                                { "bound", "always" },
                                                { "shared", "yes" } };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                int owner;
                time_t end = time(NULL) + DEADLINE_SEC;

                apply_one(w, modes[i][0], modes[i][1], "udp");
                assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
                owner = serve(w, IPPROTO_UDP, dual, BOTH);
                hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, true);
                while (!datagram_arrives(owner, AF_INET6, w->port) && time(NULL) < end)
                        run_for(w, 50);
                assert_true(datagram_arrives(owner, AF_INET6, w->port));
                assert_true(datagram_arrives(owner, AF_INET, w->port));
                assert_int_equal(w->n_stored, 1);
                close(owner);
                assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
                hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, false);
                if (i < 2)
                        expect_closed(w, IPPROTO_UDP);
        }
}

static void test_cannot_tell(void **state)
{
        World *w = *state;

        w->answer = CANNOT_TELL;
        owner_comes_and_goes(w, "tcp", IPPROTO_TCP);
}

/* A server may take its time between bind() and listen(): closing the door there would make its
 * listen() fail. */
static void test_bound_is_not_enough(void **state)
{
        World *w = *state;
        _cleanup_(closep) int owner = -1;

        apply_one(w, "bound", "yes", "tcp");
        w->answer = CANNOT_TELL;
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = open_at(IPPROTO_TCP, dual, w->port, REUSEADDR);
        assert_true(owner >= 0);
        hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, true);
        run_for(w, 400);
        expect_state(w, HOLD_STATE_SHARING);
        assert_int_equal(listen(owner, 1), 0);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
}

static void test_crash_before_bind(void **state)
{
        World *w = *state;

        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        run_for(w, 60);
        expect_state(w, HOLD_STATE_SHARING);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        expect_closed(w, IPPROTO_TCP);
}

/* No stop came, as with `systemctl kill -s KILL`: its helper was killed as well. */
static void test_dead_before_bind(void **state)
{
        World *w = *state;

        apply_one(w, "bound", "yes", "tcp");
        w->alive = TRI_YES;
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        run_for(w, 6000);
        expect_state(w, HOLD_STATE_SHARING);
        w->alive = TRI_NO;
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
}

/* Learnt from the destroy event, from the scan, without any stop. */
static void crash_while_running(World *w, void (*tell)(World *w))
{
        int owner;

        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, BOTH);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));

        /* A connection of its ends: that is an event too, and means nothing. */
        tell(w);
        run_for(w, 500);
        expect_state(w, HOLD_STATE_IN_USE);

        close(owner);
        tell(w);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
}

static void tell_freed(World *w)
{
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
}

static void tell_not_seen(World *w)
{
        hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, false);
}

static void test_crash_by_event(void **state)
{
        crash_while_running(*state, tell_freed);
}

static void test_crash_by_scan(void **state)
{
        crash_while_running(*state, tell_not_seen);
}

static void test_crash_cannot_tell(void **state)
{
        World *w = *state;

        w->answer = CANNOT_TELL;
        crash_while_running(w, tell_freed);
}

/* Stop is told while the server's socket is still there for a moment: no alert, and taken back
 * without any event. */
static void test_lingering_listener(void **state)
{
        World *w = *state;
        int owner;

        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        expect_state(w, HOLD_STATE_IN_USE);
        run_for(w, 200);
        expect_state(w, HOLD_STATE_IN_USE);
        expect_closed(w, IPPROTO_TCP);
        close(owner);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_int_equal(w->n_pending_events, 0);
}

static void test_thief_then_claim_by_event(void **state)
{
        World *w = *state;
        int thief;

        w->answer = NOT_THE_OWNER;
        thief = serve(w, IPPROTO_TCP, local, REUSEADDR);
        apply_one(w, "bound", "yes", "tcp");
        expect_state(w, HOLD_STATE_PENDING);
        assert_int_equal(hold_error(the_hold(w)), -EADDRINUSE);
        assert_int_equal(hold_fd(the_hold(w)), -1);
        assert_int_equal(hold_set_pending(w->set), 1);
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 1);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);

        run_for(w, 1000); /* the retry is slow by now */
        close(thief);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_int_equal(hold_set_pending(w->set), 0);
        assert_int_equal(hold_error(the_hold(w)), 0);
        expect_closed(w, IPPROTO_TCP);
}

static void test_thief_then_claim_by_retry(void **state)
{
        World *w = *state;
        int thief;

        w->answer = NOT_THE_OWNER;
        thief = serve(w, IPPROTO_TCP, local, PLAIN);
        apply_one(w, "bound", "yes", "tcp");
        expect_state(w, HOLD_STATE_PENDING);
        close(thief);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
}

/* Somebody connected from our port and closed first: TIME_WAIT, for a minute and without a further
 * event. */
static void test_remains_of_a_client(void **state)
{
        World *w = *state;
        _cleanup_(closep) int listener = open_at(IPPROTO_TCP, local, 0, PLAIN), accepted = -1;
        struct sockaddr_storage ss;
        socklen_t size = sizeof(ss);
        int client;

        assert_true(listener >= 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *) &ss, &size), 0);
        client = open_at(IPPROTO_TCP, local, w->port, PLAIN);
        assert_true(client >= 0);
        assert_int_equal(connect(client, (struct sockaddr *) &ss, size), 0);
        accepted = accept(listener, NULL, NULL);
        assert_true(accepted >= 0);
        close(client);
        assert_true(readable(accepted, 5000));
        close(accepted);
        accepted = -1;

        w->answer = NOT_THE_OWNER;
        apply_one(w, "bound", "yes", "tcp");
        expect_state(w, HOLD_STATE_PENDING);
        w->clear = true;
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
}

/* The owner's next run, with connections of its last one in FIN_WAIT2. */
static void test_remains_of_the_owner(void **state)
{
        World *w = *state;
        _cleanup_(closep) int client = -1;
        int owner, accepted;

        apply_one(w, "bound", "yes", "tcp");
        for (int run = 0; run < 2; run++) {
                assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
                owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
                assert_true(run_until_state(w, HOLD_STATE_IN_USE));
                if (run == 0) {
                        client = connect_to(AF_INET, w->port);
                        accepted = accept(owner, NULL, NULL);
                        assert_true(accepted >= 0);
                        close(accepted);
                }
                close(owner);
                assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
                expect_state(w, HOLD_STATE_EXCLUSIVE);
                expect_closed(w, IPPROTO_TCP);
        }
}

/* The daemon comes after the server: nothing to hold, nothing to tell, until the server stops. */
static void test_owner_was_first(void **state)
{
        World *w = *state;
        int owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);

        apply_one(w, "bound", "yes", "tcp");
        expect_state(w, HOLD_STATE_IN_USE);
        assert_int_equal(w->n_pending_events, 0);
        assert_int_equal(hold_fd(the_hold(w)), -1);

        close(owner);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_int_equal(w->n_pending_events, 0);
        expect_closed(w, IPPROTO_TCP);
}

static void test_owner_was_first_and_restarts(void **state)
{
        World *w = *state;
        int owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);

        apply_one(w, "bound", "yes", "tcp");
        close(owner);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
        close(owner);
}

static void test_reuse_no(void **state)
{
        World *w = *state;

        apply_one(w, "bound", "no", "tcp");
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        for (int run = 0; run < 2; run++) {
                int owner;

                assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
                expect_state(w, HOLD_STATE_PENDING);
                assert_int_equal(hold_error(the_hold(w)), 0);
                assert_int_equal(w->n_stored, 0);
                owner = serve(w, IPPROTO_TCP, dual, PLAIN);
                assert_true(run_until_state(w, HOLD_STATE_IN_USE));
                assert_int_equal(hold_fd(the_hold(w)), -1);

                /* Its socket goes a moment after the stop. */
                assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
                run_for(w, 100);
                close(owner);
                assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
                assert_int_equal(w->n_pending_events, (unsigned) run + 1);
                expect_closed(w, IPPROTO_TCP);
        }
}

/* The port was left to its owner, and somebody else came: that is told as any other failure to hold. */
static void test_reuse_no_thief_meanwhile(void **state)
{
        World *w = *state;
        int thief;

        apply_one(w, "bound", "no", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        assert_int_equal(w->n_pending_events, 1);
        thief = serve(w, IPPROTO_TCP, dual, PLAIN);
        w->answer = NOT_THE_OWNER;
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        run_for(w, 2000);
        assert_int_equal(hold_error(the_hold(w)), -EADDRINUSE);
        assert_int_equal(w->n_pending_events, 2);
        run_for(w, 500);
        assert_int_equal(w->n_pending_events, 2);
        assert_int_equal(hold_set_pending(w->set), 1);

        close(thief);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_int_equal(hold_set_pending(w->set), 0);
}

static void test_reuse_no_crash_before_bind(void **state)
{
        World *w = *state;

        apply_one(w, "bound", "no", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
}

/* A reload that closes and binds anew: still let in. */
static void test_reuse_always(void **state)
{
        World *w = *state;
        int owner;

        apply_one(w, "bound", "always", "tcp");
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        run_for(w, 300);
        expect_state(w, HOLD_STATE_SHARING);
        close(owner);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        run_for(w, 500);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        run_for(w, 300);
        expect_state(w, HOLD_STATE_SHARING);
        close(owner);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        expect_closed(w, IPPROTO_TCP);
}

static void test_shared(void **state)
{
        World *w = *state;
        int owner;

        apply_one(w, "shared", "yes", "tcp");
        expect_state(w, HOLD_STATE_SHARING);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), -EADDRINUSE);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, true);
        run_for(w, 200);
        expect_state(w, HOLD_STATE_SHARING);
        close(owner);
        hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, false);
        run_for(w, 300);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, REUSEADDR), 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), -EADDRINUSE);
}

/* That the owner goes is no reason to close the door to its next run. */
static void test_shared_owner_gone_by_event(void **state)
{
        World *w = *state;
        const Endpoint *e;

        apply_one(w, "shared", "yes", "tcp");
        e = &srv(w)->endpoints[0];
        for (int run = 0; run < 2; run++) {
                int owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);

                hold_set_owner_seen(w->set, srv(w), e, w->port, true);
                close(owner);
                hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
                run_for(w, 500);
                expect_state(w, HOLD_STATE_SHARING);
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, REUSEADDR), 0);
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), -EADDRINUSE);
        }
}

/* Whether the look or the event is first to tell that it has gone. */
static void test_shared_owner_was_first(void **state)
{
        World *w = *state;
        int owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);

        apply_one(w, "shared", "yes", "tcp");
        expect_state(w, HOLD_STATE_IN_USE);
        close(owner);
        hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, false);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_SHARING));
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), -EADDRINUSE);
}

static void test_listening(void **state)
{
        World *w = *state;
        _cleanup_(closep) int client = -1;
        char port[16];
        const char *const lines[][2] = { { "[", "srv" }, { "ListenStream", port }, { NULL, NULL } };

        snprintf(port, sizeof(port), "%u", w->port);
        apply(w, lines);
        expect_state(w, HOLD_STATE_LISTENING);
        client = connect_to(AF_INET6, w->port);
        assert_true(client >= 0);
}

/* Hold=listen for datagrams, and the server was there first: what is listened on when it has gone gets
 * them. */
static void test_listening_owner_was_first(void **state)
{
        World *w = *state;
        int owner = serve(w, IPPROTO_UDP, dual, REUSEADDR);
        char port[16];
        const char *const lines[][2] = { { "[", "srv" },
                                         { "ListenDatagram", port },
                                         { NULL, NULL } };

        snprintf(port, sizeof(port), "%u", w->port);
        apply(w, lines);
        expect_state(w, HOLD_STATE_IN_USE);
        assert_true(datagram_arrives(owner, AF_INET6, w->port));
        close(owner);
        hold_set_port_freed(w->set, IPPROTO_UDP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_LISTENING));
        assert_true(datagram_arrives(hold_fd(the_hold(w)), AF_INET6, w->port));
        assert_true(datagram_arrives(hold_fd(the_hold(w)), AF_INET, w->port));
}

/* Somebody won the race while the door was open: told as pending, closed to all others, exclusive
 * when it goes. */
static void test_squatter_got_in(void **state)
{
        World *w = *state;
        int thief;

        apply_one(w, "bound", "yes", "tcp");
        w->answer = NOT_THE_OWNER;
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        thief = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        run_for(w, 200);
        expect_state(w, HOLD_STATE_SHARING);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        assert_true(run_until_state(w, HOLD_STATE_PENDING));
        assert_int_equal(hold_error(the_hold(w)), -EADDRINUSE);
        expect_closed(w, IPPROTO_TCP);
        close(thief);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_tcp),
                TEST(test_udp),
                TEST(test_udp_reuseport),
                TEST(test_cannot_tell),
                TEST(test_bound_is_not_enough),
                TEST(test_crash_before_bind),
                TEST(test_dead_before_bind),
                TEST(test_crash_by_event),
                TEST(test_crash_by_scan),
                TEST(test_crash_cannot_tell),
                TEST(test_lingering_listener),
                TEST(test_thief_then_claim_by_event),
                TEST(test_thief_then_claim_by_retry),
                TEST(test_remains_of_a_client),
                TEST(test_remains_of_the_owner),
                TEST(test_owner_was_first),
                TEST(test_owner_was_first_and_restarts),
                TEST(test_reuse_no),
                TEST(test_reuse_no_thief_meanwhile),
                TEST(test_reuse_no_crash_before_bind),
                TEST(test_reuse_always),
                TEST(test_shared),
                TEST(test_shared_owner_gone_by_event),
                TEST(test_shared_owner_was_first),
                TEST(test_listening),
                TEST(test_listening_owner_was_first),
                TEST(test_squatter_got_in),
        };

        if (loopback_up() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
