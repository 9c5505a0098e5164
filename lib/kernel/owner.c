/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/unit-file.h"

Owner *owner_new(const char *reservation)
{
        Owner *o;

        o = calloc(1, sizeof(*o));
        if (!o)
                return NULL;
        o->reservation = strdup(reservation);
        if (!o->reservation) {
                free(o);
                return NULL;
        }
        return o;
}

void owner_forget_names(Owner *o)
{
        for (size_t i = 0; i < OWNER_NAMES_MAX; i++) {
                free(o->names[i]);
                o->names[i] = NULL;
        }
        free(o->unit);
        o->unit = NULL;
        o->generated[0] = o->former[0] = 0;
}

void owner_free(Owner *o)
{
        owner_forget_names(o);
        free(o->cgroups);
        free(o->reservation);
        free(o);
}

/* Appends a name, and the .socket unit of a .service. Those that are there already are left out. */
static int add_names(Owner *o, const char *unit)
{
        char socket[UNIT_NAME_LENGTH_MAX + 1];
        const char *add[2] = { unit, NULL };
        size_t l = strlen(unit), n = 0;

        if (l > UNIT_NAME_LENGTH_MAX)
                return 0;
        if (unit_name_has_suffix(unit, ".service")) {
                (void) snprintf(socket, sizeof(socket), "%.*s.socket",
                                (int) (l - strlen(".service")), unit);
                add[1] = socket;
        }
        for (size_t k = 0; k < ELEMENTSOF(add) && add[k]; k++) {
                for (n = 0; o->names[n] && strcmp(o->names[n], add[k]) != 0; n++)
                        ;
                if (o->names[n])
                        continue;
                o->names[n] = strdup(add[k]);
                if (!o->names[n])
                        return -ENOMEM;
        }
        return 0;
}

int owner_resolve(Owner *o, const Reservation *r)
{
        char generated[RESERVATION_UNIT_MAX];
        const char *socket = r->socket_unit ?: reservation_socket_unit(r, generated);
        _cleanup_(freep) char *canonical = NULL;
        int q;

        if (strcmp(o->generated, socket) == 0 &&
            (o->unit && r->unit ? strcmp(o->unit, r->unit) == 0 : o->unit == r->unit))
                return 0;
        owner_forget_names(o);
        if (r->unit) {
                /* An alias that cannot be resolved (a loop of links) is no reason to know
                 * nobody. */
                q = unit_resolve_alias("", r->unit, &canonical);
                if (q == -ENOMEM)
                        return q;
                q = add_names(o, r->unit);
                if (q >= 0 && canonical)
                        q = add_names(o, canonical);
                if (q < 0)
                        return q;
                o->unit = strdup(r->unit);
                if (!o->unit)
                        return -ENOMEM;
        }
        (void) snprintf(o->generated, sizeof(o->generated), "%s", socket);
        if (r->former_name)
                (void) snprintf(o->former, sizeof(o->former), "portreserved-%s.socket",
                                r->former_name);
        return 1;
}
