/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/eviction.h"

#include <netinet/in.h>
#include <stddef.h>

EvictionScope eviction_scope_of(Evict e)
{
        switch (e) {
        case EVICT_EPHEMERAL:
                return EVICTION_EPHEMERAL;
        case EVICT_ANY:
                return EVICTION_ANY;
        default:
                return EVICTION_NONE;
        }
}

/* Bound, and nobody is at the other end. */
static bool is_bound_only(const Socket *s)
{
        return s->state == SOCKET_CLOSE || s->state == SOCKET_BOUND_INACTIVE;
}

/* The kernel chose its port. */
static EvictionVerdict judge_chosen(EvictionScope scope, const Socket *s)
{
        if (s->state == SOCKET_LISTEN)
                return scope == EVICTION_ANY ? EVICTION_DESTROY : EVICTION_LISTENS;
        if (!is_bound_only(s))
                return EVICTION_DESTROY;
        if (s->protocol == IPPROTO_TCP)
                return EVICTION_BOUND;
        /* Its program just sends from another port next time; unless it told somebody this one. */
        return scope == EVICTION_UNDECLARED ? EVICTION_LISTENS : EVICTION_DESTROY;
}

/* It asked for this port. To destroy what listens, or takes datagrams, frees nothing; the program
 * would be left without its server and not know. */
static EvictionVerdict judge_explicit(EvictionScope scope, const Socket *s)
{
        if (s->state == SOCKET_LISTEN)
                return EVICTION_LISTENS;
        if (is_bound_only(s))
                return EVICTION_BOUND;
        return scope == EVICTION_ANY ? EVICTION_ABORT : EVICTION_OUT_OF_SCOPE;
}

EvictionVerdict eviction_judge(EvictionScope scope, Kind kind, const Observation *o, bool served)
{
        const Socket *s = &o->socket;

        if (!kind_is_collision(kind))
                return EVICTION_PASS;
        if (scope == EVICTION_NONE)
                return EVICTION_OUT_OF_SCOPE;
        if (served)
                return EVICTION_SERVED;
        /* The kernel's own, or an earlier run's of the owner. */
        if (kind == KIND_UNKNOWN && scope != EVICTION_UNDECLARED)
                return EVICTION_UNKNOWN;
        /* Its peer has everything that was sent, whoever it was. */
        if (kind == KIND_STALE && s->timewait)
                return EVICTION_DESTROY;
        /* A connection that the owner accepted, and whose listener is closed, looks like one that
         * the kernel gave the port: only its cgroup tells. */
        if (o->owner != TRI_NO && scope != EVICTION_UNDECLARED)
                return EVICTION_UNKNOWN;
        if (kind == KIND_STALE)
                return EVICTION_DESTROY;
        return s->automatic == TRI_YES ? judge_chosen(scope, s) : judge_explicit(scope, s);
}

bool eviction_frees(const Holder *h)
{
        const Observation o = { .socket = h->socket,
                                .owner = holder_has_cgroup(h) ? TRI_NO : TRI_UNKNOWN };

        return h->kind != KIND_UNKNOWN &&
               eviction_judge(EVICTION_ANY, h->kind, &o, false) == EVICTION_DESTROY;
}

bool eviction_is_left(EvictionVerdict v)
{
        return v != EVICTION_DESTROY && v != EVICTION_ABORT;
}

const char *eviction_reason(EvictionVerdict v)
{
        switch (v) {
        case EVICTION_OUT_OF_SCOPE:
                return "Evict= does not allow to close it";
        case EVICTION_LISTENS:
                return "it serves there, and has to be stopped";
        case EVICTION_BOUND:
                return "it is bound without a connection, and keeps the port until its process "
                       "closes it";
        case EVICTION_SERVED:
                return "it came in by a listener that has to be stopped first";
        case EVICTION_UNKNOWN:
                return "it may be the owner's: whose it is cannot be told for sure";
        case EVICTION_ABORT:
                return "it bound the port explicitly, and keeps it until its process closes it";
        case EVICTION_DESTROY:
        case EVICTION_PASS:
                break;
        }
        return NULL;
}
