/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes that portreserve-exec opened a reservation to: each is followed by a pidfd, and while
 * one lives its reservation stays open. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct Client Client;
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

/* Follows the process of a pidfd, which is duplicated. *ret is for clients_drop(), and valid until the
 * process has ended. -EBUSY: as many are followed already as may be: 1,024 in all, 512 of users other
 * than root together, 128 of one of them. */
int clients_add(Clients *c, const char *reservation, uid_t uid, int pidfd, uint64_t cgroup,
                Client **ret);

/* Follows it no longer, as if the process had ended: ops->gone() is called. */
void clients_drop(Clients *c, Client *client);
