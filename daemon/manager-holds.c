/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What holds tell and ask. */

#include <string.h>

#include "base/clock.h"
#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "daemon/starter.h"

/* Beyond that many ports held at once, `held` is one line in the log. */
#define HELD_TOLD_MAX 32u
/* A server that tries to bind for a while may get the port as it comes free, and give up on another
 * of its sockets all the same. Its unit has not failed yet when we hear that it has stopped. */
#define GAVE_UP_USEC (60 * USEC_PER_SEC)
#define SETTLED_USEC (1 * USEC_PER_SEC)

/* A port that was taken is ours again: start who failed for it, if that is no longer ago than
 * within. */
static void start_failed(Manager *m, const Reservation *r, uint64_t within)
{
        int k;

        if (!r->unit || !owners_take_failed(m->owners, r->name, within))
                return;
        k = starter_request(r->unit);
        if (k < 0)
                log_warning("%s: cannot ask portreserved-act to start %s: %s. Start it by hand.",
                            r->name, r->unit, strerror(-k));
}

static bool has_pending(const Manager *m, const Reservation *r)
{
        for (size_t i = 0; i < r->n_endpoints; i++)
                for (unsigned port = r->endpoints[i].port; port <= r->endpoints[i].last; port++) {
                        Hold *h = hold_set_find(m->holds, &r->endpoints[i], (uint16_t) port);

                        if (h && hold_state(h) == HOLD_STATE_PENDING)
                                return true;
                }
        return false;
}

static int on_gave_up(sd_event_source *s, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        CONFIG_FOREACH_RESERVATION(m->config, r)
                if (r->hold == HOLD_BOUND && !has_pending(m, r))
                        start_failed(m, r, GAVE_UP_USEC);
        return 0;
}

/* The owner has stopped, or never came: the port is held again. */
static void on_held_again(Manager *m, const HoldEvent *e)
{
        int r;

        manager_owner_left(m, e->reservation);
        if (!notify_is_service())
                return;
        if (e->from == HOLD_STATE_PENDING) {
                start_failed(m, e->reservation, UINT64_MAX);
                return;
        }
        if (m->gave_up)
                r = sd_event_source_set_time_relative(m->gave_up, SETTLED_USEC);
        else
                r = sd_event_add_time_relative(m->event, &m->gave_up, CLOCK_MONOTONIC, SETTLED_USEC,
                                               0, on_gave_up, m);
        if (r >= 0)
                (void) sd_event_source_set_enabled(m->gave_up, SD_EVENT_ONESHOT);
}

static void on_hold_changed(const HoldEvent *e, void *userdata)
{
        Event event = { .reservation = e->reservation, .endpoint = e->endpoint, .port = e->port };
        Manager *m = userdata;

        switch (e->to) {
        case HOLD_STATE_PENDING:
                /* Closed for an owner that shares with nobody (ReuseAddress=no): handed over as
                 * well. */
                event.kind = e->error ? EVENT_PENDING : EVENT_HANDED_OVER;
                event.detail = e->error ? strerror(-e->error) : NULL;
                alert_event(m->alert, &event);
                break;
        case HOLD_STATE_EXCLUSIVE:
        case HOLD_STATE_LISTENING:
        case HOLD_STATE_SHARING:
                if (e->from == HOLD_STATE_PENDING && e->error_before) {
                        event.kind = EVENT_CLAIMED;
                        alert_event(m->alert, &event);
                } else if (e->from == HOLD_STATE_NONE) {
                        event.kind = EVENT_HELD;
                        if (m->held_told++ < HELD_TOLD_MAX)
                                alert_event(m->alert, &event);
                } else if (e->to == HOLD_STATE_SHARING && manager_is_announced(e->reservation, m)) {
                        event.kind = EVENT_HANDED_OVER;
                        alert_event(m->alert, &event);
                }
                break;
        case HOLD_STATE_NONE:
        case HOLD_STATE_IN_USE:
                break;
        }
        if (e->to == HOLD_STATE_EXCLUSIVE && e->from != HOLD_STATE_NONE)
                on_held_again(m, e);
        state_touch(m->state);
}

static Tristate on_hold_asks_owner(const Reservation *r, const Endpoint *e, uint16_t port,
                                   void *userdata)
{
        Manager *m = userdata;

        return watch_owner_bound(m->watch, r, e, port);
}

static Tristate on_hold_asks_listened(const Endpoint *e, uint16_t port, void *userdata)
{
        Manager *m = userdata;

        return watch_is_listened(m->watch, e, port);
}

static Tristate on_hold_asks_pid1(const Reservation *r, const Endpoint *e, uint16_t port,
                                  void *userdata)
{
        Manager *m = userdata;

        return watch_pid1_listens(m->watch, r, e, port);
}

static bool on_hold_clear_remains(const Reservation *r, const Endpoint *e, uint16_t port,
                                  void *userdata)
{
        Manager *m = userdata;
        int n;

        n = watch_clear_remains(m->watch, e, port);
        if (n > 0)
                log_info("%s: removed %d remains of closed connections from port %u/%s", r->name, n,
                         port, protocol_to_string(e->protocol));
        return n > 0;
}

static void on_hold_store(int fd, const char *name, void *userdata)
{
        Manager *m = userdata;

        if (notify_is_service())
                (void) park_add(m->park, fd, name); /* manager_confirm_parked() tells */
}

static void on_hold_unstore(const char *name, void *userdata)
{
        Manager *m = userdata;

        park_remove(m->park, name);
}

Tristate manager_owner_alive(Manager *m, const Reservation *r)
{
        const CgroupMap *cgroups = identify_cgroups(watch_identify(m->watch));

        const char *root = cgroup_map_available(cgroups) ? cgroup_map_root(cgroups) : NULL;
        Tristate alive;

        if (clients_has(m->clients, r->name))
                return TRI_YES;
        alive = owners_alive(m->owners, r->name, root);
        if (alive != TRI_UNKNOWN || !r->former_name)
                return alive;
        /* Renamed since it started. */
        return clients_has(m->clients, r->former_name)
                       ? TRI_YES
                       : owners_alive(m->owners, r->former_name, root);
}

static Tristate on_hold_asks_alive(const Reservation *r, void *userdata)
{
        return manager_owner_alive(userdata, r);
}

const HoldOps manager_hold_ops = {
        .changed = on_hold_changed,
        .owner_bound = on_hold_asks_owner,
        .listened = on_hold_asks_listened,
        .pid1_listens = on_hold_asks_pid1,
        .clear_remains = on_hold_clear_remains,
        .store = on_hold_store,
        .unstore = on_hold_unstore,
        .owner_alive = on_hold_asks_alive,
        .announced = manager_is_announced,
};
