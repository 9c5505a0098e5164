/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/endpoints.h"

#include <errno.h>
#include <string.h>

#include "ctl/culprit.h"
#include "ctl/output.h"
#include "ctl/state.h"
#include "ctl/table.h"

struct Endpoints {
        const Ctl *ctl;
        Table *table;
        bool named;
};

int endpoints_new(const Ctl *c, bool named, Endpoints **ret)
{
        static const TableColumn columns[] = {
                { "NAME" },     { "UNIT", .trunc = true },   { "HOLD" },
                { "PROTO" },    { "ADDRESS:PORT" },          { "STATE" },
                { "RESERVED" }, { "HOLDER", .trunc = true },
        };
        _cleanup_(endpoints_freep) Endpoints *e = NULL;
        size_t skip = named ? 0 : 3;
        int r;

        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        e->ctl = c;
        e->named = named;
        r = table_new(c, columns + skip, ELEMENTSOF(columns) - skip, &e->table);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(e);
        return 0;
}

Endpoints *endpoints_free(Endpoints *e)
{
        if (!e)
                return NULL;
        table_free(e->table);
        free(e);
        return NULL;
}

const char *endpoint_place(const json_t *ep, char buf[static ENDPOINT_PLACE_MAX])
{
        json_int_t port = get_number(ep, "port"), last = get_number(ep, "last");
        const char *address = get_text(ep, "address");
        bool brackets = strchr(address, ':');
        int n;

        n = snprintf(buf, ENDPOINT_PLACE_MAX, "%s%.90s%s:%lld", brackets ? "[" : "", address,
                     brackets ? "]" : "", (long long) port);
        if (last > port)
                (void) snprintf(buf + n, ENDPOINT_PLACE_MAX - (size_t) n, "-%lld",
                                (long long) last);
        return buf;
}

int endpoints_add(Endpoints *e, const json_t *reservation)
{
        json_t *ep;
        size_t i;

        json_array_foreach(get_array(reservation, "endpoints"), i, ep) {
                const json_t *collision = json_object_get(ep, "collision");
                const char *state = get_text(ep, "state");
                _cleanup_(freep) char *holder = NULL;
                char place[ENDPOINT_PLACE_MAX];
                TableColor color = TABLE_PLAIN;
                int r;

                if (json_is_object(collision)) {
                        color = TABLE_BAD;
                        holder = culprit_text(collision);
                        if (!holder)
                                return -ENOMEM;
                } else if (strcmp(state, "pending") == 0)
                        color = TABLE_WARN;

                const char *const cells[] = {
                        get_text(reservation, "name"),
                        get_text(reservation, "unit"),
                        *get_text(reservation, "socket_unit") == '-' ? get_text(reservation, "hold")
                                                                     : ".socket",
                        get_text(ep, "protocol"),
                        endpoint_place(ep, place),
                        state,
                        json_is_true(json_object_get(ep, "reserved")) ? "yes" : "no",
                        holder ?: "-",
                };
                r = table_row(e->table, color, e->named ? cells : cells + 3);
                if (r < 0)
                        return r;
        }
        return 0;
}

Exit endpoints_print(Endpoints *e)
{
        if (e->ctl->quiet)
                return EXIT_OK;
        if (table_print(e->table) < 0)
                return fail(e->ctl, EXIT_FAILED, "cannot print the table");
        return EXIT_OK;
}
