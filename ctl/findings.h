/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that is known about one port of one protocol: what was declared, what the kernel says, every
 * socket on it and what each means for a server that wants the port. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"
#include "ctl/look.h"
#include "ctl/predict.h"
#include "model/config.h"

typedef struct Findings {
        /* As asked. In: protocol 0, none asked for; out: TCP then, unless only UDP is declared. Address
         * AF_UNSPEC: none asked for. */
        Endpoint place;

        bool running;     /* the daemon */
        json_t *declared; /* {"name","unit","source"} or null */
        bool pool;        /* only a pool has it */
        HoldMode hold;    /* of the declaration */
        ReuseAddress reuse;
        bool ephemeral;
        uint16_t range_first, range_last;

        bool reserved;         /* in the kernel's list */
        bool reserved_by_us;   /* by the daemon's own record */
        char *reserved_source; /* "FILE:LINE" of the sysctl.d line that has it besides, or NULL */

        Look look;
        Occupants occupants;
        json_t *holders; /* a HOLDER for each of them */
        Prediction prediction;
        json_t *not_seen; /* what could not be looked at, in words */
        /* The HOLDER that stands most in the way, else the first; borrowed. NULL: none. */
        const json_t *worst;
} Findings;

/* EXIT_OK, or the exit code of a failure that has been said. */
Exit findings_gather(const Ctl *c, Findings *f);

/* Who put the port into the kernel's list: "portreserved", "others"; NULL: it is not in it. */
const char *findings_reserved_by(const Findings *f);

void findings_done(Findings *f);
