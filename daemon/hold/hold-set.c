/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "daemon/hold/hold-internal.h"

#define TIMER_ACCURACY (2 * USEC_PER_MSEC)

uint64_t hold_port_key(int protocol, uint16_t port)
{
        return (uint64_t) protocol << 16 | port;
}

/* Sockets of ours, by cookie and inode */

int hold_register_fd(Hold *h, char *name)
{
        HoldSet *s = h->set;
        int r;

        h->name = name;
        r = placeholder_identity(h->fd, &h->cookie, &h->inode);
        if (r < 0)
                return r;
        if ((h->cookie != 0 && !table_set(&s->by_cookie, h->cookie, h)) ||
            !table_set(&s->by_inode, h->inode, h))
                return -ENOMEM;
        if (h->name || !s->ops.store)
                return 0;

        h->name = hold_name_new(s);
        if (!h->name)
                return -ENOMEM;
        s->ops.store(h->fd, h->name, s->userdata);
        return 0;
}

void hold_unregister_fd(Hold *h)
{
        HoldSet *s = h->set;

        table_remove(&s->by_cookie, h->cookie);
        table_remove(&s->by_inode, h->inode);
        h->cookie = h->inode = 0;
        if (!h->name)
                return;
        if (s->ops.unstore)
                s->ops.unstore(h->name, s->userdata);
        hold_name_release(s, h->name);
        free(h->name);
        h->name = NULL;
}

bool hold_set_is_ours(const HoldSet *s, uint64_t cookie, uint32_t inode)
{
        if (cookie != 0 && s->by_cookie.n > 0)
                return table_get(&s->by_cookie, cookie);
        return table_get(&s->by_inode, inode);
}

/* Making and changing the set */

static Hold *hold_free(Hold *h)
{
        if (!h)
                return NULL;
        if (h->fd >= 0)
                close(h->fd);
        free(h->name);
        free(h);
        return NULL;
}

int hold_set_new(sd_event *event, bool listen_here, const HoldOps *ops, void *userdata,
                 HoldSet **ret)
{
        _cleanup_(hold_set_freep) HoldSet *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->listen_here = listen_here;
        s->ops = *ops;
        s->userdata = userdata;
        r = sd_event_add_time(event, &s->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, hold_on_timer,
                              s);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(s->timer, "holds");

        *ret = TAKE_PTR(s);
        return 0;
}

HoldSet *hold_set_free(HoldSet *s)
{
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->timer);
        for (size_t i = 0; i < s->n_holds; i++)
                hold_free(s->holds[i]);
        free(s->holds);
        hold_set_forget_adopted(s);
        table_deinit(&s->by_port);
        table_deinit(&s->by_cookie);
        table_deinit(&s->by_inode);
        free(s);
        return NULL;
}

Hold *hold_set_find(const HoldSet *s, const Endpoint *e, uint16_t port)
{
        Hold *h = table_get(&s->by_port, hold_port_key(e->protocol, port));

        while (h && !endpoint_same_place(h->endpoint, e))
                h = h->next_at_port;
        return h;
}

/* PID 1 listens there, or is to. */
static bool is_pid1s(const HoldSet *s, const Reservation *r, const Endpoint *e)
{
        return reservation_endpoint_hold(r, e) == HOLD_LISTEN && !s->listen_here;
}

/* What is PID 1's is only guarded, by a socket that we have from before. */
static HoldMode mode_of(const HoldSet *s, const Reservation *r, const Endpoint *e, uint16_t port)
{
        HoldMode m = reservation_endpoint_hold(r, e);
        const Hold *h;

        if (m == HOLD_BOUND && s->ops.announced && !s->ops.announced(r, s->userdata))
                return r->reuse == REUSE_NO ? HOLD_NONE : HOLD_SHARED;
        if (!is_pid1s(s, r, e))
                return m;
        h = hold_set_find(s, e, port);
        return (h && h->fd >= 0) || hold_set_has_adopted(s, e, port) ? HOLD_SHARED : HOLD_NONE;
}

static int add(HoldSet *s, const Reservation *r, const Endpoint *e, uint16_t port)
{
        uint64_t key = hold_port_key(e->protocol, port);
        Hold *h;

        if (!GROW(s->holds, s->n_holds_allocated, s->n_holds + 1) ||
            !table_reserve(&s->by_port, s->by_port.n + 1))
                return -ENOMEM;
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->set = s;
        h->fd = -1;
        h->reservation = r;
        h->endpoint = e;
        h->port = port;
        h->mode = mode_of(s, r, e, port);
        h->guard = is_pid1s(s, r, e);
        h->reuse = r->reuse;
        h->next_at_port = table_get(&s->by_port, key);
        (void) table_set(&s->by_port, key, h);
        s->holds[s->n_holds++] = h;
        return 0;
}

static void drop(HoldSet *s, size_t i)
{
        Hold *h = s->holds[i], *first;
        uint64_t key = hold_port_key(h->endpoint->protocol, h->port);

        hold_close(h);
        first = table_get(&s->by_port, key);
        if (first != h) {
                while (first->next_at_port != h)
                        first = first->next_at_port;
                first->next_at_port = h->next_at_port;
        } else if (h->next_at_port)
                (void) table_set(&s->by_port, key, h->next_at_port);
        else
                table_remove(&s->by_port, key);
        hold_free(h);
        s->holds[i] = s->holds[--s->n_holds];
}

