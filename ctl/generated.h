/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes PID 1 follow an applied configuration: where the generator writes other units now than
 * those that were loaded, a daemon-reload, and our .socket units that are gone, new or changed
 * stopped and started. Nothing else is touched, and no service.
 *
 * A .socket unit that stays keeps its listening sockets, whoever waits in their queues, and its
 * state. One that only has another name does, too: the generator links the former name to it. */

#include <jansson.h>

#include "ctl/ctl.h"
#include "ctl/units.h"

/* What PID 1 has loaded, to be looked at before the daemon applies anything: from then on
 * anybody's daemon-reload makes the new units. *ret is NULL where PID 1 has none of ours (no
 * systemd, or a daemon in a directory of its own). EXIT_OK, or EXIT_FAILED, said. */
Exit generated_look(const Ctl *c, Units **ret);

/* Adds "daemon_reload", "stopped", "started", "renamed" and "waiting" (whose service runs, and gets
 * them at its next start) to result, and says them. EXIT_OK, or EXIT_FAILED, said. */
Exit generated_follow(const Ctl *c, const Units *before, json_t *result);
