/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How often a message may be written: of each reservation and kind, in each interval, about a port
 * once, and about LIMIT_PORTS ports. So a flickering thief fills no journal, and whoever is on another
 * port is told all the same. */

#include <stdbool.h>

#include "base/cleanup.h"
#include "daemon/alert/event.h"

#define LIMIT_PORTS 16u

typedef struct Limits Limits;

int limits_new(Limits **ret);
Limits *limits_free(Limits *l);
DEFINE_CLEANUP(Limits, limits_free);

/* May it be written now? *ret_suppressed: how many of its reservation and kind were not since one was.
 * Without memory, yes. */
bool limits_pass(Limits *l, const Event *e, uint64_t now_usec, uint64_t interval_usec,
                 unsigned *ret_suppressed);
