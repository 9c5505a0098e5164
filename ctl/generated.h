/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes PID 1 follow an applied configuration: where the generator writes other units now than
 * those that are loaded, a daemon-reload, and our .socket units that are gone, new or changed
 * stopped and started. Nothing else is touched. */

#include <jansson.h>

#include "ctl/ctl.h"

/* Does nothing where systemd is not PID 1. Adds "daemon_reload", "stopped", "started" and "waiting"
 * (whose service has to stop first) to result, and says them. EXIT_OK, or EXIT_FAILED, said. */
Exit generated_follow(const Ctl *c, json_t *result);
