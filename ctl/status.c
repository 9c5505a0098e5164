/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl status: how it all stands. */

#include <string.h>

#include "base/printable.h"
#include "ctl/collisions.h"
#include "ctl/endpoints.h"
#include "ctl/output.h"
#include "ctl/restarts.h"
#include "ctl/state.h"

/* The keys of `status` in state.json, which has more. */
static const char *const status_keys[] = {
        "version",    "features", "degraded",      "reservations", "ports",     "pending",
        "collisions", "drifts",   "config_errors", "scan",         "evictions",
};

static json_t *status_object(const json_t *state)
{
        json_t *o = json_object();

        for (size_t i = 0; o && i < ELEMENTSOF(status_keys); i++) {
                json_t *v = json_object_get(state, status_keys[i]);

                /* A missing one is null: every key is always there. */
                if (json_object_set_new(o, status_keys[i], v ? json_incref(v) : json_null()) < 0) {
                        json_decref(o);
                        return NULL;
                }
        }
        return o;
}

/* The reservations that were asked for, in that order, without a second mention; or
 * EXIT_NOT_FOUND. */
static Exit select_named(const Ctl *c, const json_t *state, char **names, json_t *selected)
{
        for (; *names; names++) {
                json_t *reservation = state_find(state, *names), *other;
                bool seen = false;
                size_t i;

                if (!reservation)
                        return fail(c, EXIT_NOT_FOUND,
                                    "no reservation '%s'; portreservectl list names all", *names);
                json_array_foreach(selected, i, other)
                        seen |= other == reservation;
                if (!seen && json_array_append(selected, reservation) < 0)
                        return fail(c, EXIT_FAILED, "out of memory");
        }
        return EXIT_OK;
}

static void say_diagnostics(const Ctl *c, const json_t *state, const char *key, const char *label)
{
        json_t *d;
        size_t i;

        json_array_foreach(get_array(state, key), i, d) {
                json_int_t line = get_number(d, "line");
                char number[24] = "";

                if (line > 0) /* else it is about the file as a whole */
                        (void) snprintf(number, sizeof(number), ":%lld", (long long) line);
                say(c, "%12s: %s%s: %s", i == 0 ? label : "", get_text(d, "file"), number,
                    get_text(d, "message"));
        }
}

/* The last line is there only where something went wrong. */
static void say_scan(const Ctl *c, const json_t *scan)
{
        json_int_t interrupted = get_number(scan, "interrupted");
        json_int_t overruns = get_number(scan, "overruns");
        json_int_t malformed = get_number(scan, "malformed");

        say(c,
            "%12s: %lld looks, the last took %.2f ms; %lld sweeps, the last took %.1f ms, one each "
            "%.1f s",
            "Scan", (long long) get_number(scan, "looks"),
            (double) get_number(scan, "last_look_usec") / 1e3,
            (long long) get_number(scan, "sweeps"),
            (double) get_number(scan, "last_sweep_usec") / 1e3,
            (double) get_number(scan, "sweep_interval_usec") / 1e6);
        if (interrupted > 0 || overruns > 0 || malformed > 0)
                say(c,
                    "%12s  looked again: messages lost (ENOBUFS) %lld, dumps interrupted %lld, "
                    "messages not understood %lld",
                    "", (long long) overruns, (long long) interrupted, (long long) malformed);
}

static void say_daemon(const Ctl *c, const json_t *state)
{
        const json_t *evictions = json_object_get(state, "evictions");
        json_int_t ports = get_number(state, "ports");
        json_t *word;
        size_t i;

        say(c, "portreserved %s is running (pid %lld) since %s", get_text(state, "version"),
            (long long) get_number(state, "pid"), get_text(state, "started"));
        say(c, "%12s: %lld on %lld port%s, %lld pending", "Reservations",
            (long long) get_number(state, "reservations"), (long long) ports, PLURAL(ports),
            (long long) get_number(state, "pending"));
        say(c, "%12s: %lld, drifts: %lld", "Collisions",
            (long long) get_number(state, "collisions"), (long long) get_number(state, "drifts"));
        if (get_number(evictions, "evicted") > 0 || get_number(evictions, "waiting") > 0)
                say(c, "%12s: %lld socket%s closed, %lld waiting", "Evicted",
                    (long long) get_number(evictions, "evicted"),
                    PLURAL(get_number(evictions, "evicted")),
                    (long long) get_number(evictions, "waiting"));
        say_scan(c, json_object_get(state, "scan"));
        json_array_foreach(get_array(state, "degraded"), i, word)
                say(c, "%12s: %s", i == 0 ? "Degraded" : "", json_string_value(word) ?: "-");
        say_diagnostics(c, state, "errors", "Mistakes");
        say_diagnostics(c, state, "warnings", "Warnings");
}

/* Those that were asked for as a table; of all, only what is wrong. */
static Exit say_reservations(const Ctl *c, const json_t *list, bool named)
{
        _cleanup_(endpoints_freep) Endpoints *table = NULL;
        json_t *reservation;
        size_t i;
        Exit e;

        if (named) {
                if (endpoints_new(c, true, &table) < 0)
                        return fail(c, EXIT_FAILED, "out of memory");
                json_array_foreach(list, i, reservation)
                        if (endpoints_add(table, reservation) < 0)
                                return fail(c, EXIT_FAILED, "out of memory");
                e = endpoints_print(table);
                if (e != EXIT_OK)
                        return e;
        }
        json_array_foreach(list, i, reservation)
                say_restarts(c, reservation);
        json_array_foreach(list, i, reservation)
                say_collisions(c, reservation);
        return EXIT_OK;
}

Exit verb_status(const Ctl *c, char **args)
{
        _cleanup_(json_decrefp) json_t *state = NULL, *selected = json_array();
        const json_t *list;
        json_t *reservation;
        size_t i, collisions = 0;
        Exit e, result;

        e = state_load(c, &state);
        if (e != EXIT_OK)
                return e;
        if (args[0]) {
                e = select_named(c, state, args, selected);
                if (e != EXIT_OK)
                        return e;
                list = selected;
        } else
                list = get_array(state, "list");

        json_array_foreach(list, i, reservation)
                collisions += count_collisions(reservation);
        if (!args[0] && get_number(state, "collisions") > 0)
                collisions++;
        result = collisions > 0 ? EXIT_COLLISIONS : EXIT_OK;

        if (c->json != JSON_OFF) {
                json_t *o = status_object(state);

                if (o && args[0] && json_object_set(o, "list", selected) < 0) {
                        json_decref(o);
                        o = NULL;
                }
                return print_json(c, o, result);
        }
        if (!args[0])
                say_daemon(c, state);
        e = say_reservations(c, list, args[0]);
        return e == EXIT_OK ? result : e;
}
