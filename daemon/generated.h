/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What tells us that the owner of a bound reservation starts: the drop-in that
 * portreserved-generator made at the last daemon-reload, and the helper that it runs. Where either
 * is missing (removed, broken, started without daemon-reload) nobody tells us, and a closed door
 * would keep the owner out.
 *
 * At each daemon-reload PID 1 removes what generators made and has it made again, so that files
 * which are not there mean nothing until it has touched /run/systemd/systemd-units-load: its last
 * act in a reload (systemd's manager_ready()), before any other start. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/config.h"

typedef struct Generated Generated;

typedef struct GeneratedOps {
        /* Look again: PID 1 has loaded its units anew, or the helper came or went. */
        void (*changed)(bool reloaded, void *userdata);
} GeneratedOps;

int generated_new(sd_event *event, const GeneratedOps *ops, void *userdata, Generated **ret);
Generated *generated_free(Generated *g);
DEFINE_CLEANUP(Generated, generated_free);

/* Looks what there is for this configuration, which must outlive the next look. True: something
 * else than last time. */
bool generated_look(Generated *g, const Config *c);

/* Are we told when its owner starts and stops? */
bool generated_announces(const Generated *g, const Reservation *r);

/* Which reservations lack what was generated for them, in words for people; NULL: none does. */
const char *generated_missing(const Generated *g);
