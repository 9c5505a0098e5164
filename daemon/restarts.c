/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/restarts.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "kernel/unit-run.h"
#include "model/socket-key.h"

#define LOOK_USEC (1 * USEC_PER_SEC)

struct Restarts {
        sd_event_source *timer;
        RestartsOps ops;
        void *userdata;
};

static const Endpoint *find_endpoint(const Reservation *r, const Endpoint *e)
{
        for (size_t i = 0; r && i < r->n_endpoints; i++) {
                const Endpoint *o = &r->endpoints[i];

                if (endpoint_same_place(o, e) && o->port <= e->port && o->last >= e->last)
                        return o;
        }
        return NULL;
}

static bool same_keys(const Reservation *a, const Reservation *b)
{
        for (size_t i = 0; i < a->n_socket_keys; i++) {
                const SocketKey *k = &a->socket_keys[i], *o;

                if (socket_key_is_loaded(k->key))
                        continue;
                o = reservation_socket_key(b, k->key);
                if (!o || strcmp(o->value, k->value) != 0)
                        return false;
        }
        return true;
}

/* Has its .socket unit no other sockets than it had? As portreservectl judges. */
static bool same_listener(const Reservation *r, const Reservation *old)
{
        size_t at = 0;

        if (old->hold != HOLD_LISTEN || !old->unit || strcmp(r->unit, old->unit) != 0 ||
            !same_keys(r, old) || !same_keys(old, r))
                return false;
        for (size_t i = 0; i < r->n_endpoints; i++) {
                if (!r->endpoints[i].listen)
                        continue;
                while (at < old->n_endpoints &&
                       !(old->endpoints[at].listen &&
                         old->endpoints[at].port == r->endpoints[i].port &&
                         endpoint_same_place(&old->endpoints[at], &r->endpoints[i])))
                        at++;
                if (at++ == old->n_endpoints)
                        return false;
        }
        return true;
}

/* Does the owner in its present run lack what the endpoint has come to? */
static bool is_new(const Reservation *r, const Endpoint *e, const Reservation *old, bool same_run)
{
        const Endpoint *before = find_endpoint(old, e);
        HoldMode was = before ? reservation_endpoint_hold(old, before) : HOLD_NONE;

        if (same_run && before && before->restart_needed)
                return true;
        switch (reservation_endpoint_hold(r, e)) {
        case HOLD_LISTEN:
                return was != HOLD_LISTEN || !same_listener(r, old);
        case HOLD_BOUND:
                /* always: it is open for as long as the owner runs. */
                return was != HOLD_BOUND && was != HOLD_SHARED && r->reuse != REUSE_ALWAYS;
        default:
                return false;
        }
}

static int mark(Reservation *r, const Reservation *old)
{
        _cleanup_(freep) char *run = NULL;
        bool same_run, marked = false;
        int k;

        if (!r->unit || (r->hold != HOLD_LISTEN && r->hold != HOLD_BOUND))
                return 0;
        k = unit_run(r->unit, &run);
        if (k < 0)
                return k == -ENOMEM ? k : 0;
        same_run = old && old->run && strcmp(old->run, run) == 0;
        for (size_t i = 0; i < r->n_endpoints; i++) {
                Endpoint *e = &r->endpoints[i];

                e->restart_needed = is_new(r, e, old, same_run);
                marked |= e->restart_needed;
        }
        if (marked)
                r->run = TAKE_PTR(run);
        return 0;
}

int restarts_mark(Config *c, const Config *old)
{
        CONFIG_FOREACH_RESERVATION(c, r) {
                const Reservation *before = config_find(old, r->name);
                int k;

                if (!before && r->former_name)
                        before = config_find(old, r->former_name);
                k = mark(r, before);
                if (k < 0)
                        return k;
        }
        return 0;
}

/* True: still needed. */
static bool is_needed(const Reservation *r)
{
        _cleanup_(freep) char *run = NULL;
        int k;

        k = unit_run(r->unit, &run);
        return k == -ENOMEM || (k >= 0 && strcmp(run, r->run) == 0);
}

static void forget(Reservation *r)
{
        for (size_t i = 0; i < r->n_endpoints; i++)
                r->endpoints[i].restart_needed = false;
        free(r->run);
        r->run = NULL;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Restarts *s = userdata;
        bool over = false;

        CONFIG_FOREACH_RESERVATION(s->ops.config(s->userdata), r)
                if (r->run && r->unit && !is_needed(r)) {
                        forget(r);
                        over = true;
                }
        if (over)
                s->ops.over(s->userdata);
        restarts_watch(s);
        return 0;
}

void restarts_watch(Restarts *s)
{
        bool any = false;

        CONFIG_FOREACH_RESERVATION(s->ops.config(s->userdata), r)
                any = any || r->run;
        (void) sd_event_source_set_time_relative(s->timer, LOOK_USEC);
        (void) sd_event_source_set_enabled(s->timer, any ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

int restarts_new(sd_event *event, const RestartsOps *ops, void *userdata, Restarts **ret)
{
        _cleanup_(restarts_freep) Restarts *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->ops = *ops;
        s->userdata = userdata;
        r = sd_event_add_time_relative(event, &s->timer, CLOCK_MONOTONIC, 0, 0, on_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Restarts *restarts_free(Restarts *s)
{
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->timer);
        free(s);
        return NULL;
}
