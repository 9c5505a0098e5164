/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paths that cgroup ids had when last seen. A socket may outlive its cgroup: then this is where it
 * probably came from. */

#include <stddef.h>
#include <stdint.h>

#define CGROUP_MEMORY_SLOTS 1024u

typedef struct CgroupMemory {
        struct {
                uint64_t id;
                char *path;
        } slots[CGROUP_MEMORY_SLOTS];
} CgroupMemory;

void cgroup_memory_done(CgroupMemory *m);

/* Keeps a copy, in place of another's where room is short. Without memory it is forgotten. */
void cgroup_memory_put(CgroupMemory *m, uint64_t id, const char *path);

/* NULL: forgotten, or never known. Valid until the next put. */
const char *cgroup_memory_get(const CgroupMemory *m, uint64_t id);
