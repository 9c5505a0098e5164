/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What would help where the ephemeral ports run short. */

#include <jansson.h>

#include "ctl/ephemeral-look.h"

/* From here on somebody runs short, in percent of the usable ports; from the second on, soon. */
#define EPHEMERAL_WARN 50u
#define EPHEMERAL_BAD  90u

/* How many peers and programs are shown, and looked at for advice. */
#define EPHEMERAL_PEERS_SHOWN    10u
#define EPHEMERAL_PROGRAMS_SHOWN 5u

/* [{"message","command"}]: the command is null where a program has to change. peers, programs: the
 * HOLDERs of the first of each. NULL: no memory. */
json_t *ephemeral_advice(const EphemeralLook *l, const json_t *peers, const json_t *programs);
