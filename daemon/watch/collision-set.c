/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/watch/collision-set.h"

#include <errno.h>
#include <stdlib.h>

/* Chains stay short: there are few collisions in a good life, and COLLISIONS_MAX / N_BUCKETS a
 * bucket in the worst. */
#define N_BUCKETS 4096u

struct CollisionSet {
        CollisionEntry *by_key[N_BUCKETS];
        CollisionEntry *by_endpoint[N_BUCKETS];
        CollisionEntry *first, *last;
        size_t n;
        unsigned n_of_reservation[N_BUCKETS];
};

static size_t mix(uint64_t v)
{
        /* Fibonacci hashing: the upper bits of the product. */
        return (size_t) (v * UINT64_C(0x9e3779b97f4a7c15) >> 52) % N_BUCKETS;
}

static size_t endpoint_bucket(const Endpoint *e)
{
        return mix((uintptr_t) e);
}

static size_t key_bucket(const Endpoint *e, uint16_t port, uint64_t cookie)
{
        return mix((uintptr_t) e ^ (cookie << 20) ^ port);
}

int collision_set_new(CollisionSet **ret)
{
        CollisionSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *ret = s;
        return 0;
}

CollisionEntry *collision_entry_free(CollisionEntry *x)
{
        if (x) {
                holder_done(&x->collision.holder);
                free(x);
        }
        return NULL;
}

CollisionSet *collision_set_free(CollisionSet *s)
{
        if (!s)
                return NULL;
        for (CollisionEntry *x = s->first, *next; x; x = next) {
                next = x->next;
                collision_entry_free(x);
        }
        free(s);
        return NULL;
}

CollisionEntry *collision_set_find(const CollisionSet *s, const Endpoint *e, uint16_t port,
                                   uint64_t cookie)
{
        CollisionEntry *x = s->by_key[key_bucket(e, port, cookie)];

        while (x &&
               (x->collision.endpoint != e || x->collision.port != port || x->cookie != cookie))
                x = x->key_next;
        return x;
}

static void link_hashes(CollisionSet *s, CollisionEntry *x)
{
        const Collision *c = &x->collision;
        CollisionEntry **k = &s->by_key[key_bucket(c->endpoint, c->port, x->cookie)];
        CollisionEntry **e = &s->by_endpoint[endpoint_bucket(c->endpoint)];

        x->key_next = *k;
        *k = x;
        x->endpoint_next = *e;
        *e = x;
        s->n_of_reservation[mix((uintptr_t) c->reservation)]++;
}

static void unlink_hashes(CollisionSet *s, CollisionEntry *x)
{
        const Collision *c = &x->collision;
        CollisionEntry **p;

        for (p = &s->by_key[key_bucket(c->endpoint, c->port, x->cookie)]; *p != x;)
                p = &(*p)->key_next;
        *p = x->key_next;
        for (p = &s->by_endpoint[endpoint_bucket(c->endpoint)]; *p != x;)
                p = &(*p)->endpoint_next;
        *p = x->endpoint_next;
        s->n_of_reservation[mix((uintptr_t) c->reservation)]--;
}

/* Reservations of one bucket share a limit: a little strict with the unlucky, but nothing is
 * counted twice. */
static bool has_room(const CollisionSet *s, const Reservation *r)
{
        return s->n < COLLISIONS_MAX &&
               s->n_of_reservation[mix((uintptr_t) r)] < COLLISIONS_PER_RESERVATION_MAX;
}

int collision_set_add(CollisionSet *s, const Reservation *r, const Endpoint *e, uint16_t port,
                      uint64_t cookie, CollisionEntry **ret)
{
        CollisionEntry *x;

        if (!has_room(s, r))
                return -ENOSPC;
        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        holder_init(&x->collision.holder);
        x->collision.reservation = r;
        x->collision.endpoint = e;
        x->collision.port = port;
        x->cookie = cookie;
        link_hashes(s, x);
        x->previous = s->last;
        *(s->last ? &s->last->next : &s->first) = x;
        s->last = x;
        s->n++;
        *ret = x;
        return 0;
}

void collision_set_remove(CollisionSet *s, CollisionEntry *x)
{
        unlink_hashes(s, x);
        *(x->previous ? &x->previous->next : &s->first) = x->next;
        *(x->next ? &x->next->previous : &s->last) = x->previous;
        x->previous = x->next = NULL;
        s->n--;
}

void collision_set_move(CollisionSet *s, CollisionEntry *x, const Reservation *r, const Endpoint *e)
{
        unlink_hashes(s, x);
        x->collision.reservation = r;
        x->collision.endpoint = e;
        link_hashes(s, x);
}

CollisionEntry *collision_set_first(const CollisionSet *s)
{
        return s->first;
}

const CollisionEntry *collision_set_next_of(const CollisionSet *s, const Endpoint *e,
                                            const CollisionEntry *previous)
{
        const CollisionEntry *x =
                previous ? previous->endpoint_next : s->by_endpoint[endpoint_bucket(e)];

        while (x && x->collision.endpoint != e)
                x = x->endpoint_next;
        return x;
}

size_t collision_set_count(const CollisionSet *s)
{
        return s->n;
}
