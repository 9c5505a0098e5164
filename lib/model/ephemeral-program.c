/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/ephemeral-program.h"

#include <stdlib.h>

#include "base/grow.h"

static uint64_t hash_program(const Socket *s)
{
        /* Cgroup ids are inode numbers and generations: far below 2^48 in use. */
        return (s->cgroup ^ (uint64_t) s->uid << 32) ?: 1;
}

EphemeralProgram *ephemeral_programs_get(EphemeralPrograms *p, const Socket *s)
{
        uint64_t hash = hash_program(s);
        EphemeralProgram *found;
        size_t i;

        if (s->inode == 0 && s->cgroup == 0)
                return NULL;
        i = (size_t) (uintptr_t) table_get(&p->table, hash);
        if (i > 0) {
                found = &p->programs[i - 1];
                return found->sample.cgroup == s->cgroup && found->sample.uid == s->uid ? found
                                                                                        : NULL;
        }
        if (p->n >= EPHEMERAL_PROGRAMS_MAX || !GROW(p->programs, p->n_allocated, p->n + 1) ||
            !table_set(&p->table, hash, (void *) (uintptr_t) (p->n + 1))) /* an index, no pointer */
                return NULL;
        p->programs[p->n] = (EphemeralProgram){ .sample = *s };
        return &p->programs[p->n++];
}

static int compare_programs(const void *a, const void *b)
{
        const EphemeralProgram *x = a, *y = b;

        unsigned x_ports = x->exclusive + x->udp, y_ports = y->exclusive + y->udp;

        if (x_ports != y_ports)
                return x_ports < y_ports ? 1 : -1;
        return x->sockets == y->sockets ? 0 : x->sockets < y->sockets ? 1 : -1;
}

void ephemeral_programs_sort(EphemeralPrograms *p)
{
        if (p->n > 0)
                qsort(p->programs, p->n, sizeof(*p->programs), compare_programs);
        table_deinit(&p->table);
}

void ephemeral_programs_done(EphemeralPrograms *p)
{
        table_deinit(&p->table);
        free(p->programs);
        *p = (EphemeralPrograms){};
}
