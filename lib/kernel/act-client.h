/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon asks portreserved-act for. Never blocks. */

#include <stddef.h>

/* One request (kernel/runtime.h); see helper_request(). */
int act_request(const void *message, size_t size, int *ret_fd);

/* The answer to ACT_LIST, once the connection is readable: its text, malloc'ed. -EPIPE: hung up
 * without one; -EBADMSG: it is none; -EFBIG. */
int act_read_list(int fd, char **ret);
