/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The holds, on a real event loop with real sockets; the questions that the daemon's watch answers
 * are answered from real dumps. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/hold/hold.h"
#include "kernel/sock-diag.h"
#include "thief.h"

#define DEADLINE_SEC 20

static const Place *const dual = &places[3];
static const Place *const local = &places[1];

/* How owner_bound() answers: is anybody but us bound (TCP: listening) there? */
typedef enum Answer {
        AS_IT_IS,
        CANNOT_TELL,
        NOT_THE_OWNER,
} Answer;

typedef struct Stored {
        int fd;
        char name[8];
} Stored;

typedef struct World {
        sd_event *event;
        HoldSet *set;
        Config *config, *old_config;
        SockDiag *diag;
        Answer answer;
        Tristate alive;
        bool clear;
        uint16_t asked_port;
        Tristate seen;
        unsigned n_changes, n_pending_events, n_asked;
        Stored stored[32];
        size_t n_stored;
        uint16_t port;
} World;

static uint16_t next_port = 27000;

static int no_service(const char *name, int protocol, uint16_t *ret)
{
        return -ENOENT;
}

static int no_user(const char *name, uid_t *ret)
{
        return -ENOENT;
}

static Config *config_of(const char *const lines[][2])
{
        static const ConfigOps ops = { no_service, no_user };
        Config *c = NULL;

        assert_int_equal(config_new(&ops, &c), 0);
        for (unsigned i = 0; lines[i][0]; i++)
                if (lines[i][0][0] == '[')
                        assert_int_equal(config_section(c, "test", i + 1, lines[i][1]), 0);
                else
                        assert_int_equal(config_set(c, "test", i + 1, lines[i][0], lines[i][1]), 0);
        assert_int_equal(config_finish(c), 0);
        if (c->n_errors > 0)
                fail_msg("line %u: %s", c->errors[0].line, c->errors[0].message);
        return c;
}

static void on_changed(const HoldEvent *e, void *userdata)
{
        World *w = userdata;

        w->n_changes++;
        w->n_pending_events += e->to == HOLD_STATE_PENDING;
}

static int look(const Socket *s, void *userdata)
{
        World *w = userdata;

        if (s->local_port == w->asked_port && !hold_set_is_ours(w->set, s->cookie, s->inode))
                w->seen = TRI_YES;
        return 0;
}

static Tristate on_owner_bound(const Reservation *r, const Endpoint *e, uint16_t port,
                               void *userdata)
{
        World *w = userdata;
        uint32_t states = e->protocol == IPPROTO_TCP ? SOCK_DIAG_STATE(SOCKET_LISTEN)
                                                     : SOCK_DIAG_STATE(SOCKET_CLOSE);

        w->n_asked++;
        if (w->answer == CANNOT_TELL)
                return TRI_UNKNOWN;
        if (w->answer == NOT_THE_OWNER)
                return TRI_NO;
        w->asked_port = port;
        w->seen = TRI_NO;
        assert_int_equal(sock_diag_dump(w->diag, e->protocol, states, NULL, look, w), 0);
        return w->seen;
}

typedef struct Remains {
        uint16_t port;
        Socket found[8];
        size_t n;
} Remains;

static int gather(const Socket *s, void *userdata)
{
        Remains *r = userdata;

        if (s->local_port == r->port && r->n < ELEMENTSOF(r->found))
                r->found[r->n++] = *s;
        return 0;
}

static bool on_clear_remains(const Reservation *r, const Endpoint *e, uint16_t port, void *userdata)
{
        World *w = userdata;
        Remains remains = { .port = port };
        bool cleared = false;

        if (!w->clear)
                return false;
        assert_int_equal(sock_diag_dump(w->diag, e->protocol, SOCK_DIAG_STATE(SOCKET_TIME_WAIT),
                                        NULL, gather, &remains),
                         0);
        for (size_t i = 0; i < remains.n; i++)
                cleared |= sock_diag_destroy(w->diag, &remains.found[i]) == 0;
        return cleared;
}

static void on_store(int fd, const char *name, void *userdata)
{
        World *w = userdata;

        assert_true(strlen(name) >= 1 && strlen(name) <= 4);
        for (size_t i = 0; i < w->n_stored; i++)
                assert_string_not_equal(w->stored[i].name, name);
        assert_true(w->n_stored < ELEMENTSOF(w->stored));
        w->stored[w->n_stored].fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        snprintf(w->stored[w->n_stored++].name, sizeof(w->stored[0].name), "%s", name);
}

