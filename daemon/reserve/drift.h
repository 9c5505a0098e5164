/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drift: ports of ours that somebody took out of the list. When to put them back, and whether to
 * tell. Times are microseconds of a clock that never jumps. */

#include <stdbool.h>
#include <stdint.h>

#include "model/portset.h"

#define DRIFT_BACKOFF_MIN_USEC UINT64_C(50000)
#define DRIFT_BACKOFF_MAX_USEC UINT64_C(5000000)
#define DRIFT_QUIET_USEC       UINT64_C(60000000)

typedef struct Drift {
        PortSet told;     /* what was missing when it was told last */
        uint64_t tried;   /* last try to put some back */
        uint64_t backoff; /* how long after that the next one may come */
        unsigned count;   /* clobbers so far */
        bool missing;     /* some are missing now */
} Drift;

/* Some are missing. Returns when to put them back: now or earlier means at once. */
uint64_t drift_notice(Drift *d, uint64_t now);

/* It was tried, with that result. True: tell it. */
bool drift_tried(Drift *d, const PortSet *missing, int error, uint64_t now);
