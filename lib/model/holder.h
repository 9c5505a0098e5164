/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* HOLDER of the JSON interface: who has a port, as far as it is known. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "model/policy.h"

/* Of a command line that is longer, the beginning is kept; printable. */
#define HOLDER_COMMAND_MAX 1024u

typedef struct Holder {
        Kind kind;
        Socket socket;   /* automatic, reuse and expires_usec are told from here */
        char *unit;      /* of the cgroup: "nginx.service", "user@1000.service"; NULL: not known */
        char *user_unit; /* "foo.service" of the manager that unit is; NULL: unit is none */
        char *cgroup; /* path below the cgroup root, "/system.slice/redis-server.service"; NULL */
        char *container; /* its id or its machine's name, from the cgroup path; NULL: in none */
        pid_t pid;       /* 0: not known */
        char *exe;       /* NULL: not known */
        char *command;   /* command line; NULL: not known */
        char *user;      /* login name of the uid; NULL: not known */
        uint64_t started_usec; /* CLOCK_REALTIME, when the process began; 0: not known */
        uint64_t since_usec;   /* CLOCK_REALTIME, when first seen; 0: not known */
        bool no_process;       /* every process was searched, and none has it: the kernel's own */
        bool certain;          /* false: what is named may by now be somebody else */
} Holder;

void holder_init(Holder *h);
void holder_done(Holder *h); /* frees the strings, embedded use */

/* "system.slice/foo.service (pid 123, /usr/bin/foo)", "container web (pid 7)", "foo.service of user
 * alice", "uid 1000", "unknown process", each with "probably " in front where it is not certain: for
 * messages. The caller frees. */
char *holder_describe(const Holder *h);

/* The same of what is within a unit: "container web", "container 4f5e6a7b8c9d of user alice" (ids of
 * 64 hex digits are cut to the 12 that docker and podman show), "foo.service of user@1000.service".
 * The user is named where the manager is the uid's own. unit, container and user_unit may be NULL;
 * false: nothing was put, since both of those are. */
bool holder_put_inner(FILE *f, const char *container, const char *user_unit, const char *unit,
                      const char *user, uid_t uid);

/* Of a command line, also of one that was read from JSON: enough to know it by, and "…" where that is not
 * all. */
void holder_put_command(FILE *f, const char *command);

/* Does its cgroup say whose it is? Without one, or in the root's, it may be anybody's: the owner's, who
 * accepted a connection once, as well. */
bool holder_has_cgroup(const Holder *h);

/* The shell command that stops it, and nothing else with it: its unit, or the process. Nobody is stopped
 * on a guess, and a container's unit is its engine's. malloc'ed; NULL: there is none, or no memory. */
char *holder_stop_command(const Holder *h);