static void on_unstore(const char *name, void *userdata)
{
        World *w = userdata;

        for (size_t i = 0; i < w->n_stored; i++)
                if (strcmp(w->stored[i].name, name) == 0) {
                        close(w->stored[i].fd);
                        w->stored[i] = w->stored[--w->n_stored];
                        return;
                }
        fail_msg("unstored %s, which is not there", name);
}

static Tristate on_owner_alive(const Reservation *r, void *userdata)
{
        return ((World *) userdata)->alive;
}

static const HoldOps ops = {
        .changed = on_changed,
        .owner_bound = on_owner_bound,
        .clear_remains = on_clear_remains,
        .store = on_store,
        .unstore = on_unstore,
        .owner_alive = on_owner_alive,
};

static int set_up(void **state)
{
        World *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        w->alive = TRI_UNKNOWN;
        w->port = next_port++;
        assert_int_equal(sd_event_new(&w->event), 0);
        assert_int_equal(sock_diag_new(&w->diag), 0);
        assert_int_equal(hold_set_new(w->event, true, &ops, w, &w->set), 0);
        *state = w;
        return 0;
}

static int tear_down(void **state)
{
        World *w = *state;

        hold_set_free(w->set);
        config_free(w->config);
        config_free(w->old_config);
        sock_diag_free(w->diag);
        sd_event_unref(w->event);
        for (size_t i = 0; i < w->n_stored; i++)
                close(w->stored[i].fd);
        free(w);
        return 0;
}

static void apply(World *w, const char *const lines[][2])
{
        config_free(w->old_config);
        w->old_config = w->config;
        w->config = config_of(lines);
        assert_int_equal(hold_set_apply(w->set, w->config), 0);
}

static void apply_one(World *w, const char *hold, const char *reuse, const char *protocol)
{
        char ports[16];
        const char *const lines[][2] = {
                { "[", "srv" },   { "Ports", ports }, { "ReuseAddress", reuse },
                { "Hold", hold }, { NULL, NULL },
        };

        snprintf(ports, sizeof(ports), "%u/%s", w->port, protocol);
        apply(w, lines);
}

static const Reservation *srv(World *w)
{
        return w->config->reservations[0];
}

static Hold *the_hold(World *w)
{
        return hold_set_find(w->set, &srv(w)->endpoints[0], w->port);
}

static bool run_until_state(World *w, HoldState s)
{
        time_t end = time(NULL) + DEADLINE_SEC;

        while (hold_state(the_hold(w)) != s && time(NULL) < end)
                assert_true(sd_event_run(w->event, 20 * 1000) >= 0);
        return hold_state(the_hold(w)) == s;
}

