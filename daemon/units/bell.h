/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rings when something may have changed about PID 1's .socket units: one came or went, failed or
 * was started, or all were read again. Listens to org.freedesktop.systemd1 on the system bus, which
 * it waits for and follows over its restarts. What it hears it believes for no more than that:
 * somebody should look. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/socket-unit.h"

typedef struct Bell Bell;

typedef struct BellOps {
        void (*ring)(void *userdata);
        /* The unit as it is known, NULL: not known. Of a change that says nothing new there is no
         * ring. */
        const SocketUnit *(*find)(const char *name, void *userdata);
} BellOps;

/* Connects as soon as there is a bus, and rings when it hears. -ENOMEM. */
int bell_new(sd_event *event, const BellOps *ops, void *userdata, Bell **ret);
Bell *bell_free(Bell *b);
DEFINE_CLEANUP(Bell, bell_free);

/* Is everything heard at the moment? */
bool bell_hears(const Bell *b);
