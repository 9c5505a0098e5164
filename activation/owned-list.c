/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/owned-list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "kernel/unit-file.h"

static int compare(const void *a, const void *b)
{
        const Owned *x = a, *y = b;
        int k = strcmp(x->unit, y->unit);

        return k ? k : strcmp(x->reservation->name, y->reservation->name);
}

void owned_list_done(OwnedList *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i].unit);
        free(l->items);
}

static int add(OwnedList *l, char *consume_unit, const Reservation *r)
{
        if (!consume_unit || !GROW(l->items, l->n_allocated, l->n + 1)) {
                free(consume_unit);
                return -ENOMEM;
        }
        l->items[l->n++] = (Owned){ .unit = consume_unit, .reservation = r };
        return 0;
}

/* The service, and the .socket units that listen for it on a port of the reservation: those bind it
 * before their service does. */
static int add_owners(OwnedList *l, const Reservation *r, const char *root,
                      const UnitSockets *sockets)
{
        _cleanup_(freep) char *service = NULL;
        int k;

        k = unit_resolve_alias(root, r->unit, &service);
        for (size_t i = 0; i < sockets->n && k >= 0 && r->hold == HOLD_BOUND; i++) {
                const UnitSocket *s = &sockets->items[i];
                _cleanup_(unit_value_done) UnitValue where = { 0 };

                if (strcmp(s->service, service) != 0)
                        continue;
                k = unit_socket_meets(s, r, &where);
                if (k > 0)
                        k = add(l, strdup(unit_file_name(s->file)), r);
        }
        return k < 0 ? k : add(l, TAKE_PTR(service), r);
}

int owned_list_fill(OwnedList *l, const Config *c, const char *root, const UnitSockets *sockets)
{
        CONFIG_FOREACH_RESERVATION(c, r) {
                int k;

                if ((r->hold != HOLD_BOUND && r->hold != HOLD_LISTEN) || !r->unit)
                        continue;
                k = add_owners(l, r, root, sockets);
                if (k < 0)
                        return k;
        }
        if (l->n > 0)
                qsort(l->items, l->n, sizeof(l->items[0]), compare);
        return 0;
}
