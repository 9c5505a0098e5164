/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl list: a row for each run of ports. */

#include "ctl/endpoints.h"
#include "ctl/output.h"
#include "ctl/restarts.h"
#include "ctl/state.h"

Exit verb_list(const Ctl *c, char **args)
{
        _cleanup_(json_decrefp) json_t *state = NULL;
        _cleanup_(endpoints_freep) Endpoints *table = NULL;
        json_t *list, *reservation;
        size_t i;
        Exit e;

        e = state_load(c, &state);
        if (e != EXIT_OK)
                return e;
        list = get_array(state, "list");
        if (c->json != JSON_OFF)
                return print_json(c, list ? json_incref(list) : json_array(), EXIT_OK);

        if (endpoints_new(c, true, &table) < 0)
                return fail(c, EXIT_FAILED, "out of memory");
        json_array_foreach(list, i, reservation)
                if (endpoints_add(table, reservation) < 0)
                        return fail(c, EXIT_FAILED, "out of memory");
        e = endpoints_print(table);
        if (e != EXIT_OK)
                return e;
        json_array_foreach(list, i, reservation)
                say_restarts(c, reservation);
        return EXIT_OK;
}
