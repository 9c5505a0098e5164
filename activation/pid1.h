/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PID 1 over its private socket, which is there before the system bus is: the questions that
 * portreserved-act has. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "base/cleanup.h"

#define PID1_NAME    "org.freedesktop.systemd1"
#define PID1_PATH    "/org/freedesktop/systemd1"
#define PID1_MANAGER "org.freedesktop.systemd1.Manager"
#define PID1_UNIT    "org.freedesktop.systemd1.Unit"
#define PID1_SOCKET  "org.freedesktop.systemd1.Socket"

/* Result of a socket unit that could not get what it needs: the port. Others have failed for what
 * their service did, or for more clients than they were to take. */
#define PID1_NO_RESOURCES "resources"

/* A connection; the caller unrefs it. */
int pid1_open(sd_bus **ret);

/* Is the unit loaded and in the failed state, a socket unit for want of a resource? *ret_names gets
 * all its names, aliases included (the caller's to strv_free()), where it is loaded, else NULL. */
int pid1_failed(sd_bus *bus, const char *unit, bool *ret_failed, char ***ret_names);

/* Forgets the failures (and so the start limit that they used up) and queues a start job; does not
 * wait for it. */
int pid1_start(sd_bus *bus, const char *unit);
