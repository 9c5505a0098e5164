/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/reserve/drift.h"

static bool is_to_be_told(Drift *d, const PortSet *missing, uint64_t now)
{
        if (d->told_count == 0 || now - d->seen > DRIFT_QUIET_USEC) {
                portset_clear(&d->told);
                return true;
        }
        if (now - d->told_usec >= DRIFT_REMIND_USEC)
                return true;
        return now - d->told_usec >= DRIFT_MORE_USEC && !portset_contains(&d->told, missing);
}

unsigned drift_seen(Drift *d, const PortSet *missing, unsigned n, int error, uint64_t now)
{
        unsigned times = 0;

        /* One that could not be answered yet is still the same. */
        d->count += d->missing ? n - 1 : n;
        d->missing = error < 0;
        if (is_to_be_told(d, missing, now)) {
                times = d->count > d->told_count ? d->count - d->told_count : 1;
                portset_unite(&d->told, missing);
                d->told_usec = now;
                d->told_count = d->count;
        }
        d->seen = now;
        return times;
}
