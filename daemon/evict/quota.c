/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/evict/quota.h"

#include <stdio.h>
#include <string.h>

#include "base/tree.h"

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

void quota_deinit(Quota *q)
{
        tdestroy(q->names, free);
        *q = (Quota){};
}

/* NULL: no memory. */
static Share *get_share(Quota *q, const char *name)
{
        Share key = {};

        (void) snprintf(key.name, sizeof(key.name), "%s", name);
        return tree_get(&q->names, &key, sizeof(key), share_compare);
}

static void begin_window(uint64_t *begin, unsigned *n, uint64_t now)
{
        if (*n > 0 && now < *begin + QUOTA_WINDOW_USEC)
                return;
        *begin = now;
        *n = 0;
}

bool quota_pass(Quota *q, const char *reservation, uint64_t now)
{
        Share *s = get_share(q, reservation);

        if (!s)
                return false;
        begin_window(&q->begin, &q->n, now);
        begin_window(&s->begin, &s->n, now);
        if (q->n >= QUOTA_OVERALL || s->n >= QUOTA_PER_RESERVATION)
                return false;
        q->n++;
        s->n++;
        return true;
}
