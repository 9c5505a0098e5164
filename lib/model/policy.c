/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "model/bind-rules.h"

static const char *const kind_names[_KIND_MAX] = {
        [KIND_NONE] = "none",           [KIND_HOLD] = "hold",         [KIND_LISTENER] = "listener",
        [KIND_OWNER] = "owner",         [KIND_ACCEPTED] = "accepted", [KIND_STALE] = "stale",
        [KIND_EPHEMERAL] = "ephemeral", [KIND_SQUATTER] = "squatter", [KIND_UNKNOWN] = "unknown",
};

const char *kind_to_string(Kind k)
{
        return (unsigned) k < _KIND_MAX ? kind_names[k] : "unknown";
}

int kind_from_string(const char *s)
{
        for (size_t i = 0; i < _KIND_MAX; i++)
                if (strcmp(kind_names[i], s) == 0)
                        return (int) i;
        return -EINVAL;
}

bool kind_is_collision(Kind k)
{
        return k == KIND_STALE || k == KIND_EPHEMERAL || k == KIND_SQUATTER || k == KIND_UNKNOWN;
}

/* Bound only, or listening: nobody is at the other end. A connected UDP socket is ESTABLISHED. */
static bool socket_is_connected(const Socket *s)
{
        return s->state != SOCKET_LISTEN && s->state != SOCKET_CLOSE &&
               s->state != SOCKET_BOUND_INACTIVE;
}

/* No process will ever do anything with it again: TIME_WAIT, or an orphan that still says goodbye.
 * A connection in SYN_RECV, or ESTABLISHED and not yet accepted, has no inode either, but is
 * alive. */
static bool socket_is_remains(const Socket *s)
{
        if (s->protocol != IPPROTO_TCP)
                return false;
        switch (s->state) {
        case SOCKET_TIME_WAIT:
                return true;
        case SOCKET_FIN_WAIT1:
        case SOCKET_FIN_WAIT2:
        case SOCKET_CLOSING:
        case SOCKET_LAST_ACK:
                return s->inode == 0;
        default:
                return false;
        }
}

/* Of IPv6 connections beside 0.0.0.0 only those count that the kernel gave their port: a bind() made
 * them v6only. What is left when they have gone looks like what a v6only server leaves. */
static bool endpoint_concerns(const Endpoint *e, const Socket *s)
{
        if (!bind_rules_meet(e, s))
                return false;
        return endpoint_meets_address(e, &s->local, s->v6only) ||
               (socket_is_connected(s) && !socket_is_remains(s) && s->automatic != TRI_NO);
}

/* By one that is meant to listen there. */
static bool was_accepted(const Observation *o)
{
        return o->listener_legitimate && o->socket.protocol == IPPROTO_TCP &&
               socket_is_connected(&o->socket) && !(o->listener_elsewhere && o->owner == TRI_NO);
}

Kind policy_judge(const Reservation *r, const Endpoint *e, const Observation *o)
{
        const Socket *s = &o->socket;
        bool automatic;

        if (o->ours)
                return KIND_HOLD;
        if (o->pid1_listener)
                return KIND_LISTENER;
        if (!endpoint_concerns(e, s))
                return KIND_NONE;
        if (o->owner == TRI_YES)
                return KIND_OWNER;
        if (was_accepted(o))
                return KIND_ACCEPTED;
        if (socket_is_remains(s))
                return KIND_STALE;

        automatic =
                s->automatic == TRI_YES || (s->automatic == TRI_UNKNOWN && socket_is_connected(s));
        if (automatic) {
                /* So is an accepted connection's, by this test. An earlier run of the owner may have
                 * accepted it, and passed it on. */
                if (o->cgroup_gone && s->protocol == IPPROTO_TCP && socket_is_connected(s))
                        return KIND_UNKNOWN;
                return KIND_EPHEMERAL;
        }
        /* A device's, a file system's: its cgroup is that of whoever set it up, which may be
         * anybody. */
        if (o->no_process)
                return KIND_UNKNOWN;
        /* Somebody meant to have that port: without a cgroup it may be the owner itself; and where
         * PID 1 is not known to have failed to listen, it is. */
        if (o->owner == TRI_UNKNOWN)
                return r->socket_unit && !r->socket_failed ? KIND_OWNER : KIND_UNKNOWN;
        return KIND_SQUATTER;
}
