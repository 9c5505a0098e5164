/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/watch/pace.h"

#include "base/cleanup.h"

void pace_set(Pace *p, uint64_t interval, unsigned budget_percent)
{
        p->interval = interval;
        p->budget_percent = MAX_OF(budget_percent, 1u);
        p->sweep = 0;
}

void pace_looked(Pace *p, uint64_t now, uint64_t cost)
{
        p->tick = now + MAX_OF(p->interval, PACE_COST_FACTOR * cost);
}

void pace_swept(Pace *p, uint64_t now, uint64_t cost)
{
        p->sweep_cost = cost;
        p->sweep_interval = MAX_OF(p->interval, cost * 100 / p->budget_percent);
        p->sweep = now + p->sweep_interval;
        p->sweep_allowed = now + PACE_COST_FACTOR * cost;
        p->tick = now + p->interval; /* a look costs far less */
}

void pace_verified(Pace *p, uint64_t now, uint64_t cost)
{
        p->verify_allowed = now + PACE_COST_FACTOR * cost;
}

void pace_want_sweep(Pace *p, uint64_t now)
{
        p->sweep = MIN_OF(p->sweep, MAX_OF(now, p->sweep_allowed));
        p->tick = MIN_OF(p->tick, p->sweep);
}

bool pace_sweep_is_due(const Pace *p, uint64_t now)
{
        return now >= p->sweep;
}
