/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the layers below tell, and who must hear of it. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/alert/log.h"
#include "daemon/drift-text.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "daemon/starter.h"

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

/* What somebody should hear of: that it is over again, or what was done about it, comes with it. */
static void on_told(const Event *e, const char *message, unsigned suppressed, void *userdata)
{
        Manager *m = userdata;
        const char *template = NULL;

        if (!m->config || (e->kind != EVENT_COLLISION && e->kind != EVENT_DRIFT))
                return;
        if (e->reservation)
                template = e->reservation->alert_unit;
        if (!template)
                template = m->config->daemon.alert_unit;
        if (template)
                alert_unit_start(m->alert_unit, template, e, message, suppressed);
}

const AlertOps manager_alert_ops = { .event = on_event, .told = on_told };

static void on_alert_unit_failed(int error, void *userdata)
{
        if (error == -EBUSY)
                log_warning("AlertUnit=: no more than %u units are started in %u s; the alerts are "
                            "in the journal",
                            ALERT_UNITS_MAX, (unsigned) (ALERT_UNITS_WINDOW / 1000000));
        else if (error < 0)
                log_warning("AlertUnit=: a unit cannot be started (portreserved-act): %s. The "
                            "alerts are in the journal.",
                            strerror(-error));
        else
                log_notice("AlertUnit=: units are started again");
}

const AlertUnitOps manager_alert_unit_ops = { .failed = on_alert_unit_failed };

static void on_drift(const ReserveDrift *d, void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        Manager *m = userdata;

        /* In the meantime the kernel may have given a port away. Where somebody never stops, one sweep
         * serves several. */
        watch_want_sweep(m->watch, d->times > 0 ? 0 : USEC_PER_SEC);
        if (d->times == 0) {
                state_touch(m->state); /* the number */
                return;
        }
        text = drift_text(d);
        alert_event(m->alert, &(Event){ .kind = EVENT_DRIFT, .detail = text });
        if (d->error >= 0)
                alert_event(m->alert, &(Event){ .kind = EVENT_REPAIRED });
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

bool manager_on_asked_ours(uint64_t cookie, uint32_t inode, void *userdata)
{
        Manager *m = userdata;

        return hold_set_is_ours(m->holds, cookie, inode);
}

bool manager_on_asked_held(const Endpoint *e, uint16_t port, void *userdata)
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

void manager_tell_collision(Manager *m, const Collision *c)
{
        Event event = collision_event(EVENT_COLLISION, c);

        alert_event(m->alert, &event);
        manager_evict(m, c);
}

static void on_collision_begin(const Collision *c, void *userdata)
{
        if (!manager_inspect(userdata, c))
                manager_tell_collision(userdata, c);
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

        if (inspect_forget(m->inspect, c))
                manager_tell_collision(m, c);
        event.duration_usec = duration_usec;
        alert_event(m->alert, &event);
        hold_set_port_freed(m->holds, c->endpoint->protocol, c->port);
        if (!units_port_freed(m->units, c->endpoint->protocol, c->port))
                start_failed_socket(m, c);
}

static void on_collision_changed(const Collision *c, void *userdata)
{
        Manager *m = userdata;

        manager_evict(m, c);
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
        .is_ours = manager_on_asked_ours,
        .begin = on_collision_begin,
        .end = on_collision_end,
        .changed = on_collision_changed,
        .freed = on_port_freed,
        .owner = on_owner_seen,
        .degraded = on_watch_degraded,
        .held = manager_on_asked_held,
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
