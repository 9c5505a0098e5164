/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks the helpers that PID 1 starts by a .socket unit: one connection after the other, a request
 * on each. Only portreserved's user is let in, and root where that is said; others are logged. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <syslog.h>

/* journald reads the level from the prefix. */
#define say(level, format, ...) (void) fprintf(stderr, "<%d>" format "\n", level, ##__VA_ARGS__)
#define say_asked(peer, level, format, ...)                                                        \
        say(level, format " Asked by pid %d, uid %u.", ##__VA_ARGS__, (int) (peer)->pid,           \
            (unsigned) (peer)->uid)

typedef struct Callers {
        const char *program; /* and of its .socket unit */
        bool admit_root;
        /* Answers one; the connection is closed behind it. */
        void (*serve)(int fd, const struct ucred *peer);
} Callers;

/* Serves the socket that PID 1 passed until nobody has asked for a while; it starts the program again
 * with the next request. The status to exit with. */
int callers_serve(const Callers *c);

/* The request on a connection. 0: there is none that is worth an answer; one of more than max bytes
 * is logged. buf has room for max + 1. */
size_t callers_receive(int fd, const struct ucred *peer, void *buf, size_t max);
