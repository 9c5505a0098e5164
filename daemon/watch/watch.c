/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When to look, and what to tell: the passes of pass.c, spaced by their cost, and the destroy
 * events between them.
 *
 *  look    listeners, UDP: each ScanIntervalSec=
 *  sweep   a look, every connection and bound socket: as often as ScanBudgetPercent= allows
 *  verify  a look at those that were missed, or whose destroy event came, soon after that: one by
 *          one, or where that cannot be, a sweep of the ports that have collisions
 *
 * Dumps are not atomic, and after a destroy event TIME_WAIT may remain: a collision ends when a full
 * pass after its event did not see it, or without an event several in a row did not: ports are let
 * go of without one, too, by connect(2) to AF_UNSPEC. */

#include "daemon/watch/watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/watch/watch-internal.h"

#define TIMER_ACCURACY (5 * USEC_PER_MSEC)

/* The kernel audits a filter in quadratic time, at each dump; of listeners there are few, so a
 * coarse one will do. */
#define LOOK_RUNS_MAX 64u
#define VERIFY_DELAY  (10 * USEC_PER_MSEC)
#define RETRY_DELAY   USEC_PER_SEC

void watch_want_verify(Watch *w, uint64_t delay)
{
        uint64_t at = MAX_OF(now_usec(CLOCK_MONOTONIC) + delay, w->pace.verify_allowed);

        if (w->verify_wanted)
                return;
        w->verify_wanted = true;
        (void) sd_event_source_set_time(w->verify_source, at);
        (void) sd_event_source_set_enabled(w->verify_source, SD_EVENT_ONESHOT);
}

/* One pass, and what follows from it but owners. Returns its CPU time through *ret_cost. The caller
 * calls pass_done(). */
static int run_pass(Watch *w, Pass *p, const PassFilters *f, uint64_t *ret_cost)
{
        uint64_t begin = now_usec(CLOCK_THREAD_CPUTIME_ID);
        int r;

        *p = (Pass){
                .config = w->config,
                .diag = w->diag,
                .identify = w->identify,
                .set = w->set,
                .ops = &w->ops,
                .userdata = w->userdata,
                .generation = ++w->generation,
        };
        r = pass_run(p, f);
        *ret_cost = now_usec(CLOCK_THREAD_CPUTIME_ID) - begin;
        watch_tell_trouble(w, TROUBLE_TCP, p->tcp_error);
        watch_tell_trouble(w, TROUBLE_UDP, p->udp_error);
        if (watch_conclude(w, p))
                watch_want_verify(w, p->tcp_error < 0 || p->udp_error < 0 ? RETRY_DELAY
                                                                          : VERIFY_DELAY);
        if (r < 0)
                return r;
        return p->tcp_error < 0 ? p->tcp_error : p->udp_error;
}

static void arm_tick(Watch *w)
{
        (void) sd_event_source_set_time(w->tick_source, w->pace.tick);
        (void) sd_event_source_set_enabled(w->tick_source, SD_EVENT_ONESHOT);
}

int watch_look(Watch *w)
{
        PassFilters f = { .tcp = w->tcp_look, .udp = w->udp_look };
        uint64_t begin = now_usec(CLOCK_MONOTONIC), cost, end;
        Pass p;
        int r;

        if (!w->config)
                return 0;
        r = run_pass(w, &p, &f, &cost);
        end = now_usec(CLOCK_MONOTONIC);
        pace_looked(&w->pace, end, cost);
        w->stats.looks++;
        w->stats.last_look_usec = end - begin;
        watch_report_owners(w, &p);
        pass_done(&p);
        arm_tick(w);
        return r;
}

int watch_sweep(Watch *w)
{
        PassFilters f = { w->tcp_look, w->udp_look, w->tcp_rest };
        uint64_t begin = now_usec(CLOCK_MONOTONIC), cost, end;
        Pass p;
        int r;

        if (!w->config)
                return 0;
        (void) watch_open_events(w);
        r = run_pass(w, &p, &f, &cost);
        end = now_usec(CLOCK_MONOTONIC);
        pace_swept(&w->pace, end, cost);
        w->stats.sweeps++;
        w->stats.dropped = p.n_dropped;
        w->stats.last_sweep_usec = end - begin;
        w->stats.sweep_interval_usec = w->pace.sweep_interval;
        if (r >= 0)
                watch_tell_trouble(w, TROUBLE_LOST, 0);
        watch_report_owners(w, &p);
        pass_done(&p);
        arm_tick(w);
        return r;
}

