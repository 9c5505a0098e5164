/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a hold makes of its owner: started, seen bound, gone. */

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "daemon/hold/hold-internal.h"

/* Asking whether the owner has bound: often at first, since the door is open until then. */
#define ASK_FIRST    (5 * USEC_PER_MSEC)
#define ASK_FAST_FOR (1 * USEC_PER_SEC)
#define ASK_MAX      (1 * USEC_PER_SEC)
/* Seen bound: closed after this, not at once. A server that listens at two addresses binds them one
 * after the other; one that listens for IPv4 and for IPv6 most likely has them all. */
#define ASK_SETTLE         (100 * USEC_PER_MSEC)
#define ASK_SETTLE_COVERED (20 * USEC_PER_MSEC)
/* Not seen: asked again before it counts as gone (a dump may miss one). ReuseAddress=always: a
 * reload closes and binds anew. */
#define GONE_AFTER  (100 * USEC_PER_MSEC)
#define GONE_ALWAYS (5 * USEC_PER_SEC)
/* Events ask no more often than this: each connection that the owner closes is one. */
#define ASK_EVENT (200 * USEC_PER_MSEC)
/* Started, not bound: how long before owner_alive() is asked, and how long without an answer. */
#define ALIVE_AFTER (5 * USEC_PER_SEC)
#define SHARE_MAX   (600 * USEC_PER_SEC)

Tristate hold_ask(Hold *h)
{
        HoldSet *s = h->set;

        h->tried = now_usec(CLOCK_MONOTONIC);
        if (!s->ops.owner_bound)
                return TRI_UNKNOWN;
        return s->ops.owner_bound(h->reservation, h->endpoint, h->port, s->userdata);
}

void hold_start_asking(Hold *h)
{
        h->since = 0;
        h->interval = ASK_FIRST;
        hold_schedule(h, now_usec(CLOCK_MONOTONIC) + ASK_FIRST);
}

/* UDP over IPv6: the datagrams are the owner's, see placeholder.h. Where that fails ours, if there
 * is one, stays where it is. One that is to be listened on must take them, and waits. */
static void step_behind(Hold *h, bool sharing)
{
        int fd;

        if (h->endpoint->protocol != IPPROTO_UDP || h->mode == HOLD_LISTEN ||
            placeholder_step_behind(h->endpoint, h->port, sharing, &fd) != BIND_OK)
                return;
        if (h->fd >= 0) {
                hold_unregister_fd(h);
                close(h->fd);
        }
        h->fd = fd;
        (void) hold_register_fd(h, NULL);
}

/* Not where the owner listens at every address: nobody else can have come after it, and its further
 * workers come in by SO_REUSEPORT. Without the capability it stays as it is. */
static void close_behind_owner(Hold *h)
{
        bool tcp = h->endpoint->protocol == IPPROTO_TCP, room;

        room = tcp && placeholder_is_covered(h->endpoint, h->port, true) == 0;
        (void) placeholder_unshare(h->fd);
        if (room)
                (void) placeholder_forget_reuseport(h->endpoint, h->port);
}

/* The owner has bound (TCP: listens). */
void hold_owner_bound(Hold *h)
{
        bool open = h->mode == HOLD_SHARED || h->reuse == REUSE_ALWAYS;

        h->owner_up = h->owner_seen = true;
        h->leaving = h->scrub_due = false;
        h->since = h->interval = 0;
        hold_schedule(h, 0);
        if (h->state == HOLD_STATE_SHARING || h->fd < 0)
                step_behind(h, open);
        if (h->fd >= 0 && open) {
                if (placeholder_share(h->fd) == 0)
                        hold_enter(h, HOLD_STATE_SHARING, 0);
                return;
        }
        if (h->fd >= 0)
                close_behind_owner(h);
        hold_enter(h, HOLD_STATE_IN_USE, 0);
}

