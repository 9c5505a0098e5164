/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl show: everything about one reservation. */

#include <string.h>

#include "ctl/collisions.h"
#include "ctl/endpoints.h"
#include "ctl/output.h"
#include "ctl/restarts.h"
#include "ctl/state.h"

static void say_key(const Ctl *c, const char *label, const json_t *reservation, const char *key)
{
        say(c, "%12s: %s", label, get_text(reservation, key));
}

Exit verb_show(const Ctl *c, char **args)
{
        _cleanup_(json_decrefp) json_t *state = NULL;
        _cleanup_(endpoints_freep) Endpoints *table = NULL;
        const char *exclusive;
        json_t *reservation;
        Exit e;

        e = state_load(c, &state);
        if (e != EXIT_OK)
                return e;
        reservation = state_find(state, args[0]);
        if (!reservation)
                return fail(c, EXIT_NOT_FOUND, "no reservation '%s'; portreservectl list names all",
                            args[0]);
        if (c->json != JSON_OFF)
                return print_json(c, json_incref(reservation), EXIT_OK);

        exclusive = get_text(reservation, "exclusive");
        say_key(c, "Name", reservation, "name");
        say_key(c, "Unit", reservation, "unit");
        say_key(c, "User", reservation, "user");
        say_key(c, "Declared in", reservation, "source");
        say_key(c, "Hold", reservation, "hold");
        say(c, "%12s: %s%s", "Exclusive", exclusive,
            strcmp(exclusive, "no") == 0 || json_is_true(json_object_get(reservation, "enforced"))
                    ? ""
                    : " (not enforced)");
        say(c, "%s", "");

        if (endpoints_new(c, false, &table) < 0 || endpoints_add(table, reservation) < 0)
                return fail(c, EXIT_FAILED, "out of memory");
        e = endpoints_print(table);
        if (e != EXIT_OK)
                return e;
        say_restarts(c, reservation);
        say_collisions(c, reservation);
        return EXIT_OK;
}
