/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which unit has which reservations. */

#include "kernel/unit-sockets.h"
#include "model/config.h"

/* A reservation with Hold=bound or Hold=listen, and the canonical name of a unit that binds it. */
typedef struct Owned {
        char *unit;
        const Reservation *reservation;
} Owned;

typedef struct OwnedList {
        Owned *items; /* by unit, then by the reservation's name */
        size_t n, n_allocated;
} OwnedList;

/* Into an empty one. root: where unit files are, "" for the host. -ENOMEM, errors of reading. */
int owned_list_fill(OwnedList *l, const Config *c, const char *root, const UnitSockets *sockets);
void owned_list_done(OwnedList *l);
