/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/table.h"

#include <stdlib.h>

/* Multiplicative hashing: keys are ports, inodes and cookies, all of them dense runs. */
static size_t slot_of(const Table *t, uint64_t key)
{
        return (size_t) ((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (t->size - 1);
}

/* The slot of the key, or the free one where it would go. */
static size_t table_seek(const Table *t, uint64_t key)
{
        size_t i = slot_of(t, key);

        while (t->slots[i].key != 0 && t->slots[i].key != key)
                i = (i + 1) & (t->size - 1);
        return i;
}

void table_deinit(Table *t)
{
        free(t->slots);
        *t = (Table){};
}

bool table_reserve(Table *t, size_t n)
{
        Table bigger = { .size = t->size ? t->size : 16, .n = t->n };

        if (n > SIZE_MAX / 4)
                return false;
        while (bigger.size < 2 * n)
                bigger.size *= 2;
        if (bigger.size == t->size)
                return true;

        bigger.slots = calloc(bigger.size, sizeof(TableSlot));
        if (!bigger.slots)
                return false;
        for (size_t i = 0; i < t->size; i++)
                if (t->slots[i].key != 0)
                        bigger.slots[table_seek(&bigger, t->slots[i].key)] = t->slots[i];
        free(t->slots);
        *t = bigger;
        return true;
}

bool table_set(Table *t, uint64_t key, void *value)
{
        size_t i;

        if (!table_reserve(t, t->n + 1))
                return false;
        i = table_seek(t, key);
        if (t->slots[i].key == 0)
                t->n++;
        t->slots[i] = (TableSlot){ .key = key, .value = value };
        return true;
}

void *table_get(const Table *t, uint64_t key)
{
        if (t->size == 0 || key == 0)
                return NULL;
        return t->slots[table_seek(t, key)].value;
}

void table_remove(Table *t, uint64_t key)
{
        size_t hole, i;

        if (t->size == 0 || key == 0)
                return;
        hole = table_seek(t, key);
        if (t->slots[hole].key == 0)
                return;
        t->n--;

        /* Pulls back what had to go past the hole, so that no tombstones are needed. */
        for (i = (hole + 1) & (t->size - 1); t->slots[i].key != 0; i = (i + 1) & (t->size - 1)) {
                size_t home = slot_of(t, t->slots[i].key);

                if (((i - home) & (t->size - 1)) < ((i - hole) & (t->size - 1)))
                        continue;
                t->slots[hole] = t->slots[i];
                hole = i;
        }
        t->slots[hole] = (TableSlot){};
}
