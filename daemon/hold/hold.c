/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/hold/hold.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/hold/hold-internal.h"

#define RETRY_MAX (5 * USEC_PER_SEC)
/* A socket of the owner's may outlive hand-over's stop for a moment: no alert within this. */
#define LEAVE_GRACE (1 * USEC_PER_SEC)
/* An adopted socket is scrubbed once the first looks have told which owners run. */
#define SCRUB_AFTER (3 * USEC_PER_SEC)
/* So many fds are left to the rest of the daemon. */
#define FD_HEADROOM 32
/* A .socket unit that has to go is stopped by a reload's daemon-reload. */
#define PID1_GRACE (60 * USEC_PER_SEC)
#define GUARD_LOOK (200 * USEC_PER_MSEC)

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

void hold_enter(Hold *h, HoldState to, int error)
{
        HoldSet *s = h->set;
        HoldEvent e = { .reservation = h->reservation, .endpoint = h->endpoint, .port = h->port };

        e.error_before = h->error;
        e.error = h->error = error;
        /* Room that was made for the owner, and somebody else has it now: that is news. */
        if (h->state == to && !(to == HOLD_STATE_PENDING && error && !e.error_before))
                return;
        e.from = h->state;
        e.to = to;
        s->n_pending += (to == HOLD_STATE_PENDING);
        s->n_pending -= (h->state == HOLD_STATE_PENDING);
        h->state = to;
        if (s->ops.changed)
                s->ops.changed(&e, s->userdata);
}

/* ReuseAddress=no: between the owner's start and its stop the port is left to it. */
bool hold_makes_room(const Hold *h)
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
        h->interval = h->interval ? MIN_OF(2 * h->interval, RETRY_MAX) : HOLD_RETRY_FIRST;
        hold_schedule(h, now_usec(CLOCK_MONOTONIC) + h->interval);
}

/* Placeholders must not take the last fds: state is written and control answered with some. The
 * lowest free number is given, so the number tells how many there are. */
static bool leaves_room(int fd)
{
        struct rlimit limit;

        return getrlimit(RLIMIT_NOFILE, &limit) < 0 || (rlim_t) fd + FD_HEADROOM < limit.rlim_cur;
}

int hold_try_bind(Hold *h)
{
        int fd = -1, r;

        h->tried = now_usec(CLOCK_MONOTONIC);
        if (h->mode == HOLD_LISTEN)
                r = placeholder_listen(h->endpoint, h->port, &fd);
        else
                r = placeholder_bind(h->endpoint, h->port, wants_open(h), &fd);
        if (r != BIND_OK)
                return r;
        if (!leaves_room(fd)) {
                close(fd);
                return -EMFILE;
        }

        h->fd = fd;
        r = hold_register_fd(h, NULL);
        if (r < 0) {
                hold_unregister_fd(h);
                close(fd);
                h->fd = -1;
        }
        return r;
}

/* With a socket: the state that its door says. */
void hold_settle(Hold *h)
{
        h->leaving = false;
        h->interval = 0;
        h->pid1_until = 0;
        hold_schedule(h, 0);
        if (h->guard)
                hold_schedule(h, now_usec(CLOCK_MONOTONIC) + GUARD_LOOK);
        if (h->mode == HOLD_LISTEN)
                hold_enter(h, HOLD_STATE_LISTENING, 0);
        else if (!wants_open(h))
                hold_enter(h, HOLD_STATE_EXCLUSIVE, 0);
        else {
                if (h->mode == HOLD_BOUND && !h->owner_seen)
                        hold_start_asking(h);
                hold_enter(h, HOLD_STATE_SHARING, 0);
        }
}

/* When it has closed, that is not at once in every table. */
static bool waits_for_pid1(Hold *h)
{
        HoldSet *s = h->set;
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (s->ops.pid1_listens &&
            s->ops.pid1_listens(h->reservation, h->endpoint, h->port, s->userdata) == TRI_YES) {
                if (h->pid1_until == 0)
                        h->pid1_until = now + PID1_GRACE;
        } else if (h->pid1_until != 0)
                h->pid1_until = MIN_OF(h->pid1_until, now + LEAVE_GRACE);
        return now < h->pid1_until;
}

