/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the watch tells: collisions begin once and end once, owners are seen, something cannot be
 * seen. */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "daemon/watch/watch-internal.h"

/* A dump that takes more than one datagram goes on by counting the sockets of a bucket, and skips one
 * where another has gone before it. Buckets of TCP are short; all UDP sockets on a port are in one,
 * and each dump skips in the same places: with others coming and going there, some were missed more
 * than four times in a row. */
#define TCP_MISSES_MAX 4
#define UDP_MISSES_MAX 16

void watch_tell_trouble(Watch *w, Trouble t, int error)
{
        static const char *const names[_TROUBLE_MAX] = {
                [TROUBLE_TCP] = "TCP sockets",
                [TROUBLE_UDP] = "UDP sockets",
                [TROUBLE_EVENTS] = "destroy events",
                [TROUBLE_LOST] = "lost destroy events",
        };
        const char *text = NULL;

        if (w->trouble[t] == error)
                return;
        w->trouble[t] = error;
        if (error == -EPROTONOSUPPORT)
                text = t == TROUBLE_UDP ? "the kernel does not list them: modprobe udp_diag"
                                        : "the kernel does not list them: modprobe tcp_diag";
        else if (error == -ENOBUFS)
                text = "more came than the receive buffer holds; looking again";
        else if (error < 0)
                text = strerror(-error);
        if (w->ops.degraded)
                w->ops.degraded(names[t], text, w->userdata);
}

void watch_end_collision(Watch *w, CollisionEntry *x)
{
        collision_set_remove(w->set, x);
        if (x->announced && w->ops.end)
                w->ops.end(&x->collision, now_usec(CLOCK_MONOTONIC) - x->begin_usec, w->userdata);
        collision_entry_free(x);
}

/* What has come to be known of its process may change what it is: the owner's, the kernel's own. */
static void judge_again(Watch *w, Collision *c)
{
        Pass p = { .identify = w->identify, .ops = &w->ops, .userdata = w->userdata };

        c->holder.kind = pass_judge(&p, c->reservation, c->endpoint, &c->holder.socket);
}

static void begin_collision(Watch *w, CollisionEntry *x)
{
        Holder *h = &x->collision.holder;
        Holder named;

        holder_init(&named);
        /* Without memory for the names it is told without them. */
        if (identify_holder(w->identify, &h->socket, h->kind, &named) >= 0) {
                named.socket = h->socket;
                named.kind = h->kind;
                *h = named;
                judge_again(w, &x->collision);
        }
        if (!kind_is_collision(h->kind)) {
                watch_end_collision(w, x); /* not announced: nobody hears of it */
                return;
        }
        if (h->since_usec == 0)
                h->since_usec = now_usec(CLOCK_REALTIME);
        x->begin_usec = now_usec(CLOCK_MONOTONIC);
        x->announced = true;
        if (w->ops.begin)
                w->ops.begin(&x->collision, w->userdata);
}

int watch_take_answer(Watch *w, const Collision *c, const InspectAnswer *a, bool told)
{
        CollisionEntry *x = (CollisionEntry *) c;
        Kind before = c->holder.kind;
        int r;

        r = identify_take_answer(w->identify, a, &x->collision.holder);
        if (r < 0)
                return r;
        judge_again(w, &x->collision);
        if (kind_is_collision(c->holder.kind)) {
                x->changed = x->changed || (told && c->holder.kind != before);
                return 0;
        }
        x->announced = told;
        watch_end_collision(w, x);
        return 1;
}

/* Would the pass have seen it, if it were still there? A bound or listening TCP socket may be
 * connected by now. */
static bool could_see(const Pass *p, const CollisionEntry *x)
{
        const Socket *s = &x->collision.holder.socket;

        if (s->protocol == IPPROTO_UDP)
                return p->udp_error >= 0;
        if (p->tcp_error < 0)
                return false;
        return p->saw_rest || s->state == SOCKET_LISTEN;
}

static bool has_ended(const Pass *p, CollisionEntry *x)
{
        bool udp = x->collision.endpoint->protocol == IPPROTO_UDP;
        bool all_states = p->saw_rest || udp;

        if (x->gone == p->generation)
                return true;
        if (!could_see(p, x))
                return false;
        /* A listener leaves no TIME_WAIT. */
        if (x->destroyed && (all_states || x->collision.holder.socket.state == SOCKET_LISTEN))
                return true;
        return all_states && ++x->misses >= (udp ? UDP_MISSES_MAX : TCP_MISSES_MAX);
}

bool watch_conclude(Watch *w, const Pass *p)
{
        bool suspects = false;

        for (CollisionEntry *x = collision_set_first(w->set), *next; x; x = next) {
                next = x->next;
                if (x->seen == p->generation) {
                        w->stats.missed += x->misses > 0;
                        x->suspect = x->destroyed = false;
                        x->misses = 0;
                } else if (has_ended(p, x)) {
                        watch_end_collision(w, x);
                        continue;
                } else if (could_see(p, x))
                        x->suspect = true;
                suspects = suspects || x->suspect;
                if (x->changed && x->announced && w->ops.changed)
                        w->ops.changed(&x->collision, w->userdata);
                x->changed = false;
        }
        for (CollisionEntry *x = p->fresh, *next; x; x = next) {
                next = x->next;
                begin_collision(w, x);
        }
        return suspects;
}

/* Could this pass not have seen the owner? */
static bool is_out_of_sight(const Pass *p, const OwnerSeen *o)
{
        if (o->endpoint->protocol == IPPROTO_UDP)
                return p->udp_error < 0;
        return p->tcp_error < 0 || (o->bound_only && !p->saw_rest);
}

/* Who was seen before and is out of sight now is still there, as far as anybody knows. */
static void keep_unseen(const Watch *w, Pass *p)
{
        size_t n = p->n_owners;

        for (size_t i = 0; i < w->n_owners; i++) {
                const OwnerSeen *o = w->owners + i;

                if (!is_out_of_sight(p, o))
                        continue;
                if (!GROW(p->owners, p->n_owners_allocated, n + 1))
                        break;
                p->owners[n++] = *o;
        }
        p->n_owners = owners_seen_sort(p->owners, n);
}

void watch_report_owners(Watch *w, Pass *p)
{
        OwnerSeen *before = w->owners, *now;
        size_t n_before = w->n_owners, n_now, i = 0, k = 0;

        keep_unseen(w, p);
        now = w->owners = TAKE_PTR(p->owners);
        n_now = w->n_owners = p->n_owners;
        while (w->ops.owner && (i < n_before || k < n_now)) {
                int c = i >= n_before ? 1
                        : k >= n_now  ? -1
                                      : owner_seen_compare(before + i, now + k);
                const OwnerSeen *o = c < 0 ? before + i : now + k;

                i += c <= 0;
                k += c >= 0;
                w->ops.owner(o->reservation, o->endpoint, o->port, c >= 0, w->userdata);
        }
        free(before);
}
