/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A hash table from numbers other than 0 to pointers: open addressing, at most half full.
 * Zero-initialized is empty. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TableSlot {
        uint64_t key; /* 0: free */
        void *value;
} TableSlot;

typedef struct Table {
        TableSlot *slots;
        size_t size; /* a power of two, or 0 */
        size_t n;
} Table;

void table_deinit(Table *t);

/* Makes room for n keys in all: table_set() cannot fail up to there. False: out of memory. */
bool table_reserve(Table *t, size_t n);

/* Adds, or replaces. False: out of memory. */
bool table_set(Table *t, uint64_t key, void *value);

/* NULL: not there. */
void *table_get(const Table *t, uint64_t key);

void table_remove(Table *t, uint64_t key);
