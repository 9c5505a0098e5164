/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/findings.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/grow.h"
#include "ctl/applied.h"
#include "ctl/output.h"
#include "ctl/state.h"
#include "kernel/identify.h"
#include "kernel/kernel-list.h"
#include "kernel/record.h"
#include "kernel/runtime.h"
#include "kernel/sysctl-files.h"
#include "model/json.h"

/* Whoever asks why waits that long for the names of processes; holders that are left have none. */
#define SEARCH_USEC (10 * USEC_PER_SEC)

/* The next endpoint that is declared on the port, and meets the address asked for. */
static bool next_declared(const Config *config, const Endpoint *place, unsigned *iterator,
                          const Reservation **ret_reservation, const Endpoint **ret_endpoint)
{
        while (config_lookup(config, place->protocol, place->port, iterator, ret_reservation,
                             ret_endpoint))
                if (endpoint_overlaps(*ret_endpoint, place))
                        return true;
        return false;
}

/* The declaration of that port: the first reservation, or a pool. */
static json_t *declaration(const Config *config, Findings *f)
{
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        if (next_declared(config, &f->place, &iterator, &r, &e)) {
                f->hold = reservation_endpoint_hold(r, e);
                f->reuse = r->reuse;
                return json_pack("{s:o, s:o, s:o}", "name", json_text(r->name), "unit",
                                 json_text(r->unit), "source", json_source(r->file, r->line));
        }
        for (size_t i = 0; i < config->n_pools; i++) {
                const Pool *p = config->pools[i];

                if (portset_has(&p->ports, f->place.port)) {
                        f->pool = true;
                        return json_pack("{s:o, s:n, s:o}", "name", json_text(p->name), "unit",
                                         "source", json_source(p->file, p->line));
                }
        }
        return json_null();
}

static int declare(const Config *config, Findings *f)
{
        int asked = f->place.protocol;

        if (asked == 0)
                f->place.protocol = IPPROTO_TCP;
        f->declared = declaration(config, f);
        if (asked == 0 && json_is_null(f->declared)) {
                f->place.protocol = IPPROTO_UDP;
                json_decref(f->declared);
                f->declared = declaration(config, f);
                if (json_is_null(f->declared))
                        f->place.protocol = IPPROTO_TCP;
        }
        return f->declared ? 0 : -ENOMEM;
}

/* By whom: what the daemon put in is in its record; others leave no trace but the files that they
 * may have it from. */
static void find_source(const Ctl *c, Findings *f)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles files = {};
        const SysctlLine *line;
        PortSet ours;

        if (record_read(c->runtime_dir, RUNTIME_OURS, &ours) >= 0)
                f->reserved_by_us = portset_has(&ours, f->place.port);
        if (sysctl_files_read("", SYSCTL_RESERVED_PORTS, &files) < 0)
                return;
        line = sysctl_files_find_port(&files, f->place.port);
        if (line && asprintf(&f->reserved_source, "%s:%u", line->file, line->line) < 0)
                f->reserved_source = NULL;
}

static void read_kernel(const Ctl *c, Findings *f)
{
        PortSet list;

        if (kernel_list_read(&list) >= 0)
                f->reserved = portset_has(&list, f->place.port);
        if (f->reserved)
                find_source(c, f);
        if (ephemeral_range_read(&f->range_first, &f->range_last) >= 0)
                f->ephemeral = f->place.port >= f->range_first && f->place.port <= f->range_last;
}

/* When the daemon saw this one first: it has been there for longer than we have looked. */
static const json_t *first_seen(const json_t *state, const json_t *holder)
{
        const json_t *reservation, *ep;
        size_t i, j;

        json_array_foreach(get_array(state, "list"), i, reservation)
                json_array_foreach(get_array(reservation, "endpoints"), j, ep) {
                        const json_t *collision = json_object_get(ep, "collision");

                        if (json_is_object(collision) &&
                            json_equal(json_object_get(collision, "local"),
                                       json_object_get(holder, "local")) &&
                            json_equal(json_object_get(collision, "remote"),
                                       json_object_get(holder, "remote")) &&
                            json_equal(json_object_get(collision, "cgroup"),
                                       json_object_get(holder, "cgroup")))
                                return json_object_get(collision, "since");
                }
        return NULL;
}

