/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which endpoints have a port: by (protocol, port), constant time to the first. Built while the
 * configuration is judged, so that overlaps are found by looking instead of by comparing all with
 * all. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/portset.h"

typedef struct PortEntry {
        uint32_t reservation; /* index into Config.reservations */
        uint32_t endpoint;    /* index into its endpoints */
        uint32_t next;        /* 1 + index of the next entry of this port, 0: none */
        uint16_t port;
        uint8_t protocol; /* 0 TCP, 1 UDP */
} PortEntry;

typedef struct PortIndex {
        uint32_t heads[2][PORTSET_PORTS]; /* 1 + index of the first entry */
        PortSet used[2];                  /* ports that have any */
        PortEntry *entries;
        size_t n_entries, n_allocated;
} PortIndex;

int port_index_new(PortIndex **ret);
PortIndex *port_index_free(PortIndex *x);

/* IPPROTO_… to 0 or 1. */
unsigned port_index_protocol(int protocol);

/* In front of what the port has already. -ENOMEM. */
int port_index_add(PortIndex *x, int protocol, uint16_t port, uint32_t reservation,
                   uint32_t endpoint);

/* Takes the newest entries out until n are left. */
void port_index_truncate(PortIndex *x, size_t n);

/* From newest first to oldest first within each port. */
void port_index_reverse(PortIndex *x);
