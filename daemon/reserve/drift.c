/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/reserve/drift.h"

#include "base/cleanup.h"

uint64_t drift_notice(Drift *d, uint64_t now)
{
        if (!d->missing) {
                d->missing = true;
                d->count++;
                /* Who comes each minute is answered at once each time; who fights is not. */
                if (now - d->tried > MAX_OF(2 * d->backoff, UINT64_C(1000000)))
                        d->backoff = 0;
        }
        return d->tried + d->backoff;
}

bool drift_tried(Drift *d, const PortSet *missing, int error, uint64_t now)
{
        bool tell = !portset_equal(missing, &d->told) || now - d->tried > DRIFT_QUIET_USEC;

        d->told = *missing;
        d->tried = now;
        d->backoff = MIN_OF(MAX_OF(2 * d->backoff, DRIFT_BACKOFF_MIN_USEC), DRIFT_BACKOFF_MAX_USEC);
        d->missing = error < 0;
        return tell;
}
