/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between identify.c and identify-holder.c. */

#include "kernel/identify.h"
#include "kernel/owner.h"

#define MEMOS 1024u

typedef enum Relation {
        RELATION_UNKNOWN,
        RELATION_NONE,
        RELATION_OWNER,
        RELATION_GENERATED, /* of the .socket unit that we generated */
} Relation;

/* What was found for a cgroup: it stays true, since ids are never used twice and cgroups are never
 * renamed. */
typedef struct Memo {
        const Owner *owner;
        uint64_t cgroup;
        Relation relation;
} Memo;

struct Identify {
        CgroupMap *map;
        Owner **owners; /* by reservation name */
        size_t n_owners, n_owners_allocated;
        Memo memos[MEMOS];
        uint64_t budget_usec, window_usec; /* for searches; the latter 0: in all */
        uint64_t window, searched_usec;    /* which one this is, and what it has cost so far */
};
