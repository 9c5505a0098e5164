/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Endpoints that came or changed while their owner ran, and that it only gets at its next start: PID
 * 1 starts no .socket unit beside its service, and a placeholder opens at a start. The marks are in
 * the Config (Endpoint.restart_needed, Reservation.run), and so in applied.conf. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/config.h"

typedef struct Restarts Restarts;

/* config(): what is in effect. over(): some owner has been started again, its marks are gone. */
typedef struct RestartsOps {
        Config *(*config)(void *userdata);
        void (*over)(void *userdata);
} RestartsOps;

int restarts_new(sd_event *event, const RestartsOps *ops, void *userdata, Restarts **ret);
Restarts *restarts_free(Restarts *s);
DEFINE_CLEANUP(Restarts, restarts_free);

/* c takes the place of old: marks what is new to an owner that runs. -ENOMEM. */
int restarts_mark(Config *c, const Config *old);

/* Looks each second, for as long as there are marks, whether they are still true. */
void restarts_watch(Restarts *s);
