/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All sockets on some ports, now, each with whether the kernel chose its port. */

#include <stddef.h>

#include "base/cleanup.h"
#include "kernel/sock-diag.h"

/* A busy server's connections. More are not looked at: listeners come first, the rest as the kernel
 * has it. */
#define SCENE_MAX 65536u

typedef struct Scene {
        Socket *sockets; /* by port; of a port the listeners first */
        size_t n, n_allocated;
} Scene;

/* -errno as sock_diag_dump(). */
int scene_take(SockDiag *d, int protocol, const PortSet *ports, Scene *ret);
void scene_done(Scene *s);

/* The next listener after previous (NULL: the first) that may have accepted the connection. */
const Socket *scene_listener(const Scene *s, const Socket *connection, const Socket *previous);