void watch_want_sweep(Watch *w, uint64_t within_usec)
{
        if (!w->config)
                return;
        pace_want_sweep(&w->pace, now_usec(CLOCK_MONOTONIC) + within_usec);
        arm_tick(w);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        Watch *w = userdata;

        /* Errors were told. */
        if (pace_sweep_is_due(&w->pace, now_usec(CLOCK_MONOTONIC) + TIMER_ACCURACY))
                (void) watch_sweep(w);
        else
                (void) watch_look(w);
        return 0;
}

/* Has the kernel to walk all connections to tell whether this one is still there? Not for a listener
 * that was destroyed, since listeners have a table of their own, nor for a connection. */
static bool needs_walk(const CollisionEntry *x)
{
        const Socket *s = &x->collision.holder.socket;

        return x->suspect && s->protocol == IPPROTO_TCP && !pass_can_ask(x) &&
               !(x->destroyed && s->state == SOCKET_LISTEN);
}

static int verify(Watch *w)
{
        _cleanup_(diag_filter_freep) DiagFilter *tcp = NULL, *udp = NULL;
        PortSet tcp_ports = {}, udp_ports = {};
        PassFilters f = {};
        bool walk = false;
        uint64_t cost;
        Pass p;
        int r;

        for (const CollisionEntry *x = collision_set_first(w->set); x; x = x->next) {
                walk = walk || needs_walk(x);
                portset_add(x->collision.endpoint->protocol == IPPROTO_UDP ? &udp_ports
                                                                           : &tcp_ports,
                            x->collision.port);
        }
        if (!portset_empty(&tcp_ports)) {
                r = diag_filter_new(&tcp_ports, false, &tcp);
                if (r < 0)
                        return r;
        }
        if (!portset_empty(&udp_ports)) {
                r = diag_filter_new(&udp_ports, false, &udp);
                if (r < 0)
                        return r;
        }
        f = (PassFilters){ tcp, udp, walk ? tcp : NULL, .suspects = !walk };
        r = run_pass(w, &p, &f, &cost);
        pass_done(&p);
        pace_verified(&w->pace, now_usec(CLOCK_MONOTONIC), cost);
        return r;
}

static int on_verify(sd_event_source *source, uint64_t usec, void *userdata)
{
        Watch *w = userdata;

        w->verify_wanted = false;
        if (w->config && collision_set_first(w->set) && verify(w) == -ENOMEM)
                watch_want_verify(w, RETRY_DELAY);
        return 0;
}

