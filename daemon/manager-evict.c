/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Freeing ports: by Evict= when somebody is found on one, and when it is asked for. */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "daemon/alert/describe.h"
#include "daemon/alert/log.h"
#include "daemon/evict/quota.h"
#include "daemon/manager-internal.h"
#include "kernel/unit-run.h"
#include "model/json.h"

/* So many of each kind are listed in an answer. */
#define LISTED_MAX 1000u

static const Holder *on_known(const Endpoint *e, uint16_t port, uint64_t cookie, void *userdata)
{
        Manager *m = userdata;

        for (const Collision *c = watch_next(m->watch, e, NULL); c; c = watch_next(m->watch, e, c))
                if (c->port == port && c->holder.socket.cookie == cookie)
                        return &c->holder;
        return NULL;
}

static void on_destroyed(const Socket *s, void *userdata)
{
        Manager *m = userdata;

        watch_destroyed(m->watch, s);
}

/* Of an undeclared port there is no endpoint to speak of. */
static void on_evicted(const Eviction *x, void *userdata)
{
        const Socket *s = &x->holder->socket;
        Endpoint anywhere = socket_anywhere(s);
        _cleanup_(freep) char *detail = NULL, *remedy = NULL;
        Manager *m = userdata;
        int r = 0;

        if (x->verdict == EVICTION_ABORT) {
                remedy = describe_remedy(x->holder, s->protocol, s->local_port);
                r = asprintf(&detail, "%s. What to do, if it does not: %s",
                             eviction_reason(x->verdict), remedy ?: "stop it");
        } else if (x->count > 1)
                r = asprintf(&detail, "with %u more remains of closed connections", x->count - 1);
        if (r < 0)
                detail = NULL;
        alert_event(m->alert, &(Event){ .kind = EVENT_EVICTED,
                                        .reservation = x->reservation,
                                        .endpoint = x->endpoint ?: &anywhere,
                                        .port = s->local_port,
                                        .holder = x->holder,
                                        .detail = detail });
}

static void on_left(const Eviction *x, void *userdata)
{
        const char *reason = x->error < 0 ? strerror(-x->error) : eviction_reason(x->verdict);
        _cleanup_(freep) char *who = holder_describe(x->holder), *remedy = NULL;
        const Socket *s = &x->holder->socket;
        const char *protocol = protocol_to_string(s->protocol);

        /* Whom evict leaves as well, `why` knows more about. */
        if (x->error == 0 && x->verdict != EVICTION_UNKNOWN)
                remedy = describe_remedy(x->holder, s->protocol, s->local_port);
        else if (asprintf(&remedy, "portreservectl why %u/%s", s->local_port, protocol) < 0)
                remedy = NULL;
        log_notice("%s: %u/%s: Evict=%s leaves %s: %s. What to do: %s", x->reservation->name,
                   s->local_port, protocol, evict_to_string(x->reservation->evict),
                   who ?: "somebody", reason, remedy ?: "stop it");
}

static void on_waiting(size_t n, void *userdata)
{
        Manager *m = userdata;

        log_warning("%zu more sockets are to be closed by Evict=; no more than %u of a reservation "
                    "and %u in all are in %u s. Is it meant?",
                    n, QUOTA_PER_RESERVATION, QUOTA_OVERALL,
                    (unsigned) (QUOTA_WINDOW_USEC / 1000000));
        state_touch(m->state);
}

static void on_failed(int error, void *userdata)
{
        if (error < 0)
                log_warning("Cannot look for whom to evict: %s; trying again", strerror(-error));
        else
                log_notice("Can look for whom to evict again");
}

/* Where its process is not known. A unit that does not run has none. */
static bool on_may_be_owners(const Reservation *r, const Holder *h, void *userdata)
{
        _cleanup_(freep) char *run = NULL;

        return r->unit && unit_run(r->unit, &run) != -ENOENT;
}

const EvictorOps manager_evictor_ops = {
        .is_ours = manager_on_asked_ours,
        .held = manager_on_asked_held,
        .known = on_known,
        .may_be_owners = on_may_be_owners,
        .destroyed = on_destroyed,
        .evicted = on_evicted,
        .left = on_left,
        .waiting = on_waiting,
        .failed = on_failed,
};

void manager_evict(Manager *m, const Collision *c)
{
        /* Who is not told yet comes when it is: first the alert, with the name. */
        if (c->reservation->evict != EVICT_NO && !inspect_is_awaited(m->inspect, c))
                evictor_want(m->evictor, &c->holder.socket);
}

