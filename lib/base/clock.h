/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times are microseconds everywhere: of CLOCK_MONOTONIC for deadlines and intervals, of
 * CLOCK_REALTIME for what people read. */

#include <stdint.h>
#include <time.h>

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)

static inline uint64_t now_usec(clockid_t clock)
{
        struct timespec ts = {};

        (void) clock_gettime(clock, &ts); /* fails for clocks that do not exist only */
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}
