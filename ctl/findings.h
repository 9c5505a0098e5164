/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that is known about one port of one protocol: what was declared, what the kernel says, every
 * socket on it and what each means for a server that wants the port. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"
#include "ctl/look.h"
#include "model/bind-rules.h"
#include "model/config.h"

typedef struct Findings {
        uint16_t port;
        int protocol; /* in: 0, none asked for; out: TCP then, unless only UDP is declared */

        bool running;     /* the daemon */
        json_t *declared; /* {"name","unit","source"} or null */
        HoldMode hold;    /* of the declaration */
        bool ephemeral, reserved;
        uint16_t range_first, range_last;

        Look look;
        json_t *holders; /* a HOLDER for each socket of look */
        WouldBind would_bind;
        const json_t *worst; /* the HOLDER that stands most in the way, in holders; NULL: none */
} Findings;

/* EXIT_OK, or the exit code of a failure that has been said. */
Exit findings_gather(const Ctl *c, Findings *f);
void findings_done(Findings *f);
