/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sockets on one port, now. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/observation.h"

/* A busy server has a connection a client: more than that nobody reads. */
#define LOOK_MAX 1000u

typedef struct Look {
        Socket *sockets; /* listeners first, then those bound only, then connections */
        size_t n, n_allocated;
        size_t dropped;  /* beyond LOOK_MAX they are only counted */
        bool sees_bound; /* sockets that are bound only are among them; for TCP since kernel 6.8 */
} Look;

/* Needs no privileges. -errno of sock_diag. */
int look_take(int protocol, uint16_t port, Look *ret);
void look_done(Look *l);

/* Does somebody listen at an address that this connection's may have come in by? NULL, or the
 * listener. */
const Socket *look_listener(const Look *l, const Socket *connection);