/* Nobody has said stop, and the owner does not bind: is there anybody who still could? */
static bool given_up(Hold *h, uint64_t now)
{
        HoldSet *s = h->set;
        Tristate alive = TRI_UNKNOWN;

        if (now < h->started + ALIVE_AFTER)
                return false;
        if (s->ops.owner_alive)
                alive = s->ops.owner_alive(h->reservation, s->userdata);
        if (alive == TRI_YES)
                h->started = now - ALIVE_AFTER;
        return alive == TRI_NO || now >= h->started + SHARE_MAX;
}

/* The door is open (or the port left free) for an owner that has not bound yet. */
static void ask_starting(Hold *h)
{
        bool tcp = h->fd >= 0 && h->endpoint->protocol == IPPROTO_TCP;
        uint64_t now, settle = ASK_SETTLE;
        Tristate t = TRI_NO;

        /* For TCP bound is not enough, see placeholder.h. The kernel's word comes first: it costs a
         * bind() where the question costs a dump; and a listener is evidence where the question has
         * no answer. */
        if (!tcp || placeholder_has_listener(h->endpoint, h->port) == 1)
                t = hold_ask(h);
        if (tcp && t == TRI_UNKNOWN)
                t = TRI_YES;
        /* A port that was left to its owner: there is some socket, and only then it is tried, since
         * a bind of ours may not get in the way of the owner's. */
        if (h->fd < 0 && h->endpoint->protocol == IPPROTO_TCP && t == TRI_UNKNOWN &&
            placeholder_has_listener(h->endpoint, h->port) == 1)
                t = TRI_YES;

        now = now_usec(CLOCK_MONOTONIC);
        if (t == TRI_YES) {
                if (h->since == 0)
                        h->since = now;
                if (tcp && placeholder_is_covered(h->endpoint, h->port, false) == 1)
                        settle = ASK_SETTLE_COVERED;
                if (now >= h->since + settle)
                        hold_owner_bound(h);
                else
                        hold_schedule(h, MIN_OF(h->since + settle, now + ASK_SETTLE_COVERED));
                return;
        }

        h->since = 0;
        if (given_up(h, now)) {
                hold_begin_leaving(h);
                return;
        }
        h->interval =
                now < h->started + ASK_FAST_FOR ? ASK_FIRST : MIN_OF(h->interval * 3 / 2, ASK_MAX);
        hold_schedule(h, now + h->interval);
}

/* Something hints that the owner has gone. */
static void ask_gone(Hold *h)
{
        uint64_t now, patience = h->reuse == REUSE_ALWAYS ? GONE_ALWAYS : GONE_AFTER;
        bool scrubbed = false;

        switch (hold_ask(h)) {
        case TRI_YES:
                h->since = 0;
                hold_schedule(h, 0);
                return;
        case TRI_NO:
                now = now_usec(CLOCK_MONOTONIC);
                if (h->since == 0)
                        h->since = now;
                if (now >= h->since + patience)
                        hold_begin_leaving(h);
                else
                        hold_schedule(h, now + GONE_AFTER);
                return;
        case TRI_UNKNOWN:
                /* The kernel tells, where a scrub or a bind succeeds; UDP waits for hand-over's
                 * stop. */
                hold_schedule(h, 0);
                if (h->state != HOLD_STATE_IN_USE || h->endpoint->protocol != IPPROTO_TCP)
                        return;
                if (h->fd >= 0 && hold_exclude(h, &scrubbed) == 0 && scrubbed)
                        hold_begin_leaving(h);
                else if (h->fd < 0 && !hold_makes_room(h) && hold_try_bind(h) == BIND_OK)
                        hold_begin_leaving(h);
                return;
        }
}

/* Until PID 1 listens beside it. */
static void guard(Hold *h)
{
        HoldSet *s = h->set;

        if (!s->ops.pid1_listens ||
            s->ops.pid1_listens(h->reservation, h->endpoint, h->port, s->userdata) == TRI_YES)
                hold_remove(h);
        else
                hold_schedule(h, now_usec(CLOCK_MONOTONIC) + ASK_MAX);
}

