/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When the watch may look: pure. Times are CLOCK_MONOTONIC, costs CPU time, both in microseconds.
 *
 * Sweeps by themselves take at most budget_percent of a CPU: the dearer one was, the longer the
 * wait after it. Looks, and what something happened for (sweeps that are wanted, verifications),
 * take at most a tenth each, however often it happens. */

#include <stdbool.h>
#include <stdint.h>

/* What is not spaced by the budget takes at most a tenth of the time. */
#define PACE_COST_FACTOR 10u

typedef struct Pace {
        uint64_t interval; /* of looks */
        unsigned budget_percent;
        uint64_t tick;  /* when the next look or sweep is */
        uint64_t sweep; /* from when on that is a sweep */
        uint64_t sweep_allowed, verify_allowed;
        uint64_t sweep_interval; /* as the last one's cost has it */
        uint64_t sweep_cost;
} Pace;

/* A new configuration: a sweep is due. */
void pace_set(Pace *p, uint64_t interval, unsigned budget_percent);

/* These were done; now: when they ended. */
void pace_looked(Pace *p, uint64_t now, uint64_t cost);
void pace_swept(Pace *p, uint64_t now, uint64_t cost);
void pace_verified(Pace *p, uint64_t now, uint64_t cost);

/* A sweep as soon as may be. */
void pace_want_sweep(Pace *p, uint64_t now);

bool pace_sweep_is_due(const Pace *p, uint64_t now);
