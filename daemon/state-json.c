/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/state-json.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/grow.h"
#include "daemon/manager.h"
#include "daemon/notify.h"
#include "model/json.h"

/* An endpoint's collisions, in the order of ports. */
typedef struct Collisions {
        const Collision **list;
        size_t n, allocated;
} Collisions;

static void collisions_done(Collisions *c)
{
        free(c->list);
}

static int collision_compare(const void *a, const void *b)
{
        const Collision *x = *(const Collision *const *) a, *y = *(const Collision *const *) b;

        return (int) x->port - (int) y->port;
}

static int collisions_collect(const Watch *w, const Endpoint *e, Collisions *ret)
{
        for (const Collision *c = watch_next(w, e, NULL); c; c = watch_next(w, e, c)) {
                if (!GROW(ret->list, ret->allocated, ret->n + 1))
                        return -ENOMEM;
                ret->list[ret->n++] = c;
        }
        if (ret->n > 1)
                qsort(ret->list, ret->n, sizeof(ret->list[0]), collision_compare);
        return 0;
}

static const char *endpoint_state(const Manager *m, const Reservation *r, const Endpoint *e,
                                  uint16_t port, const Collision *collision)
{
        HoldMode mode = reservation_endpoint_hold(r, e);
        const PortSet *listening =
                e->protocol == IPPROTO_TCP ? &m->listening_tcp : &m->listening_udp;
        Hold *h;

        if (mode == HOLD_NONE && !r->socket_unit)
                return hold_state_to_string(HOLD_STATE_NONE);
        h = hold_set_find(m->holds, e, port);
        if (h)
                return hold_state_to_string(hold_state(h));
        /* PID 1 listens, not we. */
        if ((mode == HOLD_LISTEN || r->socket_unit) && portset_has(listening, port))
                return hold_state_to_string(HOLD_STATE_LISTENING);
        return hold_state_to_string(collision || r->socket_failed ? HOLD_STATE_PENDING
                                                                  : HOLD_STATE_NONE);
}

/* Ports first..last of the endpoint are alike. */
static int put_run(json_t *array, const Endpoint *e, uint16_t first, uint16_t last,
                   const char *state, bool reserved, bool restart, const Collision *c)
{
        json_t *holder = NULL, *o;

        if (c) {
                holder = json_from_holder(&c->holder);
                if (!holder)
                        return -ENOMEM;
        }
        o = json_from_endpoint(e, first, last, state, reserved, restart, holder);
        return json_array_append_new(array, o) < 0 ? -ENOMEM : 0;
}

/* Does the owner lack it until its next start? A placeholder that opened, or whose port the owner
 * has, is in place. */
static bool restart_needed(const Manager *m, const Reservation *r, const Endpoint *e, uint16_t port)
{
        const Hold *h;

        if (!e->restart_needed || reservation_endpoint_hold(r, e) == HOLD_LISTEN)
                return e->restart_needed;
        h = hold_set_find(m->holds, e, port);
        return h && (hold_state(h) == HOLD_STATE_EXCLUSIVE || hold_state(h) == HOLD_STATE_PENDING);
}

/* One EP for each run of ports that are alike; a port with a collision stands alone. */
static int put_endpoint(const Manager *m, const Reservation *r, const Endpoint *e, json_t *array)
{
        _cleanup_(collisions_done) Collisions collisions = {};
        const char *state = NULL;
        const Collision *before = NULL;
        bool reserved = false, restart = false;
        unsigned first = e->port;
        size_t k = 0;

        if (collisions_collect(m->watch, e, &collisions) < 0)
                return -ENOMEM;

        for (unsigned port = e->port; port <= e->last; port++) {
                const Collision *c = NULL;
                const char *s;
                bool in_list, lacks;

                while (k < collisions.n && collisions.list[k]->port < port)
                        k++;
                if (k < collisions.n && collisions.list[k]->port == port)
                        c = collisions.list[k];
                s = endpoint_state(m, r, e, (uint16_t) port, c);
                in_list = reserve_has(m->reserve, (uint16_t) port);
                lacks = restart_needed(m, r, e, (uint16_t) port);

                if (state &&
                    (s != state || in_list != reserved || lacks != restart || c || before)) {
                        if (put_run(array, e, (uint16_t) first, (uint16_t) (port - 1), state,
                                    reserved, restart, before) < 0)
                                return -ENOMEM;
                        first = port;
                }
                state = s;
                reserved = in_list;
                restart = lacks;
                before = c;
        }
        return put_run(array, e, (uint16_t) first, e->last, state, reserved, restart, before);
}

static json_t *reservations_to_json(const Manager *m)
{
        json_t *list = json_array();

        if (!list)
                return NULL;
        CONFIG_FOREACH_RESERVATION(m->config, r) {
                json_t *o = json_from_reservation(r), *endpoints = json_array();
                bool ok = o && endpoints;

                for (size_t i = 0; ok && i < r->n_endpoints; i++)
                        ok = put_endpoint(m, r, &r->endpoints[i], endpoints) >= 0;
                if (!ok || json_object_set(o, "endpoints", endpoints) < 0 ||
                    json_array_append(list, o) < 0) {
                        json_decref(o);
                        json_decref(endpoints);
                        json_decref(list);
                        return NULL;
                }
                json_decref(o);
                json_decref(endpoints);
        }
        return list;
}

/* Holds that fail for another reason than that somebody has the port: a collision does not tell of
 * them. */
