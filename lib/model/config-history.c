/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What one configuration has to know of the one before it: names that changed. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/config-internal.h"

static bool same_unit(const Reservation *a, const Reservation *b)
{
        return a->unit && b->unit ? strcmp(a->unit, b->unit) == 0 : a->unit == b->unit;
}

/* The reservation of old that has gone from c, and had one of r's endpoints for the same unit. */
static const Reservation *find_former(const Config *c, const Config *old, const Reservation *r,
                                      const NameIndex *taken)
{
        for (size_t i = 0; i < r->n_endpoints; i++) {
                const Reservation *o;
                const Endpoint *e;
                unsigned iterator = 0;
                uint32_t by;

                while (config_lookup(old, r->endpoints[i].protocol, r->endpoints[i].port, &iterator,
                                     &o, &e))
                        if (endpoint_same_place(e, &r->endpoints[i]) && same_unit(o, r) &&
                            !o->socket_unit && !config_find(c, o->name) &&
                            !name_index_find(taken, o->name, &by))
                                return o;
        }
        return NULL;
}

int config_note_renamed(Config *c, const Config *old)
{
        NameIndex taken = {};
        int k = 0;

        for (size_t i = 0; i < c->n_reservations && k >= 0; i++) {
                Reservation *r = c->reservations[i];
                const Reservation *o = config_find(old, r->name);
                const char *former = o ? o->former_name : NULL;

                if (!o) {
                        o = find_former(c, old, r, &taken);
                        if (!o)
                                continue;
                        former = o->name;
                        k = name_index_add(&taken, o->name, (uint32_t) i);
                }
                /* What PID 1 has loaded may still say it; unless it means another one now. */
                if (k < 0 || !former || config_find(c, former))
                        continue;
                free(r->former_name);
                r->former_name = strdup(former);
                if (!r->former_name)
                        k = -ENOMEM;
        }
        name_index_clear(&taken);
        return k;
}

Reservation *config_find_former(const Config *c, const char *name)
{
        CONFIG_FOREACH_RESERVATION(c, r)
                if (r->former_name && strcmp(r->former_name, name) == 0)
                        return r;
        return NULL;
}
