/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which sockets may be destroyed to free a port. A pure function, on top of policy.h's verdict.
 *
 * SOCK_DESTROY (sock_diag(7)) frees a port that the kernel chose, and remains, at once. A socket that
 * was bound explicitly only loses its connection, and keeps the port until its process closes it; one
 * that is bound and neither listens nor is connected is not found. (tests/kernel/kernel-evict.c) */

#include <stdbool.h>

#include "model/holder.h"
#include "model/policy.h"

/* How far it may go: Evict=, by the same names; or by hand, on a port that nobody declared: there,
 * whoever bound it explicitly, listens or waits for datagrams may be meant to have it. */
typedef enum EvictionScope {
        EVICTION_NONE,
        EVICTION_EPHEMERAL,
        EVICTION_ANY,
        EVICTION_UNDECLARED,
} EvictionScope;

EvictionScope eviction_scope_of(Evict e);

typedef enum EvictionVerdict {
        EVICTION_DESTROY, /* and the port is free of it */
        EVICTION_ABORT,   /* its connection; it keeps the port until its process closes it */

        /* Not to be destroyed: why. */
        EVICTION_OUT_OF_SCOPE, /* Evict= does not go so far */
        EVICTION_LISTENS,      /* somebody serves there: to be stopped, not cut */
        EVICTION_BOUND,        /* destroying it would free nothing */
        EVICTION_SERVED,       /* came in by a foreign listener, which is what has to go */
        EVICTION_UNKNOWN,      /* may be the owner's: that cannot be told */

        EVICTION_PASS, /* is meant to be there, or in nobody's way */
} EvictionVerdict;

/* kind: as policy_judge() has it. served: somebody who is not meant to listens where the connection
 * may have come in. o.socket.automatic must be known. */
EvictionVerdict eviction_judge(EvictionScope scope, Kind kind, const Observation *o, bool served);

/* Would `portreservectl evict`, typed by root, free a declared port of that one? As far as is known of
 * it: false where it may be the owner's. */
bool eviction_frees(const Holder *h);

/* Is the socket not to be destroyed? */
bool eviction_is_left(EvictionVerdict v);

/* Why the port is not free of that one, in words that follow its name; NULL where it is. */
const char *eviction_reason(EvictionVerdict v);
