/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where portreserve-exec asks: RUNTIME/open, 0666 (kernel/runtime.h, request-server.h). The same as
 * the bus's Open(), for a program that is to be as fast as can be and so speaks no D-Bus. Admitted
 * are uid 0, our own and every User= of the configuration, by peer credentials; everybody else's
 * connection is closed. At most 64 callers, 32 of root and 32 of all others together, 16 of one
 * other user. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/bus/bus.h"

typedef struct OpenDoor OpenDoor;

/* ops: admits and open. */
int open_door_new(sd_event *event, const char *runtime_dir, const BusOps *ops, void *userdata,
                  OpenDoor **ret);
OpenDoor *open_door_free(OpenDoor *d);
DEFINE_CLEANUP(OpenDoor, open_door_free);
int open_door_restore(OpenDoor *d);
