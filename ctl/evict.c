/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl evict: has the daemon close the sockets of others on a port. The daemon does it,
 * since it knows what is its own and its owners', limits how many go, and logs each. */

#include "ctl/control.h"
#include "ctl/culprit.h"
#include "ctl/output.h"
#include "ctl/port.h"
#include "ctl/state.h"
#include "model/endpoint.h"
#include "model/json.h"

/* Did everybody go who was to? A reason says why the port is not free of one all the same. */
static bool is_free(const json_t *answer)
{
        const json_t *holder;
        size_t i;

        if (json_array_size(json_object_get(answer, "left")) > 0)
                return false;
        json_array_foreach(json_object_get(answer, "evicted"), i, holder)
                if (json_is_string(json_object_get(holder, "reason")))
                        return false;
        return true;
}

/* The commands that free it of those who stay. NULL: no memory. */
static json_t *remedy(const json_t *answer, const char *list, json_t *array)
{
        const json_t *holder;
        size_t i;

        json_array_foreach(json_object_get(answer, list), i, holder)
                if (array && json_is_string(json_object_get(holder, "reason")) &&
                    culprit_remedy(holder, get_text(answer, "protocol"),
                                   (uint16_t) get_number(answer, "port"), false, array) < 0) {
                        json_decref(array);
                        array = NULL;
                }
        return array;
}

static void say_holders(const Ctl *c, const json_t *answer, const char *list, const char *label)
{
        const json_t *holder;
        size_t i;

        json_array_foreach(json_object_get(answer, list), i, holder) {
                const json_t *reason = json_object_get(holder, "reason");
                _cleanup_(freep) char *who = culprit_text(holder);
                json_int_t count = get_number(holder, "count");

                if (count > 1)
                        say(c, "%12s: %s, and %lld more remains", label, who ?: "-",
                            (long long) count - 1);
                else
                        say(c, "%12s: %s%s%s", label, who ?: "-",
                            json_is_string(reason) ? ": " : "",
                            json_is_string(reason) ? json_string_value(reason) : "");
        }
}

static void say_answer(const Ctl *c, const json_t *answer, bool freed, const json_t *commands)
{
        size_t n = json_array_size(json_object_get(answer, "evicted"));
        const json_t *command;
        size_t i;

        say(c, "%lld/%s: %s", (long long) get_number(answer, "port"), get_text(answer, "protocol"),
            !freed       ? c->dry_run ? "would not be free" : "not free"
            : n == 0     ? "nobody is on it who should not be"
            : c->dry_run ? "would be free"
                         : "free");
        say_holders(c, answer, "evicted", c->dry_run ? "would close" : "closed");
        say_holders(c, answer, "left", "stays");
        json_array_foreach(commands, i, command)
                say(c, "%12s%s %s", i == 0 ? "What to do" : "", i == 0 ? ":" : " ",
                    json_string_value(command));
}

Exit verb_evict(const Ctl *c, char **args)
{
        _cleanup_(json_decrefp) json_t *answer = NULL, *commands = NULL;
        _cleanup_(freep) char *text = NULL;
        int protocol, r;
        uint16_t port;
        bool freed;
        Exit e;

        e = port_parse(c, args[0], &port, &protocol);
        if (e != EXIT_OK)
                return e;
        r = state_probe(c);
        if (r < 0)
                return state_fail(c, r);
        e = control_call(c, &text, "Evict", "qsb", port,
                         protocol == 0 ? "" : protocol_to_string(protocol), (int) c->dry_run);
        if (e != EXIT_OK)
                return fail(c, e, "%s: %s", args[0], text ?: "out of memory");
        answer = text ? json_loads(text, 0, NULL) : NULL;
        if (!json_is_object(answer))
                return fail(c, EXIT_FAILED, "the daemon's answer is no JSON object");

        freed = is_free(answer);
        commands = remedy(answer, "evicted", json_array());
        commands = remedy(answer, "left", commands);
        json_drop_repeated(commands);
        if (!commands || json_object_set(answer, "remedy", commands) < 0 ||
            json_object_set_new(answer, "free", json_boolean(freed)) < 0)
                return fail(c, EXIT_FAILED, "out of memory");
        e = freed ? EXIT_OK : EXIT_FAILED;
        if (c->json != JSON_OFF)
                return print_json(c, json_incref(answer), e);
        say_answer(c, answer, freed, commands);
        return e;
}
