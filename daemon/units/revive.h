/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* .socket units that failed for want of a resource, and when to start them again: once nobody is on
 * their ports. One that fails though its ports are free, some times in a row, has another reason,
 * and is left alone until somebody has been there, or it has run. However often a port comes and
 * goes, a unit is started at most every second, ever more seldom while that does not help. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/socket-unit.h"

typedef struct Revive Revive;

typedef struct ReviveOps {
        bool (*blocked)(const SocketUnit *u, void *userdata);
        void (*start)(const SocketUnit *u, void *userdata);
        void (*wake)(void *userdata); /* call revive_check() now */
} ReviveOps;

int revive_new(sd_event *event, const ReviveOps *ops, void *userdata, Revive **ret);
Revive *revive_free(Revive *r);
DEFINE_CLEANUP(Revive, revive_free);

/* Looks at each failed unit of the list, and forgets those that have failed no longer. */
void revive_check(Revive *r, const SocketUnits *l);

/* Whoever was on a port of that failed unit has gone: wake at once, but from the event loop. */
void revive_freed(Revive *r, const SocketUnit *u);
