/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemctl, for a program without libraries. Where there is none (inside a unit's RootDirectory=),
 * every call does nothing. */

typedef enum DaemonState {
        DAEMON_GONE,       /* stopped, not installed, or there is no systemctl to ask */
        DAEMON_LETTING_GO, /* stopped, and its companion, which looks after what is left, not yet */
        DAEMON_THERE,      /* active, stopping, reloading */
        DAEMON_RESTARTING, /* starts, or waits to be restarted */
        DAEMON_FAILED,
} DaemonState;

DaemonState systemctl_state(const char *unit, const char *companion);

/* Runs systemctl with these arguments (NULL-terminated), silently, for at most 5 s. Its exit
 * status, or -errno. */
int systemctl_run(const char *const *arguments);
