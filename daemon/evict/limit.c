/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/evict/limit.h"

#include <search.h>
#include <stdio.h>
#include <string.h>

typedef struct Share {
        char name[RESERVATION_NAME_MAX + 1];
        uint64_t begin;
        unsigned n;
} Share;

static int share_compare(const void *a, const void *b)
{
        const Share *x = a, *y = b;

        return strcmp(x->name, y->name);
}

void limit_deinit(Limit *l)
{
        tdestroy(l->names, free);
        *l = (Limit){};
}

/* NULL: no memory. */
static Share *get_share(Limit *l, const char *name)
{
        Share key = {}, *s;
        void *node;

        (void) snprintf(key.name, sizeof(key.name), "%s", name);
        node = tfind(&key, &l->names, share_compare);
        if (node)
                return *(Share **) node;
        s = malloc(sizeof(*s));
        if (!s)
                return NULL;
        *s = key;
        if (!tsearch(s, &l->names, share_compare)) {
                free(s);
                return NULL;
        }
        return s;
}

static void begin_window(uint64_t *begin, unsigned *n, uint64_t now)
{
        if (*n > 0 && now < *begin + LIMIT_WINDOW_USEC)
                return;
        *begin = now;
        *n = 0;
}

bool limit_pass(Limit *l, const char *reservation, uint64_t now)
{
        Share *s = get_share(l, reservation);

        if (!s)
                return false;
        begin_window(&l->begin, &l->n, now);
        begin_window(&s->begin, &s->n, now);
        if (l->n >= LIMIT_OVERALL || s->n >= LIMIT_PER_RESERVATION)
                return false;
        l->n++;
        s->n++;
        return true;
}
