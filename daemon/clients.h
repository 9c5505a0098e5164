/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes that portreserve-exec opened a reservation to: each is followed by a pidfd, and while
 * one lives its reservation stays open. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct Clients Clients;

typedef struct ClientsOps {
        /* A process that had this reservation open has ended; last: it was the only one. cgroup:
         * its cgroup id as given to clients_add(). */
        void (*gone)(const char *reservation, uint64_t cgroup, bool last, void *userdata);
} ClientsOps;

int clients_new(sd_event *event, const ClientsOps *ops, void *userdata, Clients **ret);
Clients *clients_free(Clients *c);
DEFINE_CLEANUP(Clients, clients_free);

/* Is the reservation open to any process? */
bool clients_has(const Clients *c, const char *reservation);

/* Follows pid, which is alive since it waits for our answer. -EBUSY: 1,024 are followed already;
 * -ESRCH: it has gone. */
int clients_add(Clients *c, const char *reservation, pid_t pid, uint64_t cgroup);
