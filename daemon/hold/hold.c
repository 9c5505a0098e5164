/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/hold/hold.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "daemon/hold/hold-internal.h"

/* Asking whether the owner has bound: often at first, since the door is open until then. */
#define ASK_FIRST    (20 * USEC_PER_MSEC)
#define ASK_FAST_FOR (1 * USEC_PER_SEC)
#define ASK_MAX      (1 * USEC_PER_SEC)
/* Seen bound: closed after this, not at once. A server that listens at two addresses binds them one
 * after the other. */
#define ASK_SETTLE (100 * USEC_PER_MSEC)
/* Not seen: asked again before it counts as gone (a dump may miss one). ReuseAddress=always: a
 * reload closes and binds anew. */
#define GONE_AFTER  (100 * USEC_PER_MSEC)
#define GONE_ALWAYS (5 * USEC_PER_SEC)
/* Events ask no more often than this: each connection that the owner closes is one. */
#define ASK_EVENT   (200 * USEC_PER_MSEC)
#define RETRY_FIRST (50 * USEC_PER_MSEC)
#define RETRY_MAX   (5 * USEC_PER_SEC)
/* A socket of the owner's may outlive hand-over's stop for a moment: no alert within this. */
#define LEAVE_GRACE (1 * USEC_PER_SEC)
/* Started, not bound: how long before owner_alive() is asked, and how long without an answer. */
#define ALIVE_AFTER (5 * USEC_PER_SEC)
#define SHARE_MAX   (600 * USEC_PER_SEC)
/* An adopted socket is scrubbed once the first looks have told which owners run. */
#define SCRUB_AFTER (3 * USEC_PER_SEC)

const char *hold_state_to_string(HoldState s)
{
        static const char *const names[] = {
                [HOLD_STATE_NONE] = "none",           [HOLD_STATE_PENDING] = "pending",
                [HOLD_STATE_EXCLUSIVE] = "exclusive", [HOLD_STATE_SHARING] = "sharing",
                [HOLD_STATE_IN_USE] = "in-use",       [HOLD_STATE_LISTENING] = "listening",
        };

        return (size_t) s < ELEMENTSOF(names) ? names[s] : "none";
}

HoldState hold_state(const Hold *h)
{
        return h->state;
}

int hold_error(const Hold *h)
{
        return h->error;
}

int hold_fd(const Hold *h)
{
        return h->fd;
}

static void set_state(Hold *h, HoldState to, int error)
{
        HoldSet *s = h->set;
        HoldEvent e = { .reservation = h->reservation, .endpoint = h->endpoint, .port = h->port };

        h->error = error;
        if (h->state == to)
                return;
        e.from = h->state;
        e.to = to;
        s->n_pending += (to == HOLD_STATE_PENDING);
        s->n_pending -= (h->state == HOLD_STATE_PENDING);
        h->state = to;
        if (s->ops.changed)
                s->ops.changed(&e, s->userdata);
}

static Tristate ask(Hold *h)
{
        HoldSet *s = h->set;

        h->tried = hold_now();
        if (!s->ops.owner_bound)
                return TRI_UNKNOWN;
        return s->ops.owner_bound(h->reservation, h->endpoint, h->port, s->userdata);
}

/* ReuseAddress=no: between the owner's start and its stop the port is left to it. */
static bool makes_room(const Hold *h)
{
        return h->mode == HOLD_BOUND && h->reuse == REUSE_NO && h->owner_up;
}

static bool wants_open(const Hold *h)
{
        if (h->mode == HOLD_SHARED)
                return true;
        return h->mode == HOLD_BOUND && h->owner_up && h->reuse != REUSE_NO &&
               (!h->owner_seen || h->reuse == REUSE_ALWAYS);
}

static void retry(Hold *h)
{
        h->interval = h->interval ? MIN_OF(2 * h->interval, RETRY_MAX) : RETRY_FIRST;
        hold_schedule(h, hold_now() + h->interval);
}

