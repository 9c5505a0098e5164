/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The .socket units of the host, by their files: which service each starts, and where it listens.
 * Ours are left out; so are templates and those with Accept=yes, which start no service that could
 * own a reservation. */

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

/* The canonical name of the service that a .socket unit starts. -ENOENT: there is none such. */
int unit_socket_service(const char *root, const UnitFile *socket, char **ret);

/* Where it listens on one of the reservation's endpoints: 1, and the line that says so; 0: it does
 * not. */
int unit_socket_meets(const UnitSocket *s, const Reservation *r, UnitValue *ret);
