/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/predict.h"

#include <netinet/in.h>

#include "base/clock.h"
#include "kernel/bind-probe.h"

/* Servers that share UDP have a few sockets on a port, one a thread. */
#define ASK_MAX 64u

static bool is_in_way(const Endpoint *place, const Occupant *x)
{
        return bind_rules_allow(place, false, &x->holder.socket) == TRI_NO;
}

/* An IPv6 connection at 0.0.0.0 is in the way or not by its v6only, which the kernel does not tell. */
static bool is_doubtful(const Endpoint *place, const Occupant *x)
{
        const Socket *s = &x->holder.socket;

        return place->address.family == AF_INET && address_is_wildcard(&place->address) &&
               s->local.family == AF_INET6 && s->remote_port != 0;
}

/* What is beside a hold of ours shares with it: it came in by SO_REUSEADDR, or the hold did. */
static void learn_from_holds(const Endpoint *place, Occupants *o)
{
        for (size_t i = 0; i < o->n; i++) {
                const Socket *hold = &o->items[i].holder.socket;
                Endpoint held = { .protocol = hold->protocol,
                                  .address = hold->local,
                                  .v6only = hold->v6only,
                                  .port = hold->local_port,
                                  .last = hold->local_port };

                if (o->items[i].holder.kind != KIND_HOLD)
                        continue;
                for (size_t k = 0; k < o->n; k++)
                        if (k != i && is_in_way(place, &o->items[k]) &&
                            is_in_way(&held, &o->items[k]))
                                o->items[k].holder.socket.reuse = TRI_YES;
        }
}

static bool is_dual_stack(const Address *a, bool v6only)
{
        return a->family == AF_UNSPEC ||
               (a->family == AF_INET6 && address_is_wildcard(a) && !v6only);
}

/* Where only those are refused whom that socket keeps out as well: a server without SO_REUSEADDR at
 * another address must not meet the probe. */
static Endpoint probe_place(const Endpoint *place, const Socket *s)
{
        bool narrower =
                !address_is_wildcard(&s->local) || (is_dual_stack(&place->address, place->v6only) &&
                                                    !is_dual_stack(&s->local, s->v6only));
        Endpoint e = *place;

        if (narrower && endpoint_meets_address(place, &s->local, s->v6only)) {
                e.address = s->local;
                e.v6only = s->v6only;
        }
        return e;
}

static bool same_probe(const Endpoint *a, const Endpoint *b)
{
        return address_equal(&a->address, &b->address) && a->v6only == b->v6only;
}

/* There the kernel answers for all whom it meets at once. */
static int ask_kernel_at(const Endpoint *at, uint16_t port, Occupants *o)
{
        int r = bind_probe(at, port);
        size_t n = 0;

        for (size_t i = 0; i < o->n; i++)
                n += is_in_way(at, &o->items[i]);
        for (size_t i = 0; i < o->n && r >= 0; i++)
                if (is_in_way(at, &o->items[i]) && (r > 0 || n == 1))
                        o->items[i].holder.socket.reuse = r > 0 ? TRI_YES : TRI_NO;
        return r;
}

/* TCP. Who is not listed may be at any address. */
static Tristate ask_kernel(const Question *q, const Endpoint *place, Occupants *o)
{
        Endpoint asked[ASK_MAX], at;
        size_t n = 0, k;
        int r = 0, worst = 1;

        for (size_t i = 0; q->sees_all && i < o->n && n < ASK_MAX && r >= 0; i++) {
                if (!is_in_way(place, &o->items[i]))
                        continue;
                at = probe_place(place, &o->items[i].holder.socket);
                for (k = 0; k < n && !same_probe(&asked[k], &at); k++)
                        ;
                if (k < n)
                        continue;
                asked[n++] = at;
                r = ask_kernel_at(&at, q->port, o);
                worst = MIN_OF(worst, r);
        }
        if (n == 0 || n == ASK_MAX || r < 0)
                worst = ask_kernel_at(place, q->port, o);
        return worst < 0 ? TRI_UNKNOWN : worst > 0 ? TRI_YES : TRI_NO;
}

