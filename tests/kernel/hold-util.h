/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Holds on a real event loop with real sockets; the questions that the daemon's watch answers are
 * answered from real dumps. To be included after cmocka.h. */

#include <stdlib.h>
#include <sys/resource.h>
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
        bool unannounced; /* nobody tells of its owner */
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

static bool on_announced(const Reservation *r, void *userdata)
{
        return !((World *) userdata)->unannounced;
}

static const HoldOps ops = {
        .changed = on_changed,
        .owner_bound = on_owner_bound,
        .clear_remains = on_clear_remains,
        .store = on_store,
        .unstore = on_unstore,
        .owner_alive = on_owner_alive,
        .announced = on_announced,
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
