/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The .socket units of the host, by their files: which service each starts, and where it listens.
 * Ours are left out; so are templates and those with Accept=yes, which start no service that could
 * own a reservation. */

#include <stdbool.h>
#include <stddef.h>

#include "kernel/unit-file.h"
#include "model/reservation.h"

typedef struct UnitSocket {
        UnitFile *file;
        char *service; /* canonical */
} UnitSocket;

typedef struct UnitSockets {
        UnitSocket *items; /* by name */
        size_t n, n_allocated;
} UnitSockets;

/* Reads all of them, which takes milliseconds: once for many questions. */
int unit_sockets_load(const char *root, UnitSockets *ret);
void unit_sockets_done(UnitSockets *s);

/* Is unit a .socket unit that starts this service (canonical name)? One file is read. */
bool unit_socket_starts(const char *root, const char *unit, const char *service);

/* Where it listens on one of the reservation's endpoints: 1, and the line that says so; 0: it does
 * not. */
int unit_socket_meets(const UnitSocket *s, const Reservation *r, UnitValue *ret);