/* UDP: each of their processes. */
static void ask_processes(const Endpoint *place, Occupants *o)
{
        unsigned asked = 0;

        for (size_t i = 0; i < o->n && asked < ASK_MAX; i++) {
                Holder *h = &o->items[i].holder;
                bool reuse;

                if (!is_in_way(place, &o->items[i]) || h->pid == 0 ||
                    h->socket.reuse != TRI_UNKNOWN)
                        continue;
                asked++;
                if (bind_probe_reuse_of(h->pid, h->socket.inode, &reuse) >= 0)
                        h->socket.reuse = reuse ? TRI_YES : TRI_NO;
        }
}

typedef struct Sum {
        size_t n_in_way;
        bool held, listens, doubt;
} Sum;

static Sum sum_up(const Endpoint *place, const Occupants *o)
{
        Sum s = {};

        for (size_t i = 0; i < o->n; i++) {
                const Occupant *x = &o->items[i];

                s.doubt |= is_doubtful(place, x);
                if (!is_in_way(place, x))
                        continue;
                s.n_in_way++;
                s.held |= x->holder.kind == KIND_HOLD;
                s.listens |= bind_rules_allow(place, true, &x->holder.socket) == TRI_NO;
        }
        return s;
}

/* The worst of all that is there decides. */
static Prediction conclude(const Question *q, const Endpoint *place, Occupants *o)
{
        Prediction p = { .worst = SIZE_MAX, .certain = true };
        bool no_is_certain = false;

        for (size_t i = 0; i < o->n; i++) {
                Occupant *x = &o->items[i];
                bool certain;
                WouldBind w;

                if (!is_in_way(place, x))
                        continue;
                x->in_way = true;
                w = bind_rules_would_bind(place, x->holder.kind, &x->holder.socket, &certain);
                if (x->holder.kind == KIND_HOLD) {
                        /* It makes room for its owner, whatever it is now. */
                        if (x->holder.socket.state != SOCKET_LISTEN)
                                w = q->releases ? WOULD_BIND_YES : WOULD_BIND_WITH_REUSEADDR;
                        certain = true;
                }
                p.certain &= certain;
                no_is_certain |= certain && w == WOULD_BIND_NO;
                if (p.worst == SIZE_MAX || w > p.would_bind) {
                        p.worst = i;
                        p.would_bind = w;
                }
        }
        p.certain |= no_is_certain;
        return p;
}

static Prediction predict_place(const Question *q, const Endpoint *place, Occupants *o)
{
        Sum sum = sum_up(place, o);
        Tristate kernel = TRI_UNKNOWN;
        Prediction p;

        if (sum.held)
                learn_from_holds(place, o);
        else if (sum.n_in_way > 0 && !sum.listens) {
                if (q->protocol == IPPROTO_TCP)
                        kernel = ask_kernel(q, place, o);
                else
                        ask_processes(place, o);
        }
        p = conclude(q, place, o);
        /* The kernel's word goes before ours: it also knows what is not listed. */
        if (kernel == TRI_NO) {
                p.would_bind = WOULD_BIND_NO;
                p.certain = true;
        } else if (p.would_bind != WOULD_BIND_NO)
                p.certain &= !sum.doubt && (q->sees_all || sum.held || kernel == TRI_YES);
        return p;
}

/* Nothing of a process: it goes as the kernel's timers say. */
static uint64_t free_within(const Occupants *o)
{
        uint64_t latest = 0;

        for (size_t i = 0; i < o->n; i++) {
                if (!o->items[i].in_way)
                        continue;
                if (o->items[i].holder.socket.expires_usec == 0)
                        return 0;
                latest = MAX_OF(latest, o->items[i].holder.socket.expires_usec);
        }
        return latest;
}

void predict(const Question *q, Occupants *o, Prediction *ret)
{
        Prediction p = { .worst = SIZE_MAX, .certain = true };
        bool no_is_certain = false;

        for (size_t i = 0; i < q->n_places; i++) {
                Prediction one = predict_place(q, q->places[i], o);

                no_is_certain |= one.certain && one.would_bind == WOULD_BIND_NO;
                p.certain &= one.certain;
                if (p.worst == SIZE_MAX || one.would_bind > p.would_bind) {
                        p.worst = one.worst;
                        p.would_bind = one.would_bind;
                }
        }
        p.certain |= no_is_certain;
        p.free_usec = free_within(o);
        *ret = p;
}

uint64_t prediction_free_sec(const Prediction *p)
{
        return (p->free_usec + USEC_PER_SEC - 1) / USEC_PER_SEC;
}