static json_t *holder_object(const json_t *state, const Holder *h)
{
        json_t *o = json_from_holder(h);
        const json_t *since = o ? first_seen(state, o) : NULL;

        if (since && json_object_set(o, "since", (json_t *) since) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}

/* Of the processes of others only root sees which sockets they have. */
static bool has_unnamed(const Findings *f)
{
        if (geteuid() == 0)
                return false;
        for (size_t i = 0; i < f->occupants.n; i++) {
                const Holder *h = &f->occupants.items[i].holder;

                if (h->socket.inode != 0 && h->pid == 0)
                        return true;
        }
        return false;
}

/* Files of the configuration as a whole, which is nearly always that they are not to be read. */
static int confess_files(const Config *config, json_t *array)
{
        for (size_t i = 0; i < config->n_errors; i++) {
                const Diagnostic *d = &config->errors[i];

                if (d->line == 0 && json_append_text(array, "%s: %s", d->file, d->message) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int confess(const Config *config, Findings *f)
{
        int r;

        f->not_seen = json_array();
        if (!f->not_seen)
                return -ENOMEM;
        r = confess_files(config, f->not_seen);
        if (r < 0)
                return r;
        if (!f->look.sees_bound)
                r = json_append_text(f->not_seen, "sockets that are bound and do not listen: this "
                                                  "kernel does not list them (Linux 6.8 does)");
        if (r >= 0 && has_unnamed(f))
                r = json_append_text(f->not_seen,
                                     "which process of another user has it: ask as root");
        if (r >= 0 && !f->prediction.certain && f->look.sees_bound)
                r = json_append_text(f->not_seen,
                                     geteuid() == 0
                                             ? "how sockets there share the port (SO_REUSEADDR, "
                                               "IPV6_V6ONLY): the kernel does not tell of these"
                                             : "how sockets there share the port (SO_REUSEADDR, "
                                               "IPV6_V6ONLY): ask as root");
        return r;
}

static int describe(const json_t *state, Findings *f)
{
        f->holders = json_array();
        if (!f->holders)
                return -ENOMEM;
        for (size_t i = 0; i < f->occupants.n; i++) {
                json_t *holder = holder_object(state, &f->occupants.items[i].holder);

                if (!holder || json_array_append_new(f->holders, holder) < 0)
                        return -ENOMEM;
                if (i == f->prediction.worst || i == 0)
                        f->worst = holder;
        }
        return 0;
}

/* Where a server would bind: at the address asked for, else at each declared one, else
 * everywhere. */
static int foresee(const Config *config, Findings *f)
{
        _cleanup_(freep) const Endpoint **places = NULL;
        Question q = {
                .protocol = f->place.protocol,
                .port = f->place.port,
                .releases = f->reuse == REUSE_NO,
                .sees_all = f->look.sees_bound && f->look.dropped == 0,
        };
        bool any = f->place.address.family == AF_UNSPEC;
        size_t n_allocated = 0;
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        while (any && next_declared(config, &f->place, &iterator, &r, &e)) {
                if (!GROW(places, n_allocated, q.n_places + 1))
                        return -ENOMEM;
                places[q.n_places++] = e;
        }
        if (q.n_places == 0) {
                if (!GROW(places, n_allocated, 1))
                        return -ENOMEM;
                places[q.n_places++] = &f->place;
        }
        q.places = places;
        predict(&q, &f->occupants, &f->prediction);
        return 0;
}

static int look_and_judge(const Ctl *c, const Config *config, const json_t *state, Findings *f)
{
        _cleanup_(identify_freep) Identify *identify = NULL;
        Judge j = { .config = config, .ephemeral = f->ephemeral };
        int r;

        r = identify_new(&identify);
        if (r < 0)
                return r;
        identify_take_time(identify, SEARCH_USEC);
        j.identify = identify;
        j.ours = (Ours){
                .state = state,
                .pid = (pid_t) get_number(state, "pid"),
                .uid = UID_INVALID,
                .cgroups = identify_cgroups(identify),
        };
        if (state)
                (void) state_owner(c, &j.ours.uid);
        r = look_take(f->place.protocol, f->place.port, &f->look);
        if (r < 0)
                return r;
        r = occupants_judge(&j, f->place.protocol, f->place.port, &f->look, &f->occupants);
        if (r >= 0)
                r = foresee(config, f);
        if (r >= 0)
                r = confess(config, f);
        return r < 0 ? r : describe(state, f);
}

Exit findings_gather(const Ctl *c, Findings *f)
{
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(json_decrefp) json_t *state = NULL;
        int r;

        r = applied_load(c, &config);
        if (r == -ENOENT)
                return fail(c, EXIT_NOT_FOUND, "%s: there is no such file", c->config);
        if (r >= 0)
                r = declare(config, f);
        if (r < 0)
                return fail(c, EXIT_FAILED, "configuration: %s", strerror(-r));

        f->running = state_probe(c) >= 0;
        if (f->running)
                (void) state_read(c, &state);
        read_kernel(c, f);
        r = look_and_judge(c, config, state, f);
        if (r < 0)
                return fail(c, EXIT_FAILED, "the kernel's sockets cannot be read: %s",
                            strerror(-r));
        return EXIT_OK;
}

const char *findings_reserved_by(const Findings *f)
{
        if (!f->reserved)
                return NULL;
        return f->reserved_by_us ? "portreserved" : "others";
}

void findings_done(Findings *f)
{
        json_decref(f->declared);
        json_decref(f->holders);
        json_decref(f->not_seen);
        free(f->reserved_source);
        occupants_done(&f->occupants);
        look_done(&f->look);
}
