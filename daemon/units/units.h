/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's .socket units, live (SocketUnits=).
 *
 * The facts always come from portreserved-act, as root, which asks PID 1 over its private socket:
 * that answers from the first moment of a boot, when most is to be lost, and without a bus. When to
 * ask again is learnt from the system bus (bell.h) once that is up, and every half minute while it
 * is not. So there is one way to read a unit, one format to distrust, and nothing that a bus
 * restarting could lose. The last list is kept in RUNTIME/socket-units: a daemon that is restarted
 * begins with it. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/socket-unit.h"

typedef struct Units Units;

typedef struct UnitsOps {
        /* The list is another one. */
        void (*changed)(void *userdata);
        /* It cannot be had, or can be again (error 0). Once per change. */
        void (*degraded)(int error, void *userdata);
        /* Is somebody still on one of its ports? */
        bool (*blocked)(const SocketUnit *u, void *userdata);
        /* Nobody is: start it. */
        void (*start)(const SocketUnit *u, void *userdata);
} UnitsOps;

/* Begins with the list of the last run, where there is one. -ENOMEM. */
int units_new(sd_event *event, const char *runtime_dir, const UnitsOps *ops, void *userdata,
              Units **ret);
Units *units_free(Units *u);
DEFINE_CLEANUP(Units, units_free);

/* SocketUnits=. Off: nothing is asked or listened to, and the list is empty. */
int units_enable(Units *u, bool enable);

/* Never NULL; valid until `changed`. */
const SocketUnits *units_list(const Units *u);

/* Why the list may be old, 0: it is not. */
int units_error(const Units *u);

/* Writes the list anew where it is gone (a deleted runtime directory). */
void units_save(const Units *u);

/* A port has come free. True: that is what a failed unit waited for, and it will be started. */
bool units_port_freed(Units *u, int protocol, uint16_t port);
