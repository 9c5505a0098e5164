/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service manager: readiness, status, and the fd store. Without NOTIFY_SOCKET all of it does
 * nothing. */

#include <stdbool.h>

#include "base/cleanup.h"

/* Are we a unit of a systemd that is PID 1? Then PID 1 listens for Hold=listen and keeps our fds.
 * Decided once, at start. */
bool notify_is_service(void);

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *format, ...) _printf_(1, 2);

/* Puts fd into the store under that name, without polling it: a bound TCP socket that does not
 * listen polls as hung up, and PID 1 would drop it (FDPOLL=0). The store keeps a copy; fd stays
 * ours. */
int notify_store_fd(int fd, const char *name);
int notify_unstore_fd(const char *name);
