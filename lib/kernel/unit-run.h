/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which run of a unit is it? Without PID 1, which answers only root at early boot: it exports the
 * invocation id of each unit that is not inactive as a link, for journald (systemd 235). */

/* *ret (malloc'ed): differs from run to run of the unit, whose name may be an alias. -ENOENT: it
 * does not run, or there is no systemd. */
int unit_run(const char *unit, char **ret);
