/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who has ephemeral ports: all sockets of one cgroup and user, as one program. */

#include <stddef.h>

#include "base/table.h"
#include "model/observation.h"

#define EPHEMERAL_PROGRAMS_MAX 1024u

typedef struct EphemeralProgram {
        Socket sample;       /* one of its sockets; one of those counted next, if it has any */
        unsigned exclusive;  /* TCP ports that it has taken from everybody */
        unsigned udp;        /* UDP ports */
        unsigned sockets;    /* of both protocols */
        unsigned own, share; /* of its destinations that were tried: bound first, connected only */
} EphemeralProgram;

typedef struct EphemeralPrograms {
        EphemeralProgram *programs;
        size_t n, n_allocated;
        Table table; /* hash of a program -> its index + 1 */
} EphemeralPrograms;

/* The program of this socket, new or not; good until the next call. NULL: the socket has none
 * (TIME_WAIT), or there is no room for more. */
EphemeralProgram *ephemeral_programs_get(EphemeralPrograms *p, const Socket *s);

/* The one that has taken most from everybody first. After that nothing is found any more. */
void ephemeral_programs_sort(EphemeralPrograms *p);

void ephemeral_programs_done(EphemeralPrograms *p);
