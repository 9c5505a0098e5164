/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All judgement about what a collision is. A pure function: (config, observation) -> verdict. The
 * first rule that fits decides: our hold; PID 1's listener for the reservation; at an address that
 * is not reserved; the owner's; a connection that a legitimate listener accepted; remains of a
 * connection; else ephemeral or squatter, by who chose the port. */

#include <stdbool.h>

#include "model/config.h"
#include "model/observation.h"

typedef enum Kind {
        KIND_NONE, /* not reserved, or at an address that does not meet the endpoint's */
        KIND_HOLD,
        KIND_LISTENER, /* PID 1's, for the reservation */
        KIND_OWNER,
        KIND_ACCEPTED,
        KIND_STALE,
        KIND_EPHEMERAL,
        KIND_SQUATTER,
        KIND_UNKNOWN,
        _KIND_MAX,
} Kind;

const char *kind_to_string(Kind k);
int kind_from_string(const char *s);

/* Ephemeral, squatter, stale, unknown: somebody else is on a reserved endpoint. */
bool kind_is_collision(Kind k);

/* The kind of this socket, seen from one endpoint. TRI_UNKNOWN in socket.automatic counts as
 * squatter, unless the socket is connected and never listened, then ephemeral. */
Kind policy_judge(const Reservation *r, const Endpoint *e, const Observation *o);
