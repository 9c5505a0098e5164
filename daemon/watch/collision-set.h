/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The collisions there are: found by (endpoint, port, cookie) in O(1), visited by endpoint or
 * all. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/watch/watch.h"

/* At most so many a reservation, so that nobody can make us remember a million sockets. */
#define COLLISIONS_PER_RESERVATION_MAX 1000u
#define COLLISIONS_MAX                 65536u

typedef struct CollisionEntry CollisionEntry;

struct CollisionEntry {
        Collision collision; /* first: watch_next() hands it out */
        uint64_t cookie; /* 0: all remains on that port that were no collision while they lived */
        uint64_t begin_usec; /* CLOCK_MONOTONIC */
        uint64_t seen;       /* the pass that saw it last */
        bool suspect;        /* missed, or its destroy event came: looked for again soon */
        bool destroyed; /* its destroy event came since it was seen: a full pass without it ends it */
        uint64_t
                gone; /* the pass that found that it is none any more: asked for just this one, which
                         * is not there, or saw it in nobody's way */
        uint8_t misses; /* full passes in a row that did not see it */
        bool announced; /* begin was called */
        bool changed;   /* in kind or state, since it was told */

        CollisionEntry *key_next, *endpoint_next;
        CollisionEntry *previous, *next; /* of all, oldest first */
};

typedef struct CollisionSet CollisionSet;

int collision_set_new(CollisionSet **ret);
CollisionSet *collision_set_free(CollisionSet *s);
DEFINE_CLEANUP(CollisionSet, collision_set_free);

CollisionEntry *collision_set_find(const CollisionSet *s, const Endpoint *e, uint16_t port,
                                   uint64_t cookie);

/* Adds an empty one; there must be none of that key. -ENOSPC: the reservation has its share. */
int collision_set_add(CollisionSet *s, const Reservation *r, const Endpoint *e, uint16_t port,
                      uint64_t cookie, CollisionEntry **ret);

/* Takes it out; it is the caller's to free with collision_entry_free(). */
void collision_set_remove(CollisionSet *s, CollisionEntry *x);
CollisionEntry *collision_entry_free(CollisionEntry *x);

/* The same place in a new configuration. */
void collision_set_move(CollisionSet *s, CollisionEntry *x, const Reservation *r,
                        const Endpoint *e);

CollisionEntry *collision_set_first(const CollisionSet *s);
/* The endpoint's first after previous (NULL: the first). */
const CollisionEntry *collision_set_next_of(const CollisionSet *s, const Endpoint *e,
                                            const CollisionEntry *previous);
size_t collision_set_count(const CollisionSet *s);