static void start_asking(Hold *h)
{
        h->since = 0;
        h->interval = ASK_FIRST;
        hold_schedule(h, hold_now() + ASK_FIRST);
}

static int bind_now(Hold *h)
{
        int fd = -1, r;

        h->tried = hold_now();
        if (h->mode == HOLD_LISTEN)
                r = placeholder_listen(h->endpoint, h->port, &fd);
        else
                r = placeholder_bind(h->endpoint, h->port, wants_open(h), &fd);
        if (r != BIND_OK)
                return r;

        h->fd = fd;
        r = hold_register_fd(h, NULL);
        if (r < 0) {
                close(fd);
                h->fd = -1;
        }
        return r;
}

/* With a socket: the state that its door says. */
static void settle(Hold *h)
{
        h->leaving = false;
        h->interval = 0;
        hold_schedule(h, 0);
        if (h->mode == HOLD_LISTEN)
                set_state(h, HOLD_STATE_LISTENING, 0);
        else if (!wants_open(h))
                set_state(h, HOLD_STATE_EXCLUSIVE, 0);
        else {
                if (h->mode == HOLD_BOUND && !h->owner_seen)
                        start_asking(h);
                set_state(h, HOLD_STATE_SHARING, 0);
        }
}

/* Tries to get the port. Not having got it is no news within the grace after the owner's stop. */
static void claim(Hold *h)
{
        HoldSet *s = h->set;
        int r;

        if (h->fd >= 0 || makes_room(h))
                return;
        r = bind_now(h);
        if (r == BIND_IN_USE && s->ops.clear_remains &&
            s->ops.clear_remains(h->reservation, h->endpoint, h->port, s->userdata))
                r = bind_now(h);
        if (r == BIND_OK) {
                settle(h);
                return;
        }

        /* The owner was there before us: that is no collision, and there is nothing to hold until
         * it goes. */
        if (r == BIND_IN_USE && !h->leaving && ask(h) == TRI_YES) {
                h->owner_seen = true;
                h->interval = 0;
                hold_schedule(h, 0);
                set_state(h, HOLD_STATE_IN_USE, 0);
                return;
        }

        retry(h);
        if (h->leaving && hold_now() < h->since)
                return;
        h->leaving = false;
        set_state(h, HOLD_STATE_PENDING,
                  r == BIND_IN_USE ? -EADDRINUSE : (r == BIND_NO_ADDRESS ? -EADDRNOTAVAIL : r));
}

/* The owner has gone: closes the door for good, or takes the port back. */
static void leave(Hold *h)
{
        bool scrubbed = false;
        int r;

        if (h->fd < 0) {
                claim(h);
                return;
        }
        h->tried = hold_now();
        r = placeholder_exclude(h->fd, &scrubbed);
        if (r == 0 && scrubbed && placeholder_probe(h->endpoint, h->port) != 0) {
                settle(h);
                return;
        }

        /* Somebody still listens. The door is closed, but what a SO_REUSEPORT server left open can
         * only be scrubbed later. */
        retry(h);
        if (h->leaving && hold_now() < h->since)
                return;
        if (r == 0 && ask(h) == TRI_YES) {
                h->leaving = false;
                h->owner_seen = true;
                h->interval = 0;
                hold_schedule(h, 0);
                set_state(h, HOLD_STATE_IN_USE, 0);
                return;
        }
        set_state(h, HOLD_STATE_PENDING, r < 0 ? r : -EADDRINUSE);
}

static void begin_leaving(Hold *h)
{
        h->owner_up = h->owner_seen = false;
        h->leaving = true;
        h->since = hold_now() + LEAVE_GRACE;
        h->interval = 0;
        leave(h);
}

