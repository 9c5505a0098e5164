/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/findings.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "ctl/ours.h"
#include "ctl/output.h"
#include "ctl/state.h"
#include "kernel/config-file.h"
#include "kernel/identify.h"
#include "kernel/kernel-list.h"
#include "kernel/runtime.h"
#include "model/json.h"

/* What a socket is judged against where nothing declares its port: nobody owns it, so nobody squats
 * on it either. */
static const Reservation nobody = { .name = (char *) "", .uid = UID_INVALID };

/* Whoever asks why waits that long for the names of processes; holders that are left have none. */
#define SEARCH_USEC (10 * USEC_PER_SEC)

typedef struct Judge {
        const Config *config;
        Identify *identify;
        Ours ours;
        Endpoint anywhere; /* with nobody */
} Judge;

/* The .socket units that the daemon knows, where it follows them. */
static int add_units(const Ctl *c, Config *config)
{
        _cleanup_(socket_units_freep) SocketUnits *units = NULL;
        _cleanup_(freep) char *text = NULL;
        UnitConflicts unused;
        char path[PATH_MAX];

        if (path_join(path, sizeof(path), c->runtime_dir, RUNTIME_UNITS) < 0 ||
            file_read(path, SOCKET_UNITS_TEXT_MAX, &text, NULL) < 0 ||
            socket_units_parse(text, &units) < 0)
                return 0;
        return config_set_units(config, units, NULL, &unused);
}

/* What runs is what was last applied; without that, what would be. */
static int load_config(const Ctl *c, Config **ret)
{
        ConfigPaths paths = { .main = c->config, .root = "" };
        char path[PATH_MAX];
        int r;

        if (!c->config && path_join(path, sizeof(path), c->runtime_dir, RUNTIME_APPLIED) >= 0) {
                r = config_load_applied(path, ret);
                if (r >= 0)
                        return add_units(c, *ret);
                if (r != -ENOENT)
                        return r;
        }
        return config_load(&paths, ret);
}

/* The declaration of that port: the first reservation, or a pool. */
static json_t *declaration(const Config *config, int protocol, uint16_t port, HoldMode *ret_hold)
{
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        if (config_lookup(config, protocol, port, &iterator, &r, &e)) {
                *ret_hold = reservation_endpoint_hold(r, e);
                return json_pack("{s:o, s:o, s:o}", "name", json_text(r->name), "unit",
                                 json_text(r->unit), "source", json_source(r->file, r->line));
        }
        for (size_t i = 0; i < config->n_pools; i++) {
                const Pool *p = config->pools[i];

                if (portset_has(&p->ports, port))
                        return json_pack("{s:o, s:n, s:o}", "name", json_text(p->name), "unit",
                                         "source", json_source(p->file, p->line));
        }
        return json_null();
}

static int declare(const Config *config, Findings *f)
{
        int asked = f->protocol;

        if (asked == 0)
                f->protocol = IPPROTO_TCP;
        f->declared = declaration(config, f->protocol, f->port, &f->hold);
        if (asked == 0 && json_is_null(f->declared)) {
                json_decref(f->declared);
                f->declared = declaration(config, IPPROTO_UDP, f->port, &f->hold);
                if (json_is_object(f->declared))
                        f->protocol = IPPROTO_UDP;
        }
        return f->declared ? 0 : -ENOMEM;
}

static void read_kernel(Findings *f)
{
        PortSet list;

        if (kernel_list_read(&list) >= 0)
                f->reserved = portset_has(&list, f->port);
        if (ephemeral_range_read(&f->range_first, &f->range_last) >= 0)
                f->ephemeral = f->port >= f->range_first && f->port <= f->range_last;
}

/* The kind of a socket for the declaration that it concerns most, and what it means for a bind
 * there. */
static Kind judge(const Judge *j, Observation *o, WouldBind *ret_bind)
{
        const Socket *s = &o->socket;
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;
        bool declared = false, certain;
        Kind k;

        while (config_lookup(j->config, s->protocol, s->local_port, &iterator, &r, &e)) {
                declared = true;
                identify_observe(j->identify, r, o);
                k = policy_judge(r, e, o);
                if (k != KIND_NONE) {
                        *ret_bind = bind_rules_would_bind(e, k, s, &certain);
                        return k;
                }
        }
        o->owner = TRI_UNKNOWN;
        o->pid1_listener = false;
        k = policy_judge(&nobody, &j->anywhere, o);
        /* At an address that meets no declared one it is in nobody's way. */
        *ret_bind = declared ? WOULD_BIND_YES : bind_rules_would_bind(&j->anywhere, k, s, &certain);
        return k;
}

