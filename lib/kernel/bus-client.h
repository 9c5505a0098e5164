/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* D-Bus without a bus: a connection straight to who listens on a unix socket. */

#include <stdint.h>
#include <systemd/sd-bus.h>

/* Connects to path and starts; nobody says Hello. Calls give up after timeout_usec. No fds either
 * way. -ENOENT, -ECONNREFUSED: nobody listens; -EACCES, -ENAMETOOLONG … of connect(2). */
int bus_client_open(const char *path, uint64_t timeout_usec, sd_bus **ret);
