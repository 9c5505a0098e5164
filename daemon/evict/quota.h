/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How many sockets may be destroyed. A reservation over ports that half the host's connections have,
 * or Evict=any against a program that comes back each time, shall be seen in the journal before it
 * has done all its harm: 100 of one reservation and 200 of all in ten seconds. What a service that
 * starts needs freed is one to three; and 200 lines in ten seconds are far below what journald would
 * drop (RateLimitBurst=10000 in 30 s). */

#include <stdbool.h>
#include <stdint.h>

#include "model/reservation.h"

#define QUOTA_WINDOW_USEC     UINT64_C(10000000)
#define QUOTA_PER_RESERVATION 100u
#define QUOTA_OVERALL         200u

typedef struct Quota {
        void *names; /* tsearch(3) tree: as many as there are reservations */
        uint64_t begin;
        unsigned n;
} Quota;

void quota_deinit(Quota *q);

/* May one more of the reservation ("": of none) be destroyed? Counts it. now: CLOCK_MONOTONIC. */
bool quota_pass(Quota *q, const char *reservation, uint64_t now);
