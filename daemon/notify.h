/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service manager: readiness, status, and the fd store. Without NOTIFY_SOCKET all of it does
 * nothing. */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Are we a unit of a systemd that is PID 1? Then PID 1 listens for Hold=listen and keeps our fds.
 * Decided once, at start. */
bool notify_is_service(void);

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *format, ...) _printf_(1, 2);

/* Puts fds into the store under one name, without polling them (FDPOLL=0): what is hung up, PID 1
 * would drop. The store keeps copies. That it was sent says nothing of whether there is a store. */
int notify_store_fds(const int *fds, unsigned n, const char *name);
int notify_unstore_fd(const char *name);

/* Waits until PID 1 has read all that was sent. -ETIMEDOUT. */
int notify_barrier(uint64_t timeout_usec);