void hold_remove(Hold *h)
{
        HoldSet *s = h->set;

        for (size_t i = 0; i < s->n_holds; i++)
                if (s->holds[i] == h) {
                        drop(s, i);
                        return;
                }
}

/* Makes a hold, NONE as yet, for each endpoint's port that has none. */
static int add_missing(HoldSet *s, const Config *c)
{
        int k;

        CONFIG_FOREACH_RESERVATION(c, r)
                for (size_t i = 0; i < r->n_endpoints; i++) {
                        const Endpoint *e = &r->endpoints[i];

                        if (reservation_endpoint_hold(r, e) == HOLD_NONE)
                                continue;
                        for (unsigned port = e->port; port <= e->last; port++) {
                                if (hold_set_find(s, e, (uint16_t) port) ||
                                    mode_of(s, r, e, (uint16_t) port) == HOLD_NONE)
                                        continue;
                                k = add(s, r, e, (uint16_t) port);
                                if (k < 0)
                                        return k;
                        }
                }
        return 0;
}

/* NULL: none. */
static bool same_unit(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whoever was known to have bound may be nobody's owner now: that is asked anew. */
static void change_reservation(Hold *h, const Reservation *r)
{
        const Reservation *old = h->reservation;

        h->reservation = r;
        if (h->owner_seen && h->due == 0 && (!same_unit(old->unit, r->unit) || old->uid != r->uid))
                hold_schedule(h, now_usec(CLOCK_MONOTONIC));
}

/* Every hold of the configuration gets its pointers and this apply's mark. */
static void mark_wanted(HoldSet *s, const Config *c)
{
        CONFIG_FOREACH_RESERVATION(c, r)
                for (size_t i = 0; i < r->n_endpoints; i++) {
                        const Endpoint *e = &r->endpoints[i];

                        if (reservation_endpoint_hold(r, e) == HOLD_NONE)
                                continue;
                        for (unsigned port = e->port; port <= e->last; port++) {
                                Hold *h = hold_set_find(s, e, (uint16_t) port);

                                if (mode_of(s, r, e, (uint16_t) port) == HOLD_NONE)
                                        continue;
                                change_reservation(h, r);
                                h->endpoint = e;
                                h->generation = s->generation;
                        }
                }
}

int hold_set_apply(HoldSet *s, const Config *c)
{
        size_t before = s->n_holds;
        int r;

        r = add_missing(s, c);
        if (r < 0) {
                while (s->n_holds > before)
                        drop(s, s->n_holds - 1);
                return r;
        }

        /* What goes, goes first: it may be in the way of what comes (127.0.0.1:80, then *:80). From
         * the end, since the last one takes the place of the one dropped. */
        s->generation++;
        mark_wanted(s, c);
        for (size_t i = s->n_holds; i-- > 0;)
                if (s->holds[i]->generation != s->generation)
                        drop(s, i);
        r = hold_set_settle_adopted(s);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_holds; i++) {
                Hold *h = s->holds[i];

                if (h->state == HOLD_STATE_NONE)
                        hold_open(h);
                else {
                        h->guard = is_pid1s(s, h->reservation, h->endpoint);
                        hold_change(h, mode_of(s, h->reservation, h->endpoint, h->port),
                                    h->reservation->reuse);
                        if (h->guard)
                                hold_schedule(h, now_usec(CLOCK_MONOTONIC));
                }
        }
        return 0;
}

/* What the daemon passes on */

int hold_set_owner_starts(HoldSet *s, const Reservation *r)
{
        int n = 0;

        for (size_t i = 0; i < r->n_endpoints; i++)
                for (unsigned port = r->endpoints[i].port; port <= r->endpoints[i].last; port++) {
                        Hold *h = hold_set_find(s, &r->endpoints[i], (uint16_t) port);
                        bool taken;

                        if (!h)
                                continue;
                        /* Where we have no socket for want of fds or the like, the owner has room. */
                        taken = h->error == -EADDRINUSE;
                        if (!hold_owner_starts(h) && (taken || h->error == -EADDRINUSE))
                                n++;
                }
        return n;
}

int hold_set_owner_stopped(HoldSet *s, const Reservation *r)
{
        for (size_t i = 0; i < r->n_endpoints; i++)
                for (unsigned port = r->endpoints[i].port; port <= r->endpoints[i].last; port++) {
                        Hold *h = hold_set_find(s, &r->endpoints[i], (uint16_t) port);

                        if (h)
                                hold_owner_stopped(h);
                }
        return 0;
}

void hold_set_port_freed(HoldSet *s, int protocol, uint16_t port)
{
        for (Hold *h = table_get(&s->by_port, hold_port_key(protocol, port)); h;
             h = h->next_at_port)
                hold_freed(h);
}

void hold_set_owner_seen(HoldSet *s, const Reservation *r, const Endpoint *e, uint16_t port,
                         bool bound)
{
        Hold *h = hold_set_find(s, e, port);

        if (h)
                hold_owner_seen(h, bound);
}

size_t hold_set_count(const HoldSet *s)
{
        return s->n_holds;
}

size_t hold_set_pending(const HoldSet *s)
{
        return s->n_pending;
}
