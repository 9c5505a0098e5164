/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is in state.json. */

#include <jansson.h>
#include <stdint.h>

typedef struct Manager Manager;

/* started_usec: CLOCK_REALTIME. NULL: no memory. */
json_t *state_to_json(const Manager *m, uint64_t started_usec);
