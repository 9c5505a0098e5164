/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl reload: the daemon applies the configuration, and PID 1 learns of units that
 * differ by it. */

#include "ctl/control.h"
#include "ctl/generated.h"
#include "ctl/output.h"
#include "ctl/state.h"

Exit verb_reload(const Ctl *c, char **args)
{
        _cleanup_(json_decrefp) json_t *result = NULL;
        _cleanup_(freep) char *text = NULL;
        Exit e;
        int r;

        r = state_probe(c);
        if (r < 0)
                return state_fail(c, r);

        e = control_call(c, "Reload", &text);
        if (e != EXIT_OK)
                return fail(c, e, "%s", text ?: "out of memory");
        result = text ? json_loads(text, 0, NULL) : NULL;
        if (!json_is_object(result))
                return fail(c, EXIT_FAILED, "applied, but the daemon's answer is no JSON object");

        e = generated_follow(c, result);
        if (e != EXIT_OK)
                return e;
        if (c->json != JSON_OFF)
                return print_json(c, json_incref(result), EXIT_OK);
        say(c, "applied");
        return EXIT_OK;
}
