/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PID 1 over its private socket, which is there before the system bus is: the two questions that
 * portreserved-act has. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "base/cleanup.h"

/* A connection; the caller unrefs it. */
int pid1_open(sd_bus **ret);

/* Is the unit loaded and in the failed state? *ret_names gets all its names, aliases included
 * (the caller's to strv_free()), where it is loaded, else NULL. */
int pid1_failed(sd_bus *bus, const char *unit, bool *ret_failed, char ***ret_names);

/* Forgets the failures (and so the start limit that they used up) and queues a start job; does not
 * wait for it. */
int pid1_start(sd_bus *bus, const char *unit);
