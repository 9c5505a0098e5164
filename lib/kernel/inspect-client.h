/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon asks portreserved-inspect: who has a socket. Never blocks. */

#include "kernel/inspect-message.h"

/* Asks, and hands out the connection that the answer comes on. As helper_request(). */
int inspect_request(const Socket *s, InspectFlags flags, int *ret_fd);

/* The answer, once the connection is readable. -EAGAIN: not yet; -EPIPE: hung up without one;
 * -EBADMSG: it is none. */
int inspect_read_answer(int fd, InspectAnswer *ret);