static void run_for(World *w, unsigned milliseconds)
{
        struct timespec t;
        uint64_t now, end = 0;

        do {
                clock_gettime(CLOCK_MONOTONIC, &t);
                now = (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
                end = end ? end : now + milliseconds;
                assert_true(sd_event_run(w->event, 10 * 1000) >= 0);
        } while (now < end);
}

static int serve(World *w, int protocol, const Place *p, int flags)
{
        int fd = open_at(protocol, p, w->port, flags);

        if (fd < 0)
                fail_msg("owner: %s", strerror(-fd));
        if (protocol == IPPROTO_TCP)
                assert_int_equal(listen(fd, 16), 0);
        return fd;
}

static void expect_closed(World *w, int protocol)
{
        for (int flags = PLAIN; flags <= BOTH; flags++) {
                assert_int_equal(steal_as(0, protocol, dual, w->port, flags), -EADDRINUSE);
                assert_int_equal(steal_as(65534, protocol, local, w->port, flags), -EADDRINUSE);
                assert_int_equal(steal_as(0, protocol, &places[2], w->port, flags), -EADDRINUSE);
        }
}

static void expect_state(World *w, HoldState s)
{
        assert_string_equal(hold_state_to_string(hold_state(the_hold(w))), hold_state_to_string(s));
}

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

static ino_t inode_of(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_ino;
}

/* The daemon goes (closing all it has) and comes back with what the fd store kept. */
static void restart(World *w)
{
        Stored kept[ELEMENTSOF(w->stored)];
        size_t n = w->n_stored;

        memcpy(kept, w->stored, sizeof(kept));
        hold_set_free(w->set);
        assert_int_equal(hold_set_new(w->event, true, &ops, w, &w->set), 0);
        for (size_t i = 0; i < n; i++) {
                int fd = fcntl(kept[i].fd, F_DUPFD_CLOEXEC, 3);

                assert_int_equal(hold_set_adopt_consume_fd(w->set, fd, kept[i].name), 0);
        }
        config_free(w->old_config);
        w->old_config = NULL;
        assert_int_equal(hold_set_apply(w->set, w->config), 0);
}

static void test_adoption(void **state)
{
        World *w = *state;
        ino_t inode;
        int owner;

        apply_one(w, "bound", "yes", "tcp");
        inode = inode_of(hold_fd(the_hold(w)));

        restart(w);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        assert_int_equal(w->n_stored, 1);
        assert_true(hold_set_is_ours(w->set, 0, (uint32_t) inode));
        expect_closed(w, IPPROTO_TCP);

        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        restart(w);
        expect_state(w, HOLD_STATE_SHARING);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));

        restart(w);
        hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, true);
        expect_state(w, HOLD_STATE_IN_USE);
        expect_closed(w, IPPROTO_TCP);
        assert_int_equal(connect_to(AF_INET, w->port) < 0, 0);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        run_for(w, 3500); /* past the scrub of adopted ones */
        expect_state(w, HOLD_STATE_IN_USE);
        assert_int_equal(listen(owner, 5), 0);

        close(owner);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        assert_int_equal(w->n_pending_events, 0);
}

/* A SO_REUSEPORT owner stopped while the daemon was away: nobody scrubbed. */
static void test_adopted_is_scrubbed(void **state)
{
        World *w = *state;
        int owner;

        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, BOTH);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
        close(owner);
        restart(w);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        for (int i = 0; i < 200 && steal_as(0, IPPROTO_TCP, dual, w->port, BOTH) == 0; i++)
                run_for(w, 50);
        expect_closed(w, IPPROTO_TCP);
}

/* What no endpoint wants any more is closed and taken out; a name that is not one of ours is kept
 * as it is. */
static void test_adopts_by_what_it_is(void **state)
{
        World *w = *state;
        Endpoint e = { .protocol = IPPROTO_TCP, .port = w->port, .last = w->port };
        uint16_t other = next_port++;
        Endpoint unwanted = { .protocol = IPPROTO_TCP, .port = other, .last = other };
        int fd = -1, fd2 = -1;
        ino_t inode;

        assert_int_equal(placeholder_bind(&e, w->port, false, &fd), BIND_OK);
        assert_int_equal(placeholder_bind(&unwanted, other, false, &fd2), BIND_OK);
        inode = inode_of(fd);
        on_store(fd, "zz-9", w);
        on_store(fd2, "1", w);
        assert_int_equal(hold_set_adopt_consume_fd(w->set, fd, "zz-9"), 0);
        assert_int_equal(hold_set_adopt_consume_fd(w->set, fd2, "1"), 0);
        apply_one(w, "bound", "yes", "tcp");
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        assert_int_equal(w->n_stored, 1);
        assert_string_equal(w->stored[0].name, "zz-9");
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, other, PLAIN), 0);

        /* Not a socket: refused, closed, taken out. */
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        on_store(fd, "2", w);
        assert_int_equal(hold_set_adopt_consume_fd(w->set, fd, "2"), -ENOTSOCK);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(w->n_stored, 1);
}