void hold_due(Hold *h)
{
        bool scrubbed;

        switch (h->state) {
        case HOLD_STATE_NONE:
                if (h->pid1_until != 0) {
                        hold_claim(h);
                        break;
                }
                hold_schedule(h, 0);
                break;
        case HOLD_STATE_LISTENING:
                hold_schedule(h, 0);
                break;
        case HOLD_STATE_PENDING:
                if (hold_makes_room(h))
                        ask_starting(h);
                else if (h->fd >= 0)
                        hold_leave(h);
                else
                        hold_claim(h);
                break;
        case HOLD_STATE_EXCLUSIVE:
                hold_schedule(h, 0);
                if (h->scrub_due)
                        (void) hold_exclude(h, &scrubbed);
                h->scrub_due = false;
                break;
        case HOLD_STATE_SHARING:
        case HOLD_STATE_IN_USE:
                if (h->guard) {
                        guard(h);
                        break;
                }
                if (h->leaving)
                        hold_leave(h);
                else if (h->owner_seen)
                        ask_gone(h);
                else if (h->owner_up)
                        ask_starting(h);
                else
                        hold_schedule(h, 0);
                break;
        }
}

bool hold_owner_starts(Hold *h)
{
        bool was_pending = h->state == HOLD_STATE_PENDING && h->error != 0;

        if (h->mode != HOLD_BOUND) {
                hold_claim(h);
                return h->state != HOLD_STATE_PENDING;
        }

        h->owner_up = true;
        h->owner_seen = h->leaving = h->scrub_due = false;
        h->started = now_usec(CLOCK_MONOTONIC);
        if (h->reuse == REUSE_NO) {
                if (h->fd >= 0) {
                        hold_unregister_fd(h);
                        close(h->fd);
                        h->fd = -1;
                }
                hold_enter(h, HOLD_STATE_PENDING, 0);
                hold_start_asking(h);
                return !was_pending;
        }
        if (h->fd < 0) {
                hold_claim(h); /* with the door open */
                return h->state != HOLD_STATE_PENDING;
        }
        if (placeholder_share(h->fd) < 0)
                return false;
        hold_settle(h);
        return !was_pending;
}

void hold_owner_stopped(Hold *h)
{
        if (h->mode != HOLD_BOUND || (h->state == HOLD_STATE_EXCLUSIVE && !h->scrub_due))
                return;
        hold_begin_leaving(h);
}

/* Hold=shared, and we have the socket: whether its owner comes or goes changes nothing. */
static bool is_open_always(const Hold *h)
{
        return h->mode == HOLD_SHARED && h->fd >= 0;
}

void hold_owner_seen(Hold *h, bool bound)
{
        if (is_open_always(h)) {
                if (bound && !h->owner_seen)
                        step_behind(h, true);
                h->owner_seen = bound;
                return;
        }
        if (bound) {
                if (h->leaving || h->owner_seen)
                        return;
                if (h->state == HOLD_STATE_EXCLUSIVE ||
                    (h->state == HOLD_STATE_PENDING && h->fd < 0))
                        hold_owner_bound(h);
                else if (h->state == HOLD_STATE_SHARING)
                        hold_schedule(h, now_usec(CLOCK_MONOTONIC)); /* asks, for itself */
        } else if (h->owner_seen && h->due == 0)
                hold_schedule(h, now_usec(CLOCK_MONOTONIC));
}

void hold_freed(Hold *h)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (is_open_always(h))
                return;
        /* One that lacks a descriptor is not helped, and would hear of each socket that it gives
         * back itself. */
        if ((h->state == HOLD_STATE_PENDING && h->error == -EADDRINUSE) || h->pid1_until != 0)
                hold_schedule(h, MAX_OF(now, h->tried + HOLD_RETRY_FIRST));
        else if (h->leaving)
                hold_schedule(h, now);
        else if (h->owner_seen && h->due == 0)
                hold_schedule(h, MAX_OF(now, h->tried + ASK_EVENT));
}
