/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which sockets are portreserved's own holds: told without asking it, so that `why` works for
 * everybody and beside a daemon that is broken. */

#include <jansson.h>
#include <stdbool.h>

#include "kernel/cgroup.h"
#include "model/observation.h"

typedef struct Ours {
        const json_t *state; /* state.json of a daemon that runs, or NULL */
        pid_t pid;           /* its pid, or 0 */
        uid_t uid;           /* whose state.json is: the daemon's user */
        CgroupMap *cgroups;
} Ours;

/* The EP with that port as the daemon published it, borrowed; NULL: none. */
const json_t *ours_published(const Ours *o, int protocol, uint16_t port);

/* Does that EP's state say that we have a socket there that does not listen? */
bool ours_holds(const json_t *ep);

bool ours_has(const Ours *o, const Socket *s);