/* UDP over IPv6: the datagrams are the owner's, see placeholder.h. Where that fails ours stays where it is. */
static void step_behind(Hold *h, bool sharing)
{
        int fd;

        if (h->fd < 0 || h->endpoint->protocol != IPPROTO_UDP ||
            placeholder_step_behind(h->endpoint, h->port, sharing, &fd) != BIND_OK)
                return;
        hold_unregister_fd(h);
        close(h->fd);
        h->fd = fd;
        (void) hold_register_fd(h, NULL);
}

/* The owner has bound (TCP: listens). */
static void owner_bound(Hold *h)
{
        h->owner_up = h->owner_seen = true;
        h->leaving = h->scrub_due = false;
        h->since = h->interval = 0;
        hold_schedule(h, 0);
        if (h->state == HOLD_STATE_SHARING)
                step_behind(h, h->reuse == REUSE_ALWAYS);
        if (h->fd >= 0 && h->reuse == REUSE_ALWAYS) {
                if (placeholder_share(h->fd) == 0)
                        set_state(h, HOLD_STATE_SHARING, 0);
                return;
        }
        if (h->fd >= 0)
                (void) placeholder_unshare(h->fd);
        set_state(h, HOLD_STATE_IN_USE, 0);
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
        uint64_t now;
        Tristate t = ask(h);

        /* For TCP bound is not enough, see placeholder.h; and a listener is evidence where the
         * question has no answer. */
        if (h->fd >= 0 && h->endpoint->protocol == IPPROTO_TCP && t != TRI_NO)
                t = placeholder_has_listener(h->endpoint, h->port) == 1 ? TRI_YES : TRI_NO;

        now = hold_now();
        if (t == TRI_YES) {
                if (h->since == 0)
                        h->since = now;
                if (now >= h->since + ASK_SETTLE)
                        owner_bound(h);
                else
                        hold_schedule(h, h->since + ASK_SETTLE);
                return;
        }

        h->since = 0;
        if (given_up(h, now)) {
                begin_leaving(h);
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

        switch (ask(h)) {
        case TRI_YES:
                h->since = 0;
                hold_schedule(h, 0);
                return;
        case TRI_NO:
                now = hold_now();
                if (h->since == 0)
                        h->since = now;
                if (now >= h->since + patience)
                        begin_leaving(h);
                else
                        hold_schedule(h, now + GONE_AFTER);
                return;
        case TRI_UNKNOWN:
                /* The kernel tells, where a scrub or a bind succeeds; UDP waits for hand-over's
                 * stop. */
                hold_schedule(h, 0);
                if (h->state != HOLD_STATE_IN_USE || h->endpoint->protocol != IPPROTO_TCP)
                        return;
                if (h->fd >= 0 && placeholder_exclude(h->fd, &scrubbed) == 0 && scrubbed)
                        begin_leaving(h);
                else if (h->fd < 0 && !makes_room(h) && bind_now(h) == BIND_OK)
                        begin_leaving(h);
                return;
        }
}

void hold_due(Hold *h)
{
        bool scrubbed;

        switch (h->state) {
        case HOLD_STATE_NONE:
        case HOLD_STATE_LISTENING:
                hold_schedule(h, 0);
                break;
        case HOLD_STATE_PENDING:
                if (makes_room(h))
                        ask_starting(h);
                else if (h->fd >= 0)
                        leave(h);
                else
                        claim(h);
                break;
        case HOLD_STATE_EXCLUSIVE:
                hold_schedule(h, 0);
                if (h->scrub_due)
                        (void) placeholder_exclude(h->fd, &scrubbed);
                h->scrub_due = false;
                break;
        case HOLD_STATE_SHARING:
        case HOLD_STATE_IN_USE:
                if (h->leaving)
                        leave(h);
                else if (h->owner_seen)
                        ask_gone(h);
                else if (h->owner_up)
                        ask_starting(h);
                else
                        hold_schedule(h, 0);
                break;
        }
}

void hold_open(Hold *h)
{
        claim(h);
}

void hold_take(Hold *h, int fd, char *name, const PlaceholderInfo *info)
{
        bool listens = h->mode == HOLD_LISTEN && info->protocol == IPPROTO_TCP;

        h->fd = fd;
        if (hold_register_fd(h, name) < 0 || listens != info->listening) {
                /* Held, but not in the way that is wanted now. */
                hold_close(h);
                claim(h);
                return;
        }
        if (h->mode == HOLD_SHARED)
                (void) placeholder_share(fd);
        else if (h->mode == HOLD_BOUND) {
                /* The flag is all that is left of what was: open, so its owner is starting, or runs
                 * (ReuseAddress=always). Else the first look tells whether it runs; no question
                 * now, ten thousand would make a restart slow. */
                h->owner_up = info->sharing && h->reuse != REUSE_NO;
                h->started = hold_now();
                if (info->sharing && h->reuse == REUSE_NO)
                        (void) placeholder_unshare(fd);
        }
        settle(h);
        if (h->state == HOLD_STATE_EXCLUSIVE) {
                h->scrub_due = true;
                hold_schedule(h, hold_now() + SCRUB_AFTER);
        }
}

void hold_close(Hold *h)
{
        hold_schedule(h, 0);
        if (h->fd >= 0) {
                hold_unregister_fd(h);
                close(h->fd);
                h->fd = -1;
        }
        set_state(h, HOLD_STATE_NONE, 0);
}

void hold_change(Hold *h, HoldMode mode, ReuseAddress reuse)
{
        bool same_socket = (h->mode == HOLD_LISTEN) == (mode == HOLD_LISTEN);

        if (h->mode == mode && h->reuse == reuse)
                return;
        h->mode = mode;
        h->reuse = reuse;
        if (!same_socket) {
                hold_close(h);
                claim(h);
                return;
        }
        if (h->fd < 0)
                return;
        if (mode == HOLD_SHARED) {
                if (placeholder_share(h->fd) == 0)
                        settle(h);
        } else if (ask(h) == TRI_YES)
                owner_bound(h);
        else if (h->state == HOLD_STATE_SHARING && !h->owner_up)
                begin_leaving(h);
}

bool hold_owner_starts(Hold *h)
{
        bool was_pending = h->state == HOLD_STATE_PENDING && h->error != 0;

        if (h->mode != HOLD_BOUND) {
                claim(h);
                return h->state != HOLD_STATE_PENDING;
        }

        h->owner_up = true;
        h->owner_seen = h->leaving = h->scrub_due = false;
        h->started = hold_now();
        if (h->reuse == REUSE_NO) {
                if (h->fd >= 0) {
                        hold_unregister_fd(h);
                        close(h->fd);
                        h->fd = -1;
                }
                set_state(h, HOLD_STATE_PENDING, 0);
                start_asking(h);
                return !was_pending;
        }
        if (h->fd < 0) {
                claim(h); /* with the door open */
                return h->state != HOLD_STATE_PENDING;
        }
        if (placeholder_share(h->fd) < 0)
                return false;
        settle(h);
        return !was_pending;
}

void hold_owner_stopped(Hold *h)
{
        if (h->mode != HOLD_BOUND || (h->state == HOLD_STATE_EXCLUSIVE && !h->scrub_due))
                return;
        begin_leaving(h);
}

void hold_owner_seen(Hold *h, bool bound)
{
        if (h->mode == HOLD_SHARED) {
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
                        owner_bound(h);
                else if (h->state == HOLD_STATE_SHARING)
                        hold_schedule(h, hold_now()); /* asks, for itself */
        } else if (h->owner_seen && h->due == 0)
                hold_schedule(h, hold_now());
}

void hold_freed(Hold *h)
{
        uint64_t now = hold_now();

        if (h->state == HOLD_STATE_PENDING && !makes_room(h))
                hold_schedule(h, MAX_OF(now, h->tried + RETRY_FIRST));
        else if (h->leaving)
                hold_schedule(h, now);
        else if (h->owner_seen && h->due == 0)
                hold_schedule(h, MAX_OF(now, h->tried + ASK_EVENT));
}
