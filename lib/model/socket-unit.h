/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The .socket units that PID 1 has loaded, as far as they have ports: what portreserved-act
 * reports, and what the daemon keeps in RUNTIME/socket-units over its restarts. Lines:
 *
 *   unit NAME STATE SERVICE PATH     one for each unit; "-" for a service or a path that it does not have
 *   stream ADDRESS:PORT [v6only]     its endpoints, as systemd.socket(5) writes them
 *   datagram ADDRESS:PORT [v6only]
 *   end                              the last line: nothing was cut off */

#include <stddef.h>

#include "base/cleanup.h"
#include "model/endpoint.h"
#include "model/reservation.h"

#define SOCKET_UNITS_TEXT_MAX      (4u << 20)
#define SOCKET_UNITS_ENDPOINTS_MAX 4096u

typedef enum SocketUnitState {
        SOCKET_UNIT_ACTIVE,   /* "active": PID 1 or the service has its sockets */
        SOCKET_UNIT_FAILED,   /* "failed" for want of a resource, which nearly always is the port */
        SOCKET_UNIT_INACTIVE, /* "inactive": all else */
        _SOCKET_UNIT_STATE_MAX,
} SocketUnitState;

typedef struct SocketUnit {
        char *name;    /* "ssh.socket" */
        char *service; /* what it starts: "ssh.service", "ssh@.service"; or NULL */
        char *path;    /* of its file; or NULL */
        SocketUnitState state;
        Endpoint *endpoints;
        size_t n_endpoints, n_endpoints_allocated;
} SocketUnit;

typedef struct SocketUnits {
        SocketUnit *units; /* by name, each once, each with an endpoint */
        size_t n, n_allocated;
        size_t n_endpoints;
        size_t n_dropped; /* endpoints beyond the cap */
} SocketUnits;

SocketUnits *socket_units_free(SocketUnits *l);
DEFINE_CLEANUP(SocketUnits, socket_units_free);

const char *socket_unit_state_to_string(SocketUnitState s);

/* -EBADMSG: not of that form, or cut off. An endpoint that cannot be had here (of an interface that
 * is gone) is left out. */
int socket_units_parse(const char *text, SocketUnits **ret);

/* NULL: not there. */
const SocketUnit *socket_units_find(const SocketUnits *l, const char *name);

/* What the reservation of "ssh.socket" may be called, best first. */
typedef enum SocketUnitName {
        SOCKET_UNIT_NAME_SHORT,  /* "ssh" */
        SOCKET_UNIT_NAME_FULL,   /* "ssh.socket" */
        SOCKET_UNIT_NAME_NUMBER, /* "ssh-1c9a44e0", made of the whole name */
        _SOCKET_UNIT_NAME_MAX,
} SocketUnitName;

/* What no name may have becomes "_"; one that is too long ends in such a number. */
const char *socket_unit_reservation_name(const char *unit, SocketUnitName how,
                                         char buf[static RESERVATION_NAME_MAX + 1]);

/* Is it one of those that portreserved's generator makes, or portreserved's own? */
bool socket_unit_is_ours(const char *unit);
