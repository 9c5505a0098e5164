/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ephemeral ports for people: tables, and sentences below them. */

#include <jansson.h>

#include "ctl/ephemeral-look.h"

/* peers, programs: the HOLDERs of the first of each; advice: of ephemeral_advice(). -ENOMEM, or the
 * error of writing. */
int ephemeral_print(const Ctl *c, const EphemeralLook *l, const json_t *peers,
                    const json_t *programs, const json_t *advice);