int watch_new(sd_event *event, const WatchOps *ops, void *userdata, Watch **ret)
{
        _cleanup_(watch_freep) Watch *w = NULL;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->event = sd_event_ref(event);
        w->ops = *ops;
        w->userdata = userdata;
        w->events_fd = -1;
        r = sock_diag_new(&w->diag);
        if (r < 0)
                return r;
        r = identify_new(&w->identify);
        if (r < 0)
                return r;
        r = collision_set_new(&w->set);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &w->tick_source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_tick,
                              w);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &w->verify_source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY,
                              on_verify, w);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(w->tick_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(w->verify_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

Watch *watch_free(Watch *w)
{
        if (!w)
                return NULL;
        watch_close_events(w);
        sd_event_source_disable_unref(w->tick_source);
        sd_event_source_disable_unref(w->verify_source);
        collision_set_free(w->set);
        identify_free(w->identify);
        sock_diag_free(w->diag);
        diag_filter_free(w->tcp_look);
        diag_filter_free(w->udp_look);
        diag_filter_free(w->tcp_rest);
        free(w->owners);
        sd_event_unref(w->event);
        free(w);
        return NULL;
}

/* NULL where there is nothing to look for. */
static int make_filter(const PortSet *ports, size_t max_runs, DiagFilter **ret)
{
        *ret = NULL;
        return portset_empty(ports) ? 0 : diag_filter_new_coarse(ports, false, max_runs, ret);
}

/* The same place in another configuration: reservations are the same by name, endpoints by where
 * they are. */
static bool translate(const Config *c, const Reservation *r, const Endpoint *e, uint16_t port,
                      const Reservation **ret_reservation, const Endpoint **ret_endpoint)
{
        const Reservation *found = config_find(c, r->name);

        for (size_t i = 0; found && i < found->n_endpoints; i++)
                if (endpoint_same_place(found->endpoints + i, e) &&
                    endpoint_has_port(found->endpoints + i, port)) {
                        *ret_reservation = found;
                        *ret_endpoint = found->endpoints + i;
                        return true;
                }
        return false;
}

/* Takes what is known over to the new configuration; collisions on endpoints that it does not have
 * end. */
static void move_on(Watch *w, const Config *c)
{
        const Reservation *r;
        const Endpoint *e;
        size_t kept = 0;

        for (CollisionEntry *x = collision_set_first(w->set), *next; x; x = next) {
                const Collision *k = &x->collision;

                next = x->next;
                if (translate(c, k->reservation, k->endpoint, k->port, &r, &e))
                        collision_set_move(w->set, x, r, e);
                else
                        watch_end_collision(w, x);
        }
        for (size_t i = 0; i < w->n_owners; i++) {
                const OwnerSeen *o = w->owners + i;

                if (translate(c, o->reservation, o->endpoint, o->port, &r, &e))
                        w->owners[kept++] = (OwnerSeen){ r, e, o->port, o->bound_only };
        }
        w->n_owners = kept;
        if (kept > 0)
                qsort(w->owners, kept, sizeof(*w->owners), owner_seen_compare);
}

int watch_apply(Watch *w, const Config *c)
{
        _cleanup_(diag_filter_freep) DiagFilter *tcp_look = NULL, *udp_look = NULL,
                                                *tcp_rest = NULL;
        PortSet tcp = {}, udp = {};
        int r;

        CONFIG_FOREACH_RESERVATION(c, res)
                for (size_t i = 0; i < res->n_endpoints; i++) {
                        const Endpoint *e = res->endpoints + i;

                        portset_add_run(e->protocol == IPPROTO_UDP ? &udp : &tcp, e->port, e->last);
                }
        r = make_filter(&tcp, LOOK_RUNS_MAX, &tcp_look);
        if (r < 0)
                return r;
        r = make_filter(&udp, LOOK_RUNS_MAX, &udp_look);
        if (r < 0)
                return r;
        r = make_filter(&tcp, DIAG_FILTER_RUNS_MAX, &tcp_rest);
        if (r < 0)
                return r;

        if (w->config)
                move_on(w, c);
        w->config = c;
        w->remains_until = 0;
        w->tcp_ports = tcp;
        w->udp_ports = udp;
        watch_filter_events(w);
        pace_set(&w->pace, c->daemon.scan_interval_usec, c->daemon.scan_budget_percent);
        diag_filter_free(w->tcp_look);
        diag_filter_free(w->udp_look);
        diag_filter_free(w->tcp_rest);
        w->tcp_look = TAKE_PTR(tcp_look);
        w->udp_look = TAKE_PTR(udp_look);
        w->tcp_rest = TAKE_PTR(tcp_rest);
        /* What cannot be seen was told, and is looked for again. */
        return watch_sweep(w) == -ENOMEM ? -ENOMEM : 0;
}

const Collision *watch_next(const Watch *w, const Endpoint *e, const Collision *previous)
{
        const CollisionEntry *x =
                collision_set_next_of(w->set, e, (const CollisionEntry *) previous);

        return x ? &x->collision : NULL;
}

size_t watch_count(const Watch *w)
{
        return collision_set_count(w->set);
}

Identify *watch_identify(Watch *w)
{
        return w->identify;
}

const WatchStats *watch_stats(Watch *w)
{
        w->diag_stats = *sock_diag_stats(w->diag);
        w->diag_stats.overruns += w->events_lost;
        w->stats.diag = &w->diag_stats;
        w->stats.bound_inactive = sock_diag_has_bound_inactive(w->diag) > 0;
        w->stats.cgroups = cgroup_map_available(identify_cgroups(w->identify));
        return &w->stats;
}
