/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/name-index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static size_t hash(const char *s)
{
        uint64_t h = hash_bytes(HASH_INITIAL, s, strlen(s));

        return (size_t) (h ^ h >> 32);
}

/* The slot that has the name, or the free one where it belongs. */
static size_t slot_of(const NameIndex *x, const char *name)
{
        size_t i = hash(name) & (x->size - 1);

        while (x->slots[i].name && strcmp(x->slots[i].name, name) != 0)
                i = (i + 1) & (x->size - 1);
        return i;
}

void name_index_clear(NameIndex *x)
{
        free(x->slots);
        *x = (NameIndex){ 0 };
}

static int enlarge(NameIndex *x)
{
        NameIndex bigger = { .size = x->size ? x->size * 2 : 16 };

        bigger.slots = calloc(bigger.size, sizeof(bigger.slots[0]));
        if (!bigger.slots)
                return -ENOMEM;
        for (size_t i = 0; i < x->size; i++)
                if (x->slots[i].name)
                        bigger.slots[slot_of(&bigger, x->slots[i].name)] = x->slots[i];
        bigger.n = x->n;
        free(x->slots);
        *x = bigger;
        return 0;
}

int name_index_add(NameIndex *x, const char *name, uint32_t value)
{
        size_t i;
        int r;

        if (x->n * 2 >= x->size) {
                r = enlarge(x);
                if (r < 0)
                        return r;
        }
        i = slot_of(x, name);
        x->slots[i].name = name;
        x->slots[i].value = value;
        x->n++;
        return 0;
}

bool name_index_find(const NameIndex *x, const char *name, uint32_t *ret)
{
        size_t i;

        if (x->n == 0)
                return false;
        i = slot_of(x, name);
        if (!x->slots[i].name)
                return false;
        *ret = x->slots[i].value;
        return true;
}
