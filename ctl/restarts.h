/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a running service only gets at its next start. */

#include <jansson.h>

#include "ctl/ctl.h"

/* A line for each such endpoint of a RES; with the unit and the command. */
void say_restarts(const Ctl *c, const json_t *reservation);
