/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/limit.h"

#include <errno.h>
#include <string.h>

#include "base/tree.h"

typedef struct Limit {
        char name[RESERVATION_NAME_MAX + 1];
        EventKind kind;
        uint64_t begin_usec;        /* of this interval: when its first was written */
        uint32_t told[LIMIT_PORTS]; /* what has been told in it: protocol and port */
        unsigned n_told;
        unsigned suppressed; /* since the last that was written */
} Limit;

struct Limits {
        void *tree; /* tsearch(3), of Limit: as many as there are reservations and kinds */
};

int limits_new(Limits **ret)
{
        Limits *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *ret = l;
        return 0;
}

Limits *limits_free(Limits *l)
{
        if (!l)
                return NULL;
        tdestroy(l->tree, free);
        free(l);
        return NULL;
}

static int limit_compare(const void *a, const void *b)
{
        const Limit *x = a, *y = b;

        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return strcmp(x->name, y->name);
}

static Limit *get(Limits *l, const Event *e)
{
        Limit key = { .kind = e->kind };

        if (e->reservation)
                (void) snprintf(key.name, sizeof(key.name), "%s", e->reservation->name);
        return tree_get(&l->tree, &key, sizeof(key), limit_compare);
}

static bool has_told(const Limit *l, uint32_t place)
{
        for (unsigned i = 0; i < l->n_told; i++)
                if (l->told[i] == place)
                        return true;
        return false;
}

bool limits_pass(Limits *limits, const Event *e, uint64_t now_usec, uint64_t interval_usec,
                 unsigned *ret_suppressed)
{
        uint32_t place = (uint32_t) (e->endpoint ? e->endpoint->protocol : 0) << 16 | e->port;
        Limit *l = get(limits, e);

        *ret_suppressed = 0;
        if (!l)
                return true;
        if (now_usec - l->begin_usec >= interval_usec)
                l->n_told = 0;
        if (l->n_told >= LIMIT_PORTS || has_told(l, place)) {
                l->suppressed++;
                return false;
        }
        if (l->n_told == 0)
                l->begin_usec = now_usec;
        l->told[l->n_told++] = place;
        *ret_suppressed = l->suppressed;
        l->suppressed = 0;
        return true;
}