/* Tries to get the port. Not having got it is no news within the grace after the owner's stop. */
void hold_claim(Hold *h)
{
        HoldSet *s = h->set;
        int r;

        if (h->fd >= 0 || hold_makes_room(h))
                return;
        r = hold_try_bind(h);
        if (r == BIND_IN_USE && s->ops.clear_remains &&
            s->ops.clear_remains(h->reservation, h->endpoint, h->port, s->userdata))
                r = hold_try_bind(h);
        if (r == BIND_OK) {
                hold_settle(h);
                return;
        }

        /* The owner was there before us: that is no collision, and for TCP there is nothing to hold
         * until it goes. */
        if (r == BIND_IN_USE && !h->leaving && hold_ask(h) == TRI_YES) {
                hold_owner_bound(h);
                return;
        }

        retry(h);
        if (h->leaving && now_usec(CLOCK_MONOTONIC) < h->since)
                return;
        if (r == BIND_IN_USE && h->state == HOLD_STATE_NONE && waits_for_pid1(h))
                return;
        h->leaving = false;
        h->pid1_until = 0;
        hold_enter(h, HOLD_STATE_PENDING,
                   r == BIND_IN_USE ? -EADDRINUSE : (r == BIND_NO_ADDRESS ? -EADDRNOTAVAIL : r));
}

/* The door must not open again for the remains of the owner's connections: somebody would be waiting
 * for that. */
int hold_exclude(Hold *h, bool *ret_scrubbed)
{
        HoldSet *s = h->set;
        Tristate listened = TRI_UNKNOWN;
        int r;

        r = placeholder_exclude(h->fd, ret_scrubbed);
        if (r < 0 || *ret_scrubbed)
                return r;
        if (s->ops.listened)
                listened = s->ops.listened(h->endpoint, h->port, s->userdata);
        if (listened == TRI_YES)
                return 0;
        if (listened == TRI_NO) {
                r = placeholder_scrub_beside(h->endpoint, h->port);
                *ret_scrubbed = r == 0;
                if (r != -EPERM)
                        return r;
        }
        return placeholder_scrub_open(h->fd, ret_scrubbed);
}

/* The owner has gone: closes the door for good, or takes the port back. */
void hold_leave(Hold *h)
{
        bool scrubbed = false;
        int r;

        if (h->fd < 0) {
                hold_claim(h);
                return;
        }
        h->tried = now_usec(CLOCK_MONOTONIC);
        r = hold_exclude(h, &scrubbed);
        if (r == 0 && scrubbed && placeholder_probe(h->endpoint, h->port) != 0) {
                hold_settle(h);
                return;
        }

        /* Somebody still listens. The door is closed, but what a SO_REUSEPORT server left open can
         * only be scrubbed later. */
        retry(h);
        if (h->leaving && now_usec(CLOCK_MONOTONIC) < h->since)
                return;
        /* Where nobody can be named (no cgroups), it is who was there before: the door was closed. */
        if (r == 0 && hold_ask(h) != TRI_NO) {
                h->leaving = false;
                h->owner_seen = true;
                h->interval = 0;
                hold_schedule(h, 0);
                hold_enter(h, HOLD_STATE_IN_USE, 0);
                return;
        }
        hold_enter(h, HOLD_STATE_PENDING, r < 0 ? r : -EADDRINUSE);
}

void hold_begin_leaving(Hold *h)
{
        h->owner_up = h->owner_seen = false;
        h->leaving = true;
        h->since = now_usec(CLOCK_MONOTONIC) + LEAVE_GRACE;
        h->interval = 0;
        hold_leave(h);
}

