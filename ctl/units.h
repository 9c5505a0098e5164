/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The units that the generator writes, compared between two directories: the one PID 1 has loaded
 * from and a fresh one. Only files that are ours by name are looked at: portreserved-*.socket,
 * *.d/50-portreserved.conf, and our names in sockets.target.wants. */

#include <stdbool.h>
#include <stddef.h>

typedef enum UnitChange {
        UNIT_GONE,
        UNIT_NEW,
        UNIT_CHANGED,
} UnitChange;

/* A .socket unit that differs. */
typedef struct SocketUnit {
        char *name;
        char *service; /* its Service=, as in the new one where there is one; NULL: not found */
        UnitChange change;
} SocketUnit;

typedef struct UnitsDiff {
        bool different; /* anything, drop-ins included */
        SocketUnit *sockets;
        size_t n, n_allocated;
} UnitsDiff;

/* A directory that is not there is empty. -errno. */
int units_compare(const char *old_directory, const char *new_directory, UnitsDiff *ret);
void units_diff_done(UnitsDiff *d);
