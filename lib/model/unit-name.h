/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of units, by the rules of systemd.unit(5). */

#include <stdbool.h>

#define UNIT_NAME_LENGTH_MAX 255

/* Valid as a unit name with suffix: "nginx.service", "getty@tty1.service", "getty@.service". */
bool unit_name_valid(const char *name);

/* Has that suffix (".service")? */
bool unit_name_has_suffix(const char *name, const char *suffix);

/* "getty@.service": a template, that cannot be started itself. */
bool unit_name_is_template(const char *name);

/* "getty@tty1.service". */
bool unit_name_is_instance(const char *name);

/* A service of its own, which can be stopped without anything else going with it: not a login session,
 * not a user's manager. */
bool unit_name_is_stoppable(const char *name);
