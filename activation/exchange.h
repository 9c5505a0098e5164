/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The asking end of hand-over (kernel/runtime.h): one request, one reply. Nothing but libc, since
 * portreserved-handover is linked statically. */

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "kernel/runtime.h"

/* RUNTIME/handover. -ENAMETOOLONG. */
int exchange_address(const char *runtime_dir, struct sockaddr_un *ret);

/* Appends a word and its NUL to a request of *n bytes. -E2BIG. */
int exchange_append(char request[static HANDOVER_MESSAGE_MAX], size_t *n, const char *word);

/* On success the reply is in buf, NUL-terminated. deadline: CLOCK_MONOTONIC in microseconds.
 * -ENOENT, -ECONNREFUSED: nobody there; -ETIMEDOUT, -ECONNRESET: there, and did not answer. */
int exchange(const struct sockaddr_un *sa, const char *request, size_t size, char *buf,
             size_t buf_size, uint64_t deadline);
