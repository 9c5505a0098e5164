/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drift: ports of ours that somebody took out of the list. They are put back each time; whether to
 * tell of it is decided here. Who overwrites the list again and again makes one series, which is told
 * when it begins; later on only what it had not said, and that it goes on. Times are microseconds of
 * a clock that never jumps. */

#include <stdbool.h>
#include <stdint.h>

#include "model/portset.h"

#define DRIFT_QUIET_USEC  UINT64_C(60000000)  /* so long without one, and a series is over */
#define DRIFT_MORE_USEC   UINT64_C(10000000)  /* other ports are told no sooner than that */
#define DRIFT_REMIND_USEC UINT64_C(900000000) /* and that it still goes on */

typedef struct Drift {
        PortSet told;        /* what was missing, as told in this series */
        uint64_t seen;       /* the last one */
        uint64_t told_usec;  /* the last that was told */
        unsigned told_count; /* of count, those before the last that was told, and that one */
        unsigned count;      /* clobbers so far */
        bool missing;        /* some are missing now: the last try to put them back failed */
} Drift;

/* Some were missing, n times, and it was tried to put them back, with that result. The number of
 * clobbers since the last that was told, if this is to be told; else 0. */
unsigned drift_seen(Drift *d, const PortSet *missing, unsigned n, int error, uint64_t now);
