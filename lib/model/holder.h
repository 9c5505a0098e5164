/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* HOLDER of the JSON interface: who has a port, as far as it is known. */

#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "model/policy.h"

typedef struct Holder {
        Kind kind;
        Socket socket;
        char *unit;   /* of the cgroup: "nginx.service", "user@1000.service"; NULL: not known */
        char *cgroup; /* path below the cgroup root, "/system.slice/redis-server.service"; NULL */
        pid_t pid;    /* 0: not known */
        char *exe;    /* NULL: not known */
        uint64_t since_usec; /* CLOCK_REALTIME, when first seen; 0: not known */
} Holder;

void holder_init(Holder *h);
void holder_done(Holder *h); /* frees the strings, embedded use */

/* "system.slice/foo.service (pid 123, /usr/bin/foo)", "uid 1000", "unknown process": for messages.
 * The caller frees. */
char *holder_describe(const Holder *h);
