/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Trees of tsearch(3) whose items are malloc'ed and come into being when they are asked for. */

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* The item that compares equal to key; where there is none, a copy of the key's size bytes becomes it.
 * NULL: no memory. */
static inline void *tree_get(void **root, const void *key, size_t size,
                             int (*compare)(const void *, const void *))
{
        void *node = tfind(key, root, compare), *new;

        if (node)
                return *(void **) node;
        new = malloc(size);
        if (!new)
                return NULL;
        memcpy(new, key, size);
        if (!tsearch(new, root, compare)) {
                free(new);
                return NULL;
        }
        return new;
}
