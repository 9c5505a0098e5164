/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ephemeral ports of this network namespace, now: settings, reservations, sockets. */

#include "ctl/ctl.h"
#include "model/ephemeral-pool.h"

typedef struct EphemeralLook {
        uint16_t first, last; /* net.ipv4.ip_local_port_range */
        char *source;         /* the line of sysctl.d that sets just that, "FILE:LINE", or NULL */
        uint16_t lowest;      /* that it may begin with: net.ipv4.ip_unprivileged_port_start */
        unsigned reuse;       /* net.ipv4.tcp_tw_reuse */
        uint64_t delay_usec;  /* and tcp_tw_reuse_delay */
        PortSet reserved;     /* net.ipv4.ip_local_reserved_ports */
        PortSet declared;     /* by the configuration that counts: applied.h */
        PortSet listening;    /* of any protocol, in the range or not */
        PortSet ours;         /* of reserved, by the daemon's record */
        bool ours_known;      /* the record could be read, or there is none */
        bool sees_bound;      /* TCP sockets that are bound only were counted; since kernel 6.8 */
        EphemeralPool *pool;
} EphemeralLook;

/* Needs no privileges and keeps no sockets. Where the rows leave open who binds before connecting, it
 * tries a port of theirs: connect() from there to a loopback address and port where nobody listens. EXIT_OK,
 * or the exit code of a failure that has been said. */
Exit ephemeral_look(const Ctl *c, EphemeralLook *ret);
void ephemeral_look_done(EphemeralLook *l);

/* How many ports of the range are reserved, and how many of these by us. */
unsigned ephemeral_look_reserved(const EphemeralLook *l);
unsigned ephemeral_look_ours(const EphemeralLook *l);