static void append_failed_holds(const Manager *m, json_t *array)
{
        size_t n = 0;
        int error = 0;

        if (hold_set_pending(m->holds) == 0)
                return;
        CONFIG_FOREACH_RESERVATION(m->config, r)
                for (size_t i = 0; i < r->n_endpoints; i++) {
                        const Endpoint *e = &r->endpoints[i];

                        for (unsigned port = e->port; port <= e->last; port++) {
                                const Hold *h = hold_set_find(m->holds, e, (uint16_t) port);
                                int failed = h ? hold_error(h) : 0;

                                if (failed == 0 || failed == -EADDRINUSE)
                                        continue;
                                error = failed;
                                n++;
                        }
                }
        if (n > 0)
                (void) json_append_text(array, "hold: %zu %s cannot be held: %s", n,
                                        n == 1 ? "port" : "ports", strerror(-error));
}

/* What this kernel, container or moment keeps us from doing; each "word: explanation". */
static json_t *degraded_to_json(const Manager *m)
{
        const WatchStats *w = watch_stats(m->watch);
        json_t *a = json_array();

        if (!a)
                return NULL;
        if (!w->bound_inactive)
                (void) json_append_text(
                        a, "bound-inactive: this kernel does not list TCP sockets that are "
                           "bound and do not listen (Linux 6.8 does); such a thief is noticed "
                           "only when a hold fails");
        if (!w->cgroups)
                (void) json_append_text(
                        a, "cgroup: no cgroup v2 here; whose a socket is cannot be told");
        if (reserve_error(m->reserve) < 0)
                (void) json_append_text(
                        a,
                        "kernel-list: net.ipv4.ip_local_reserved_ports cannot be written: %s; "
                        "the kernel may give declared ports to outgoing connections",
                        strerror(-reserve_error(m->reserve)));
        append_failed_holds(m, a);
        if (notify_is_service() && park_problem(m->park))
                (void) json_append_text(
                        a,
                        "fd-store: sockets would be free for a moment when portreserved is "
                        "restarted: %s",
                        park_problem(m->park));
        if (m->generated && generated_missing(m->generated))
                (void) json_append_text(
                        a,
                        "generated-units: none for %s: bound ports are left open to servers "
                        "with SO_REUSEADDR, so that their own can start; run 'portreservectl "
                        "reload'",
                        generated_missing(m->generated));
        if (units_error(m->units) < 0)
                (void) json_append_text(a, "socket-units: cannot be listed: %s",
                                        strerror(-units_error(m->units)));
        if (m->units_note)
                (void) json_append_text(a, "socket-units: %s", m->units_note);
        if (inspect_problem(m->inspect))
                (void) json_append_text(
                        a,
                        "inspect: which process has a port, and its command line, cannot be told, "
                        "but only its unit: %s; 'sudo portreservectl why PORT' tells",
                        inspect_problem(m->inspect));
        if (m->watch_error)
                (void) json_append_text(a, "watch: %s", m->watch_error);
        return a;
}

static json_t *scan_to_json(const Manager *m)
{
        const WatchStats *w = watch_stats(m->watch);
        SockDiagStats none = {};
        const SockDiagStats *d = w->diag ?: &none;

        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                         "sweep_interval_usec", (json_int_t) w->sweep_interval_usec, "missed",
                         (json_int_t) w->missed, "dropped", (json_int_t) w->dropped,
                         "interval_usec", (json_int_t) m->config->daemon.scan_interval_usec,
                         "looks", (json_int_t) w->looks, "sweeps", (json_int_t) w->sweeps,
                         "last_look_usec", (json_int_t) w->last_look_usec, "last_sweep_usec",
                         (json_int_t) w->last_sweep_usec, "rows", (json_int_t) d->rows, "malformed",
                         (json_int_t) d->malformed, "interrupted", (json_int_t) d->interrupted,
                         "overruns", (json_int_t) d->overruns);
}

static json_t *evictions_to_json(const Manager *m)
{
        const EvictorStats *s = evictor_stats(m->evictor);

        return json_pack("{s:I, s:I}", "evicted", (json_int_t) s->evicted, "waiting",
                         (json_int_t) s->waiting);
}

static json_t *features_to_json(void)
{
        json_t *a = json_pack("[s, s, s, s, s, s]", "reserve", "hold", "watch", "handover",
                              "control", "evict");

        if (a && notify_is_service())
                (void) json_array_append_new(a, json_string("fd-store"));
        return a;
}

json_t *state_to_json(const Manager *m, uint64_t started_usec)
{
        char started[TIME_TEXT_MAX], updated[TIME_TEXT_MAX];
        json_t *o, *diagnostics;
        PortSet ports;

        config_ports(m->config, &ports);
        o = json_pack(
                "{s:s, s:i, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:s?, s:o, "
                "s:o}",
                "version", PROJECT_VERSION, "pid", (int) getpid(), "started",
                time_format(started_usec, started), "updated",
                time_format(now_usec(CLOCK_REALTIME), updated), "features", features_to_json(),
                "degraded", degraded_to_json(m), "reservations",
                (json_int_t) m->config->n_reservations, "ports", (json_int_t) portset_count(&ports),
                "pending", (json_int_t) hold_set_pending(m->holds), "collisions",
                (json_int_t) watch_count(m->watch), "drifts",
                (json_int_t) reserve_drifts(m->reserve), "config_errors",
                (json_int_t) (m->config->n_errors + m->config->n_errors_dropped), "scan",
                scan_to_json(m), "evictions", evictions_to_json(m), "config", m->options.config,
                "list", reservations_to_json(m), "events", alert_recent(m->alert));
        diagnostics = json_from_diagnostics(m->config);
        if (!o || !diagnostics || json_object_update(o, diagnostics) < 0) {
                json_decref(o);
                o = NULL;
        }
        json_decref(diagnostics);
        return o;
}