void hold_open(Hold *h)
{
        HoldSet *s = h->set;

        /* Such an owner binds while it runs, not only at its start. */
        if (h->mode == HOLD_BOUND && h->reuse == REUSE_ALWAYS && s->ops.owner_alive &&
            s->ops.owner_alive(h->reservation, s->userdata) == TRI_YES) {
                h->owner_up = true;
                h->started = now_usec(CLOCK_MONOTONIC);
        }
        hold_claim(h);
}

void hold_take(Hold *h, int fd, char *name, const PlaceholderInfo *info)
{
        bool listens = h->mode == HOLD_LISTEN && info->protocol == IPPROTO_TCP;

        h->fd = fd;
        if (hold_register_fd(h, name) < 0 || listens != info->listening) {
                /* Held, but not in the way that is wanted now. */
                hold_close(h);
                hold_claim(h);
                return;
        }
        if (h->mode == HOLD_SHARED)
                (void) placeholder_share(fd);
        else if (h->mode == HOLD_BOUND) {
                /* The flag is all that is left of what was: open, so its owner is starting, or runs
                 * (ReuseAddress=always). Else the first look tells whether it runs; no question
                 * now, ten thousand would make a restart slow. */
                h->owner_up = info->sharing && h->reuse != REUSE_NO;
                h->started = now_usec(CLOCK_MONOTONIC);
                if (info->sharing && h->reuse == REUSE_NO)
                        (void) placeholder_unshare(fd);
        }
        hold_settle(h);
        if (h->state == HOLD_STATE_EXCLUSIVE) {
                h->scrub_due = true;
                hold_schedule(h, now_usec(CLOCK_MONOTONIC) + SCRUB_AFTER);
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
        hold_enter(h, HOLD_STATE_NONE, 0);
}

/* Between a placeholder and our own listener: the same socket, without an instant's gap. Not from
 * under a command that was given the listener; nor where the owner listens beside ours. */
static bool turn(Hold *h, HoldMode mode)
{
        HoldSet *s = h->set;

        if (h->fd < 0)
                return false;
        if (mode == HOLD_LISTEN)
                return placeholder_begin_listening(h->fd) == 0;
        if (s->ops.owner_alive && s->ops.owner_alive(h->reservation, s->userdata) == TRI_YES)
                return false;
        return placeholder_end_listening(h->fd, mode == HOLD_SHARED) == 0;
}

/* With another mode or ReuseAddress= now, and a placeholder before and after. */
static void change_door(Hold *h)
{
        bool starting = h->owner_up && !h->owner_seen;

        if (h->mode == HOLD_SHARED) {
                if (placeholder_share(h->fd) == 0)
                        hold_settle(h);
        } else if (starting && h->reuse == REUSE_NO)
                (void) hold_owner_starts(h); /* it could not bind beside ours */
        else if (hold_ask(h) == TRI_YES &&
                 (h->state != HOLD_STATE_SHARING || h->endpoint->protocol == IPPROTO_UDP ||
                  placeholder_has_listener(h->endpoint, h->port) == 1))
                hold_owner_bound(h);
        else if (h->state == HOLD_STATE_SHARING && !h->owner_up)
                hold_begin_leaving(h);
        else if (h->state == HOLD_STATE_SHARING && h->due == 0)
                hold_start_asking(h);
}

void hold_change(Hold *h, HoldMode mode, ReuseAddress reuse)
{
        bool same_socket = (h->mode == HOLD_LISTEN) == (mode == HOLD_LISTEN);

        if (h->mode == mode && h->reuse == reuse)
                return;
        if (!same_socket) {
                bool turned = turn(h, mode);

                h->mode = mode;
                h->reuse = reuse;
                if (turned)
                        hold_settle(h);
                else {
                        hold_close(h);
                        hold_claim(h);
                }
                return;
        }
        h->mode = mode;
        h->reuse = reuse;
        if (h->fd >= 0)
                change_door(h);
        else if (h->state == HOLD_STATE_PENDING && h->error == 0 && !hold_makes_room(h))
                hold_claim(h); /* with the door open, as long as the owner starts */
}
