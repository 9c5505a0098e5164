/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of ports as the kernel's filters test for it: the ports, in ascending order, at which
 * membership changes. A port with an even number of borders at or below it is outside, with an odd
 * number inside. */

#include <stddef.h>
#include <stdint.h>

#include "model/portset.h"

enum {
        PORT_BORDERS_EXACT,
        PORT_BORDERS_COARSE, /* more ports than the set */
};

/* Of at most max_runs runs (at least 1): where the set has more, those with the narrowest gaps
 * between them are joined, so that as few ports as can be are too many. One of the above, or
 * -ENOMEM; the caller frees *ret. */
int port_borders_new(const PortSet *ports, size_t max_runs, uint16_t **ret, size_t *ret_n);
