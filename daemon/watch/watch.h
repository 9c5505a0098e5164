/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The watch layer: who is on our ports.
 *
 * Tier 1, each ScanIntervalSec=: TCP listeners and UDP. Tier 2: every TCP socket, at start, after
 * drift and as ScanBudgetPercent= allows. Bound-inactive sockets are of tier 2: to list them the
 * kernel walks every port in use, and every connection as well. Destroy events end
 * collisions and wake claims. One Collision per socket and reserved endpoint; begin once, end once,
 * the end only after looking again. At most 1,000 collisions are kept a reservation, the rest
 * counted. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "kernel/identify.h"
#include "kernel/sock-diag.h"
#include "model/config.h"
#include "model/holder.h"

typedef struct Watch Watch;

typedef struct Collision {
        const Reservation *reservation;
        const Endpoint *endpoint;
        uint16_t port;
        Holder holder;
} Collision;

typedef struct WatchOps {
        bool (*is_ours)(uint64_t cookie, uint32_t inode, void *userdata);
        void (*begin)(const Collision *c, void *userdata);
        /* duration in microseconds. */
        void (*end)(const Collision *c, uint64_t duration_usec, void *userdata);
        /* The same collision, of another kind or state: what was a connection is stale. May be
         * NULL. */
        void (*changed)(const Collision *c, void *userdata);
        /* A socket on one of our ports was destroyed (any socket, the owner's included). */
        void (*freed)(int protocol, uint16_t port, void *userdata);
        /* After each tier-1 look, for each port that the owner was seen bound on at this look or
         * the one before. */
        void (*owner)(const Reservation *r, const Endpoint *e, uint16_t port, bool bound,
                      void *userdata);
        /* Something could not be seen (ENOBUFS, netlink failing): words for a log, once per kind
         * and change; NULL error: again well. */
        void (*degraded)(const char *what, const char *error, void *userdata);
        /* Do we hold this port ourselves now? What remains of connections beside a hold is the
         * owner's, and harms nobody. May be NULL. */
        bool (*held)(const Endpoint *e, uint16_t port, void *userdata);
} WatchOps;

typedef struct WatchStats {
        uint64_t looks, sweeps;
        uint64_t last_look_usec, last_sweep_usec; /* how long they took */
        uint64_t sweep_interval_usec;             /* as spaced by the budget */
        uint64_t missed;  /* collisions that a dump missed and a later one found again */
        uint64_t dropped; /* sockets of the last sweep that were collisions too many to keep */
        const SockDiagStats *diag;
        bool bound_inactive; /* the kernel lists bound-only TCP sockets */
        bool cgroups;        /* there is cgroup v2 */
} WatchStats;

int watch_new(sd_event *event, const WatchOps *ops, void *userdata, Watch **ret);
Watch *watch_free(Watch *w);
DEFINE_CLEANUP(Watch, watch_free);

/* The configuration to watch from now on; must outlive the next apply. Collisions on endpoints that
 * are there before and after (same reservation name, same place) go on, others end. Sweeps at once,
 * before it returns. Cached owners are the caller's to forget first: identify_reset(). */
int watch_apply(Watch *w, const Config *c);

/* A full sweep now. A look now. Not from within ops. A dump that failed is returned, after
 * ops->degraded told. */
int watch_sweep(Watch *w);
int watch_look(Watch *w);

/* A full sweep from the event loop, within that time (0: at once) but for what the last has cost:
 * after drift. */
void watch_want_sweep(Watch *w, uint64_t within_usec);

/* Has the owner of the reservation bound this port? A dump of that port alone. */
Tristate watch_owner_bound(Watch *w, const Reservation *r, const Endpoint *e, uint16_t port);

/* Does anybody listen on this port at an address that meets the endpoint's? */
Tristate watch_is_listened(Watch *w, const Endpoint *e, uint16_t port);

/* Does PID 1 listen there, for a .socket unit that we generated? */
Tristate watch_pid1_listens(Watch *w, const Reservation *r, const Endpoint *e, uint16_t port);

/* Destroys TIME_WAIT rows (ours and everybody's), and FIN_WAIT2 ones that are no more than that, on
 * that port at addresses that meet the endpoint's. No client loses what it was sent. The number, or
 * -errno. */
int watch_clear_remains(Watch *w, const Endpoint *e, uint16_t port);

/* The socket was destroyed by us (SOCK_DESTROY), and its port is free of it: the kernel does not tell
 * before its process closes it. As a destroy event of it; calls ops->freed. */
void watch_destroyed(Watch *w, const Socket *s);

/* Puts what portreserved-inspect told into the collision's holder. 1: by that it is none, and has
 * ended, with ops->end where it was told; 0. Not from within ops. */
int watch_take_answer(Watch *w, const Collision *c, const InspectAnswer *a, bool told);

/* The collisions of an endpoint's port (first..last for a run); NULL-terminated iteration: start
 * with previous NULL. */
const Collision *watch_next(const Watch *w, const Endpoint *e, const Collision *previous);
size_t watch_count(const Watch *w);

Identify *watch_identify(Watch *w);
const WatchStats *watch_stats(Watch *w);