void manager_evict_all(Manager *m)
{
        CONFIG_FOREACH_RESERVATION(m->config, r)
                for (size_t i = 0; r->evict != EVICT_NO && i < r->n_endpoints; i++)
                        for (const Collision *c = watch_next(m->watch, &r->endpoints[i], NULL); c;
                             c = watch_next(m->watch, &r->endpoints[i], c))
                                manager_evict(m, c);
}

/* What `portreservectl evict` is told. */
typedef struct Answer {
        json_t *evicted, *left;
        bool failed; /* no memory */
} Answer;

static void put_seen(const Eviction *x, void *userdata)
{
        Answer *a = userdata;
        bool left = eviction_is_left(x->verdict) || x->error < 0;
        json_t *list = left ? a->left : a->evicted, *o;
        const char *reason = eviction_reason(x->verdict);

        if (json_array_size(list) >= LISTED_MAX)
                return;
        if (x->error == -EAGAIN)
                reason = "too many have been closed in the last ten seconds: try again";
        else if (x->error < 0)
                reason = strerror(-x->error);
        o = json_from_holder(x->holder);
        if (!o || json_object_set_new(o, "reason", json_text(reason)) < 0 ||
            json_object_set_new(o, "count", json_integer(x->count)) < 0) {
                json_decref(o);
                a->failed = true;
                return;
        }
        a->failed |= json_array_append_new(list, o) < 0;
}

/* The first reservation with that port, for that user (UID_INVALID: any). */
static const Reservation *find_declared(const Manager *m, int protocol, uint16_t port, uid_t user)
{
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        while (config_lookup(m->config, protocol, port, &iterator, &r, &e))
                if (user == UID_INVALID || r->uid == user)
                        return r;
        return NULL;
}

static int refuse(Manager *m, const BusEviction *q, int protocol, char **ret_error, const char *why)
{
        log_limited(&m->refused, LOG_WARNING, "Denied to uid %u, pid %d: evict %u/%s: %s",
                    (unsigned) q->uid, (int) q->pid, q->port, protocol_to_string(protocol), why);
        *ret_error = strdup(why);
        return -EPERM;
}

int manager_on_bus_evict(const BusEviction *q, char **ret_json, char **ret_error, void *userdata)
{
        bool root = q->uid == 0 || q->uid == geteuid();
        EvictionRequest request = { .protocol = q->protocol,
                                    .port = q->port,
                                    .user = root ? UID_INVALID : q->uid,
                                    .dry_run = q->dry_run };
        _cleanup_(json_decrefp) json_t *o = NULL;
        Manager *m = userdata;
        const Reservation *r;
        Answer a = {};
        size_t others;
        int k;

        if (request.protocol == 0)
                request.protocol =
                        !find_declared(m, IPPROTO_TCP, q->port, UID_INVALID) &&
                                        find_declared(m, IPPROTO_UDP, q->port, UID_INVALID)
                                ? IPPROTO_UDP
                                : IPPROTO_TCP;
        r = find_declared(m, request.protocol, q->port, request.user);
        if (!r && !root)
                return refuse(
                        m, q, request.protocol, ret_error,
                        "only root may free a port that is not declared for the user (User=)");
        if (!root && r->evict == EVICT_NO)
                return refuse(m, q, request.protocol, ret_error,
                              "the reservation has no Evict=, without which only root may do that");

        a = (Answer){ .evicted = json_array(), .left = json_array() };
        o = json_pack("{s:i, s:s, s:s?, s:b, s:o, s:o}", "port", (int) q->port, "protocol",
                      protocol_to_string(request.protocol), "name", r ? r->name : NULL, "dry_run",
                      (int) q->dry_run, "evicted", a.evicted, "left", a.left);
        if (!o)
                return -ENOMEM;
        k = evictor_run(m->evictor, &request, put_seen, &a, &others);
        if (k < 0)
                return k;
        if (!r && others == 0 && json_array_size(a.evicted) == 0 && json_array_size(a.left) == 0) {
                *ret_error = strdup("nobody declared that port, and nobody is on it");
                return -ENOENT;
        }
        *ret_json = a.failed ? NULL : json_dumps(o, JSON_COMPACT);
        return *ret_json ? 0 : -ENOMEM;
}
