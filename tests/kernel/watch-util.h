/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A watch with a real event loop, and what it tells. To be included after cmocka.h. */

#include <stdlib.h>
#include <time.h>

#include "daemon/watch/watch-internal.h"
#include "sock-util.h"

#define PEER     40000u /* a server of somebody, on no port of ours */
#define EVENTS   4096u
#define DEADLINE 30

typedef struct Told {
        bool begin;
        Kind kind;
        SocketState state;
        uint16_t port;
        uint64_t cookie;
        char name[64], unit[64];
} Told;

typedef struct Fixture {
        sd_event *event;
        Watch *watch;
        Config *config;
        Told told[EVENTS];
        unsigned n_told, n_begin, n_end, n_changed, n_freed, n_degraded, n_well;
        uint16_t freed;
        uint64_t ours; /* cookie */
        bool held;
        unsigned n_owner_bound, n_owner_gone;
        uint16_t owner_port;
} Fixture;

static Cgroups cgroups;

static inline void note(Fixture *f, const Collision *c, bool begin)
{
        Told *t = f->told + f->n_told++;

        assert_true(f->n_told <= EVENTS);
        *t = (Told){ .begin = begin,
                     .kind = c->holder.kind,
                     .state = c->holder.socket.state,
                     .port = c->port,
                     .cookie = c->holder.socket.cookie };
        (void) snprintf(t->name, sizeof(t->name), "%s", c->reservation->name);
        (void) snprintf(t->unit, sizeof(t->unit), "%s", c->holder.unit ? c->holder.unit : "");
        assert_true(c->holder.since_usec > 0);
}

static inline bool on_is_ours(uint64_t cookie, uint32_t inode, void *userdata)
{
        return cookie == ((Fixture *) userdata)->ours;
}

static inline void on_begin(const Collision *c, void *userdata)
{
        note(userdata, c, true);
        ((Fixture *) userdata)->n_begin++;
}

static inline void on_end(const Collision *c, uint64_t duration_usec, void *userdata)
{
        note(userdata, c, false);
        ((Fixture *) userdata)->n_end++;
}

static inline void on_changed(const Collision *c, void *userdata)
{
        ((Fixture *) userdata)->n_changed++;
}

static inline void on_freed(int protocol, uint16_t port, void *userdata)
{
        ((Fixture *) userdata)->n_freed++;
        ((Fixture *) userdata)->freed = port;
}

static inline void on_owner(const Reservation *r, const Endpoint *e, uint16_t port, bool bound,
                            void *userdata)
{
        Fixture *f = userdata;

        f->owner_port = port;
        *(bound ? &f->n_owner_bound : &f->n_owner_gone) += 1;
}

static inline void on_degraded(const char *what, const char *error, void *userdata)
{
        Fixture *f = userdata;

        *(error ? &f->n_degraded : &f->n_well) += 1;
}

static inline bool on_held(const Endpoint *e, uint16_t port, void *userdata)
{
        return ((Fixture *) userdata)->held;
}

/* "[web]\nPorts=80/tcp\n…", as in the file. */
static inline Config *make_config(const char *text)
{
        static const ConfigOps ops = {};
        _cleanup_(freep) char *copy = strdup(text);
        Config *c = NULL;
        unsigned line = 0;

        assert_int_equal(config_new(&ops, &c), 0);
        for (char *rest = copy, *s; (s = strsep(&rest, "\n"));) {
                char *value = strchr(s, '=');

                line++;
                if (s[0] == '[') {
                        s[strlen(s) - 1] = 0;
                        assert_int_equal(config_section(c, "test.conf", line, s + 1), 0);
                } else if (value) {
                        *value++ = 0;
                        assert_int_equal(config_set(c, "test.conf", line, s, value), 0);
                }
        }
        assert_int_equal(config_finish(c), 0);
        assert_int_equal(c->n_errors, 0);
        return c;
}

static inline Fixture *start(void **state, const char *config)
{
        static const WatchOps ops = {
                .is_ours = on_is_ours,
                .begin = on_begin,
                .end = on_end,
                .changed = on_changed,
                .freed = on_freed,
                .owner = on_owner,
                .degraded = on_degraded,
                .held = on_held,
        };
        Fixture *f = *state;

        f->config = make_config(config);
        assert_int_equal(watch_new(f->event, &ops, f, &f->watch), 0);
        assert_int_equal(watch_apply(f->watch, f->config), 0);
        return f;
}

#define LOOP_UNTIL(f, condition)                                                                   \
        do {                                                                                       \
                time_t _end = time(NULL) + DEADLINE;                                               \
                while (!(condition) && time(NULL) < _end)                                          \
                        assert_true(sd_event_run((f)->event, 100000) >= 0);                        \
                assert_true(condition);                                                            \
        } while (0)

/* Two more full sweeps: whatever would be told has been. */
static inline void settle(Fixture *f)
{
        uint64_t sweeps = watch_stats(f->watch)->sweeps;

        LOOP_UNTIL(f, watch_stats(f->watch)->sweeps >= sweeps + 2);
}

static inline const Collision *only_collision(Fixture *f)
{
        const Collision *found = NULL;

        assert_int_equal(watch_count(f->watch), 1);
        CONFIG_FOREACH_RESERVATION(f->config, r) {
                for (size_t i = 0; i < r->n_endpoints; i++)
                        for (const Collision *c = NULL;
                             (c = watch_next(f->watch, r->endpoints + i, c));) {
                                assert_null(found);
                                found = c;
                        }
        }
        assert_non_null(found);
        return found;
}

static inline void enter(const char *unit)
{
        if (cgroups_available(&cgroups))
                cgroups_enter(&cgroups, unit);
}

static inline void need_cgroups(void)
{
        if (!cgroups_available(&cgroups)) {
                print_message("no cgroup v2 here\n");
                skip();
        }
}

#define CONFIG_31000 "[web]\nPorts=31000\n[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n"

/* A watch that has told of a squatter on 127.0.0.1. */
static inline Fixture *start_with_squatter(void **state, int *ret_squatter)
{
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        enter("thief.service");
        *ret_squatter = listener_on("127.0.0.1", 31000);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin == 1);
        return f;
}

static inline int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        /* A namespace each: what remains of one test's connections is not the next one's. */
        if (!f || unshare(CLONE_NEWNET) < 0 || loopback_up(state) < 0 ||
            sd_event_new(&f->event) < 0)
                return -1;
        *state = f;
        return 0;
}

static inline int teardown(void **state)
{
        Fixture *f = *state;

        watch_free(f->watch);
        config_free(f->config);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static inline int group_setup(void **state)
{
        cgroups_init(&cgroups);
        return 0;
}

static inline int group_teardown(void **state)
{
        static const char *const units[] = { "thief.service", "web.service", NULL };

        cgroups_done(&cgroups, units);
        return 0;
}

#define WATCH_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
