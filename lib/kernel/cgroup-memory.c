/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/cgroup-memory.h"

#include <stdlib.h>
#include <string.h>

void cgroup_memory_done(CgroupMemory *m)
{
        for (size_t i = 0; i < CGROUP_MEMORY_SLOTS; i++)
                free(m->slots[i].path);
}

void cgroup_memory_put(CgroupMemory *m, uint64_t id, const char *path)
{
        size_t i = id % CGROUP_MEMORY_SLOTS;

        if (m->slots[i].id == id && m->slots[i].path && strcmp(m->slots[i].path, path) == 0)
                return;
        free(m->slots[i].path);
        m->slots[i].id = id;
        m->slots[i].path = strdup(path);
}

const char *cgroup_memory_get(const CgroupMemory *m, uint64_t id)
{
        size_t i = id % CGROUP_MEMORY_SLOTS;

        return m->slots[i].id == id ? m->slots[i].path : NULL;
}
