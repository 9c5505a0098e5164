/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/port-borders.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"

typedef struct Run {
        uint16_t first, last;
} Run;

static int collect_runs(const PortSet *ports, Run **ret, size_t *ret_n)
{
        _cleanup_(freep) Run *runs = NULL;
        size_t n = 0, allocated = 0;

        PORTSET_FOREACH_RUN(ports, first, last) {
                if (!GROW(runs, allocated, n + 1))
                        return -ENOMEM;
                runs[n++] = (Run){ first, last };
        }
        *ret = TAKE_PTR(runs);
        *ret_n = n;
        return 0;
}

static unsigned gap_before(const Run *r)
{
        return (unsigned) r->first - (r - 1)->last;
}

/* Joins runs over the narrowest gaps until at most max are left: the fewest ports too many. */
static size_t coarsen(Run *runs, size_t n, size_t max)
{
        static const size_t n_widths = PORTSET_PORTS;
        _cleanup_(freep) unsigned *widths = NULL;
        size_t excess = n - max, kept = 1;
        unsigned limit = 0;

        widths = calloc(n_widths, sizeof(*widths));
        if (!widths)
                return 0;
        for (size_t i = 1; i < n; i++)
                widths[gap_before(runs + i)]++;

        /* All gaps narrower than limit are closed, and the first few of that width. */
        for (; widths[limit] < excess; limit++)
                excess -= widths[limit];

        for (size_t i = 1, join; i < n; i++) {
                unsigned gap = (unsigned) runs[i].first - runs[kept - 1].last;

                join = gap < limit || (gap == limit && excess > 0);
                if (join && gap == limit)
                        excess--;
                if (join)
                        runs[kept - 1].last = runs[i].last;
                else
                        runs[kept++] = runs[i];
        }
        return kept;
}

int port_borders_new(const PortSet *ports, size_t max_runs, uint16_t **ret, size_t *ret_n)
{
        _cleanup_(freep) uint16_t *borders = NULL;
        _cleanup_(freep) Run *runs = NULL;
        size_t n, all, k = 0;
        int r;

        r = collect_runs(ports, &runs, &all);
        if (r < 0)
                return r;
        n = all;
        max_runs = MAX_OF(max_runs, (size_t) 1);
        if (n > max_runs) {
                n = coarsen(runs, n, max_runs);
                if (n == 0)
                        return -ENOMEM;
        }
        borders = calloc(2 * n + 1, sizeof(*borders));
        if (!borders)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                borders[k++] = runs[i].first;
                if (runs[i].last < UINT16_MAX)
                        borders[k++] = (uint16_t) (runs[i].last + 1u);
        }
        *ret = TAKE_PTR(borders);
        *ret_n = k;
        return n == all ? PORT_BORDERS_EXACT : PORT_BORDERS_COARSE;
}
