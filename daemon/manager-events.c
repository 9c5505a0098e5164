/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the layers below tell, and who must hear of it. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "daemon/starter.h"
#include "kernel/runtime.h"

/* Beyond that many ports held at once, `held` is one line in the log. */
#define HELD_TOLD_MAX 32u
/* So much of the missing ports is shown when the list drifted. */
#define DRIFT_TEXT_MAX 160

static void on_event(json_t *object, void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        Manager *m = userdata;

        if (m->bus) {
                text = json_dumps(object, JSON_COMPACT);
                if (text)
                        bus_emit_event(m->bus, text);
        }
        state_touch(m->state);
}

const AlertOps manager_alert_ops = { .event = on_event };

static void on_drift(const PortSet *missing, int error, void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        Manager *m = userdata;
        int n;

        text = malloc(PORTSET_TEXT_MAX);
        if (!text)
                return;
        n = portset_format(missing, text, PORTSET_TEXT_MAX);
        if (n > DRIFT_TEXT_MAX)
                (void) snprintf(text + DRIFT_TEXT_MAX, 64, "… (%u ports)", portset_count(missing));

        alert_event(m->alert, &(Event){ .kind = EVENT_DRIFT, .detail = text });
        if (error >= 0)
                alert_event(m->alert, &(Event){ .kind = EVENT_REPAIRED });
        /* In the meantime the kernel may have given a port away. */
        (void) watch_sweep(m->watch);
}

static void on_writable(int error, void *userdata)
{
        Manager *m = userdata;

        if (error < 0)
                log_error("Cannot write net.ipv4.ip_local_reserved_ports: %s. Ports are held and "
                          "watched, but the kernel may give those that are not held to outgoing "
                          "connections.",
                          strerror(-error));
        else
                log_notice("net.ipv4.ip_local_reserved_ports can be written again");
        state_touch(m->state);
}

const ReserveOps manager_reserve_ops = { .drift = on_drift, .writable = on_writable };

/* A server that tries to bind for a while may get the port as it comes free, and give up on another of its sockets all the same. Its
 * unit has not failed yet when we hear that it has stopped. */
#define GAVE_UP_USEC (60 * USEC_PER_SEC)
#define SETTLED_USEC (1 * USEC_PER_SEC)

/* A port that was taken is ours again: start who failed for it, if that is no longer ago than within. */
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
                /* Closed for an owner that shares with nobody (ReuseAddress=no): handed over as well. */
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

static bool on_watch_asks_ours(uint64_t cookie, uint32_t inode, void *userdata)
{
        Manager *m = userdata;

        return hold_set_is_ours(m->holds, cookie, inode);
}

static bool on_watch_asks_held(const Endpoint *e, uint16_t port, void *userdata)
{
        Manager *m = userdata;
        Hold *h = hold_set_find(m->holds, e, port);

        return h && hold_state(h) != HOLD_STATE_NONE && hold_state(h) != HOLD_STATE_PENDING;
}

static Event collision_event(EventKind kind, const Collision *c)
{
        return (Event){
                .kind = kind,
                .reservation = c->reservation,
                .endpoint = c->endpoint,
                .port = c->port,
                .holder = &c->holder,
        };
}

static void on_collision_begin(const Collision *c, void *userdata)
{
        Event event = collision_event(EVENT_COLLISION, c);
        Manager *m = userdata;

        alert_event(m->alert, &event);
}

/* PID 1 could not listen while somebody had the port. Remains of a connection would still be in
 * its way. */
static void start_failed_socket(Manager *m, const Collision *c)
{
        char unit[RESERVATION_UNIT_MAX];
        int r;

        if (!notify_is_service() ||
            reservation_endpoint_hold(c->reservation, c->endpoint) != HOLD_LISTEN)
                return;
        (void) watch_clear_remains(m->watch, c->endpoint, c->port);
        r = starter_request(reservation_socket_unit(c->reservation, unit));
        if (r < 0)
                log_warning("%s: cannot ask portreserved-act to start %s: %s. Start it by hand.",
                            c->reservation->name, unit, strerror(-r));
}

static void on_collision_end(const Collision *c, uint64_t duration_usec, void *userdata)
{
        Event event = collision_event(EVENT_RESOLVED, c);
        Manager *m = userdata;

        event.duration_usec = duration_usec;
        alert_event(m->alert, &event);
        hold_set_port_freed(m->holds, c->endpoint->protocol, c->port);
        if (!units_port_freed(m->units, c->endpoint->protocol, c->port))
                start_failed_socket(m, c);
}

static void on_collision_changed(const Collision *c, void *userdata)
{
        Manager *m = userdata;

        state_touch(m->state);
}

static void on_port_freed(int protocol, uint16_t port, void *userdata)
{
        Manager *m = userdata;

        hold_set_port_freed(m->holds, protocol, port);
}

static void on_owner_seen(const Reservation *r, const Endpoint *e, uint16_t port, bool bound,
                          void *userdata)
{
        Manager *m = userdata;
        PortSet *listening = e->protocol == IPPROTO_TCP ? &m->listening_tcp : &m->listening_udp;

        hold_set_owner_seen(m->holds, r, e, port, bound);
        if (portset_has(listening, port) == bound)
                return;
        if (bound)
                portset_add(listening, port);
        else
                portset_remove(listening, port);
        state_touch(m->state);
}

static void on_watch_degraded(const char *what, const char *error, void *userdata)
{
        Manager *m = userdata;

        free(m->watch_error);
        m->watch_error = NULL;
        if (error) {
                log_warning("Cannot see everything: %s: %s", what, error);
                if (asprintf(&m->watch_error, "%s: %s", what, error) < 0)
                        m->watch_error = NULL;
        } else
                log_notice("%s: well again", what);
        state_touch(m->state);
}

const WatchOps manager_watch_ops = {
        .is_ours = on_watch_asks_ours,
        .begin = on_collision_begin,
        .end = on_collision_end,
        .changed = on_collision_changed,
        .freed = on_port_freed,
        .owner = on_owner_seen,
        .degraded = on_watch_degraded,
        .held = on_watch_asks_held,
};

static Config *on_restarts_ask(void *userdata)
{
        Manager *m = userdata;

        return m->config;
}

static void on_restarts_over(void *userdata)
{
        Manager *m = userdata;

        manager_save_applied(m);
        state_touch(m->state);
}

const RestartsOps manager_restarts_ops = { .config = on_restarts_ask, .over = on_restarts_over };

static void on_runtime_restored(void *userdata)
{
        Manager *m = userdata;

        if (!m->config || !m->bus)
                return;
        log_warning("%s was cleared away by somebody; our files are there again",
                    m->options.runtime_dir);
        (void) bus_restore(m->bus);
        (void) handover_server_restore(m->handover);
        (void) open_door_restore(m->door);
        (void) reserve_apply(m->reserve, &m->reserved); /* records what is ours */
        manager_save_applied(m);
        units_save(m->units);
        manager_set_unreachable(m, false);
        (void) state_write(m->state);
}

static void on_runtime_lost(void *userdata)
{
        manager_set_unreachable(userdata, true);
}

const RuntimeDirOps manager_runtime_ops = { .restored = on_runtime_restored,
                                            .lost = on_runtime_lost };