/* Those who are meant to have a port accept connections on it; for a port that nobody declared,
 * that is everybody. */
static bool listens_legitimately(const Judge *j, const Socket *s)
{
        Observation o = { .socket = *s, .ours = ours_has(&j->ours, s) };
        WouldBind unused;
        Kind k = judge(j, &o, &unused);
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        return !kind_is_collision(k) ||
               !config_lookup(j->config, s->protocol, s->local_port, &iterator, &r, &e);
}

/* Where we hold the port, nobody but its server can have left something behind. */
static bool is_held(const Judge *j, const Look *l)
{
        for (size_t i = 0; i < l->n; i++)
                if (ours_has(&j->ours, &l->sockets[i]))
                        return true;
        return false;
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

static json_t *holder_object(const Judge *j, const Socket *s, Kind k)
{
        Holder h;
        json_t *o;
        const json_t *since;

        if (identify_holder(j->identify, s, k, &h) < 0)
                return NULL;
        h.since_usec = 0; /* only the daemon knows */
        o = json_from_holder(&h);
        holder_done(&h);

        since = o ? first_seen(j->ours.state, o) : NULL;
        if (since && json_object_set(o, "since", (json_t *) since) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}

static int judge_all(const Judge *j, Findings *f)
{
        for (size_t i = 0; i < f->look.n; i++) {
                const Socket *s = &f->look.sockets[i], *listener;
                Observation o = { .socket = *s };
                WouldBind bind;
                json_t *holder;
                Kind k;

                listener = look_listener(&f->look, s);
                o.ours = ours_has(&j->ours, s);
                o.listener_legitimate = (listener && listens_legitimately(j, listener)) ||
                                        (s->inode == 0 && is_held(j, &f->look));
                k = judge(j, &o, &bind);

                holder = holder_object(j, s, k);
                if (!holder || json_array_append_new(f->holders, holder) < 0)
                        return -ENOMEM;
                if (!f->worst || bind > f->would_bind) {
                        f->worst = holder;
                        f->would_bind = bind;
                }
        }
        return 0;
}

/* A hold of ours that the kernel does not list (bound only, before 6.8): as the daemon published
 * it. */
static int add_unseen_hold(const Judge *j, Findings *f)
{
        const json_t *ep = ours_published(&j->ours, f->protocol, f->port);
        Holder h;
        json_t *holder;

        if (f->look.sees_bound || !ours_holds(ep))
                return 0;
        holder_init(&h);
        h.kind = KIND_HOLD;
        h.pid = j->ours.pid;
        h.socket.protocol = f->protocol;
        h.socket.state = SOCKET_CLOSE;
        h.socket.local_port = f->port;
        if (address_parse(get_text(ep, "address"), &h.socket.local) < 0)
                h.socket.local.family = AF_INET6; /* "*": [::] */

        holder = json_from_holder(&h);
        if (!holder || json_array_append_new(f->holders, holder) < 0)
                return -ENOMEM;
        if (!f->worst || f->would_bind < WOULD_BIND_WITH_REUSEADDR) {
                f->worst = holder;
                f->would_bind = WOULD_BIND_WITH_REUSEADDR;
        }
        return 0;
}

static int look_and_judge(const Ctl *c, const Config *config, const json_t *state, Findings *f)
{
        _cleanup_(identify_freep) Identify *identify = NULL;
        Judge j = {
                .config = config,
                .anywhere = { .protocol = f->protocol, .port = f->port, .last = f->port },
        };
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
        r = look_take(f->protocol, f->port, &f->look);
        if (r < 0)
                return r;
        f->holders = json_array();
        if (!f->holders)
                return -ENOMEM;
        r = judge_all(&j, f);
        return r < 0 ? r : add_unseen_hold(&j, f);
}

Exit findings_gather(const Ctl *c, Findings *f)
{
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(json_decrefp) json_t *state = NULL;
        int r;

        r = load_config(c, &config);
        if (r == -ENOENT)
                return fail(c, EXIT_NOT_FOUND, "%s: there is no such file", c->config);
        if (r >= 0)
                r = declare(config, f);
        if (r < 0)
                return fail(c, EXIT_FAILED, "configuration: %s", strerror(-r));

        f->running = state_probe(c) >= 0;
        if (f->running)
                (void) state_read(c, &state);
        read_kernel(f);
        r = look_and_judge(c, config, state, f);
        if (r < 0)
                return fail(c, EXIT_FAILED, "the kernel's sockets cannot be read: %s",
                            strerror(-r));
        return EXIT_OK;
}

void findings_done(Findings *f)
{
        json_decref(f->declared);
        json_decref(f->holders);
        look_done(&f->look);
}
