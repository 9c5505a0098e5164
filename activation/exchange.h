/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The asking end of hand-over and of portreserve-exec (kernel/runtime.h): one request, one reply.
 * Nothing but libc, since portreserved-handover is linked statically. */

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "kernel/runtime.h"

typedef struct ExchangeSockets {
        int fds[OPEN_SOCKETS_MAX]; /* close-on-exec, the caller's */
        size_t n;
} ExchangeSockets;

/* name: RUNTIME_HANDOVER, RUNTIME_OPEN. -ENAMETOOLONG. */
int exchange_address(const char *runtime_dir, const char *name, struct sockaddr_un *ret);

/* Appends a word and its NUL to a request of *n bytes. -E2BIG. */
int exchange_append(char request[static HANDOVER_MESSAGE_MAX], size_t *n, const char *word);

/* On success the reply is in buf, NUL-terminated, and its size is returned. sockets: those that
 * come along, or NULL where none are expected. deadline: CLOCK_MONOTONIC in microseconds. -ENOENT,
 * -ECONNREFUSED: nobody there; -ETIMEDOUT, -ECONNRESET: there, and did not answer. */
int exchange(const struct sockaddr_un *sa, const char *request, size_t size, char *buf,
             size_t buf_size, ExchangeSockets *sockets, uint64_t deadline);
