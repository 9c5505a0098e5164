/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The units that the generator writes, compared between two directories: the one PID 1 has loaded
 * from and a fresh one. Only files that are ours by name are looked at: portreserved-*.socket,
 * *.d/50-portreserved.conf, and our names in sockets.target.wants. Comments do not count. */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

typedef enum UnitChange {
        UNIT_GONE,
        UNIT_NEW,
        UNIT_CHANGED, /* in a way that takes new sockets; the rest PID 1 only has to load */
        UNIT_RENAMED, /* from what is a link to it now, and not changed besides */
} UnitChange;

/* A .socket unit that differs. */
typedef struct ChangedSocket {
        char *name;
        char *service; /* its Service=, as in the new one where there is one; NULL: not found */
        UnitChange change;
} ChangedSocket;

typedef struct UnitsDiff {
        bool different; /* anything, drop-ins included */
        ChangedSocket *sockets;
        size_t n, n_allocated;
} UnitsDiff;

typedef struct Units Units;

/* What a directory has; one that is not there is empty. -errno. */
int units_read(const char *directory, Units **ret);
Units *units_free(Units *u);
DEFINE_CLEANUP(Units, units_free);

/* -ENOMEM. */
int units_compare(const Units *old, const Units *new, UnitsDiff *ret);
void units_diff_done(UnitsDiff *d);