static void test_reload_keeps_sockets(void **state)
{
        World *w = *state;
        uint16_t p = w->port, q = next_port++, r = next_port++;
        char both[32], kept[16], moved[32];
        const char *const first[][2] = {
                { "[", "srv" }, { "Ports", both }, { "Hold", "bound" }, { NULL, NULL }
        };
        const char *const second[][2] = {
                { "[", "srv" },      { "Ports", kept },         { "Hold", "bound" }, { "[", "new" },
                { "Hold", "bound" }, { "ListenStream", moved }, { NULL, NULL },
        };
        Endpoint gone = { .protocol = IPPROTO_TCP, .port = q, .last = q };
        ino_t inode;

        snprintf(both, sizeof(both), "%u/tcp %u/tcp", p, q);
        snprintf(kept, sizeof(kept), "%u/tcp", p);
        snprintf(moved, sizeof(moved), "127.0.0.1:%u", q);
        apply(w, first);
        assert_int_equal(hold_set_count(w->set), 2);
        inode = inode_of(hold_fd(the_hold(w)));
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);

        /* *:q goes to another section, as 127.0.0.1:q: the old socket must go before the new one
         * comes. */
        apply(w, second);
        assert_int_equal(hold_set_count(w->set), 2);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        expect_state(w, HOLD_STATE_SHARING);
        assert_null(hold_set_find(w->set, &gone, q));
        assert_int_equal(hold_set_pending(w->set), 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, local, q, REUSEADDR), -EADDRINUSE);
        assert_int_equal(steal_as(0, IPPROTO_TCP, &places[2], q, PLAIN), 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, r, PLAIN), 0);
        assert_int_equal(w->n_stored, 2);

        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
}

/* Who was the owner of the old configuration is a thief in the new one. */
static void test_reload_changes_owner(void **state)
{
        World *w = *state;
        char ports[16];
        const char *const other[][2] = { { "[", "other" },
                                         { "Ports", ports },
                                         { "Hold", "bound" },
                                         { "Unit", "else.service" },
                                         { NULL, NULL } };
        int owner;

        snprintf(ports, sizeof(ports), "%u/tcp", w->port);
        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));

        w->answer = NOT_THE_OWNER;
        apply(w, other);
        assert_true(run_until_state(w, HOLD_STATE_PENDING));
        close(owner);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
}

static void test_reload_changes_mode(void **state)
{
        World *w = *state;
        ino_t inode;

        apply_one(w, "bound", "yes", "tcp");
        inode = inode_of(hold_fd(the_hold(w)));
        apply_one(w, "shared", "yes", "tcp");
        expect_state(w, HOLD_STATE_SHARING);
        apply_one(w, "bound", "yes", "tcp");
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        expect_closed(w, IPPROTO_TCP);
        apply_one(w, "none", "yes", "tcp");
        assert_int_equal(hold_set_count(w->set), 0);
        assert_int_equal(w->n_stored, 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), 0);
}

static void test_no_descriptors(void **state)
{
        World *w = *state;
        struct rlimit before, tight;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        tight = before;
        tight.rlim_cur = 3; /* those that are open stay open */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        expect_state(w, HOLD_STATE_PENDING);
        assert_int_equal(hold_error(the_hold(w)), -EMFILE);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
}

static void test_is_ours(void **state)
{
        World *w = *state;
        _cleanup_(closep) int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint64_t cookie;
        uint32_t inode;
        int fd;

        apply_one(w, "bound", "no", "tcp");
        fd = hold_fd(the_hold(w));
        assert_int_equal(placeholder_identity(fd, &cookie, &inode), 0);
        assert_true(hold_set_is_ours(w->set, cookie, inode));
        assert_true(hold_set_is_ours(w->set, cookie, 0));
        assert_true(hold_set_is_ours(w->set, 0, inode));
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        assert_false(hold_set_is_ours(w->set, cookie, inode));
        assert_false(hold_set_is_ours(w->set, 0, inode));
        assert_int_equal(placeholder_identity(other, &cookie, &inode), 0);
        assert_false(hold_set_is_ours(w->set, cookie, inode));
        assert_false(hold_set_is_ours(w->set, 0, 0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
                TEST(test_reuse_no_crash_before_bind),
                TEST(test_reuse_always),
                TEST(test_shared),
                TEST(test_shared_owner_gone_by_event),
                TEST(test_shared_owner_was_first),
                TEST(test_listening),
                TEST(test_squatter_got_in),
                TEST(test_adoption),
                TEST(test_adopted_is_scrubbed),
                TEST(test_adopts_by_what_it_is),
                TEST(test_reload_keeps_sockets),
                TEST(test_reload_changes_owner),
                TEST(test_reload_changes_mode),
                TEST(test_no_descriptors),
                TEST(test_is_ours),
        };

        if (loopback_up() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
