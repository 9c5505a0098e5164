/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whom the ephemeral ports are used towards: one entry for all connections that are told apart by
 * their port alone. */

#include <stddef.h>

#include "base/table.h"
#include "model/observation.h"

/* Rows come in no order, so the busiest are among the first. */
#define EPHEMERAL_PEERS_MAX 8192u

/* All sockets from one address to one address and port; for UDP, of one cgroup. */
typedef struct EphemeralPeer {
        Socket sample; /* one of them, that a process has, if any does */
        unsigned sockets;
        unsigned timewait, reusable; /* of them: in TIME_WAIT; as long as tcp_tw_reuse asks */
        unsigned first, second;      /* of them: in the half where connect() begins, the other */
        uint16_t port;               /* of one of them, in the second half if any is */
        Tristate binds_first;        /* were they bound, to port 0, before they were connected? */
        unsigned left;               /* how many more it can have */
} EphemeralPeer;

typedef struct EphemeralPeers {
        EphemeralPeer *peers;
        size_t n, n_allocated;
        Table table; /* hash of a peer -> its index + 1 */
} EphemeralPeers;

/* The peer that this socket belongs to; NULL: it has been given none. Good until the next one is
 * added. */
EphemeralPeer *ephemeral_peers_find(const EphemeralPeers *p, const Socket *s);

/* The same; a new one is added. *ret is NULL where there is no room. -ENOMEM. */
int ephemeral_peers_get(EphemeralPeers *p, const Socket *s, EphemeralPeer **ret);

/* The busiest first. After that nothing is found any more. */
void ephemeral_peers_sort(EphemeralPeers *p);

void ephemeral_peers_done(EphemeralPeers *p);
