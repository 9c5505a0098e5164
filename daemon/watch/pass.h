/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One pass over the kernel's tables: each row on one of our ports is judged, collisions are found
 * again or added to the set. Nothing is told to anybody here, so that nobody asks for a dump while
 * one is read. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/watch/collision-set.h"
#include "daemon/watch/watch.h"

/* The owner was seen bound there. */
typedef struct OwnerSeen {
        const Reservation *reservation;
        const Endpoint *endpoint;
        uint16_t port;
        bool bound_only; /* TCP, not listening */
} OwnerSeen;

int owner_seen_compare(const void *a, const void *b);
/* Sorts, each once; the number left. */
size_t owners_seen_sort(OwnerSeen *o, size_t n);

typedef struct PassListener PassListener;

typedef struct Pass {
        /* In. */
        const Config *config;
        SockDiag *diag;
        Identify *identify;
        CollisionSet *set;
        const WatchOps *ops;
        void *userdata;
        uint64_t generation; /* not used before */

        /* Out. */
        CollisionEntry *fresh; /* the first that is new; the rest follow in the set */
        OwnerSeen *owners;     /* sorted, each once */
        size_t n_owners, n_owners_allocated;
        size_t n_dropped;
        bool saw_rest; /* all states of TCP */
        int tcp_error, udp_error;

        PassListener *listeners;
        size_t n_listeners, n_listeners_allocated;
} Pass;

/* The filters of a pass; NULL leaves that dump out. Owned by the caller. */
typedef struct PassFilters {
        const DiagFilter *tcp; /* listeners */
        const DiagFilter *udp;
        const DiagFilter *tcp_rest; /* connections and bound sockets */
        bool suspects; /* connections that are collisions, and suspect: one by one, without a walk */
} PassFilters;

/* -ENOMEM; a dump that failed leaves its error in the pass, and the rest is done. */
int pass_run(Pass *p, const PassFilters *f);
void pass_done(Pass *p);

/* Can it be asked for by itself? */
bool pass_can_ask(const CollisionEntry *x);

/* The kind of one socket as seen from one endpoint, by all that is known now. */
Kind pass_judge(Pass *p, const Reservation *r, const Endpoint *e, const Socket *s);
