/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between identify.c and identify-holder.c. */

#include "kernel/identify.h"
#include "kernel/owner.h"
#include "kernel/user-names.h"

#define MEMOS 1024u
#define KNOWN 64u

typedef enum Relation {
        RELATION_UNKNOWN,
        RELATION_NONE,
        RELATION_OWNER,
        RELATION_GENERATED, /* of the .socket unit that we generated */
        RELATION_OURS,      /* of portreserved itself */
} Relation;

/* What was found for a cgroup: it stays true, since ids are never used twice and cgroups are never
 * renamed. */
typedef struct Memo {
        const Owner *owner;
        uint64_t cgroup;
        Relation relation;
} Memo;

/* What was found of who has a socket, beside what the kernel says of the socket itself. Cookies are
 * never used twice. */
typedef struct Known {
        uint64_t cookie;
        uint64_t cgroup; /* of the process, as it was then; 0: not known */
        uid_t uid;
        bool no_process;
} Known;

struct Identify {
        CgroupMap *map;
        UserNames users;
        Owner **owners; /* by reservation name */
        size_t n_owners, n_owners_allocated;
        Memo memos[MEMOS];
        Known known[KNOWN]; /* the oldest makes room */
        size_t n_known;
        uint64_t budget_usec, window_usec; /* for searches; the latter 0: in all */
        uint64_t window, searched_usec;    /* which one this is, and what it has cost so far */
};
