/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The collisions of a reservation: how many, and a paragraph for each with its culprit and what to
 * do. */

#include <jansson.h>
#include <stddef.h>

#include "ctl/ctl.h"

size_t count_collisions(const json_t *reservation);
void say_collisions(const Ctl *c, const json_t *reservation);
