/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names to numbers: a hash table with open addressing, so that 100,000 sections are read in linear
 * time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NameIndex {
        struct {
                const char *name; /* NULL: free */
                uint32_t value;
        } * slots;
        size_t n, size; /* size: a power of two */
} NameIndex;

void name_index_clear(NameIndex *x);

/* name is borrowed and stays valid while it is in the index; it is not in it yet. -ENOMEM. */
int name_index_add(NameIndex *x, const char *name, uint32_t value);

bool name_index_find(const NameIndex *x, const char *name, uint32_t *ret);
