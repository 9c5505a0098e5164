/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the daemon asks the helpers that PID 1 starts for it. Never blocks. */

#include <stddef.h>

/* Sends one request to the SOCK_SEQPACKET socket at that path and hands out the connection, on which
 * the answer comes, if there is one. -ENOENT, -ECONNREFUSED: its .socket unit is not there; -EAGAIN:
 * too many ask. */
int helper_request(const char *path, const void *message, size_t size, int *ret_fd);
