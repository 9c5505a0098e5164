/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/collisions.h"

#include "ctl/culprit.h"
#include "ctl/endpoints.h"
#include "ctl/output.h"
#include "ctl/state.h"

size_t count_collisions(const json_t *reservation)
{
        size_t i, n = 0;
        json_t *ep;

        json_array_foreach(get_array(reservation, "endpoints"), i, ep)
                n += json_is_object(json_object_get(ep, "collision"));
        return n;
}

void say_collisions(const Ctl *c, const json_t *reservation)
{
        json_t *ep, *remedy;
        size_t i, j;

        json_array_foreach(get_array(reservation, "endpoints"), i, ep) {
                const json_t *collision = json_object_get(ep, "collision");
                _cleanup_(json_decrefp) json_t *remedies = json_array();
                _cleanup_(freep) char *who = NULL;
                char place[ENDPOINT_PLACE_MAX];

                if (!json_is_object(collision))
                        continue;
                who = culprit_text(collision);
                say(c, "%s", "");
                say(c, "%s: %s %s is taken (%s) by %s", get_text(reservation, "name"),
                    get_text(ep, "protocol"), endpoint_place(ep, place),
                    get_text(collision, "kind"), who ?: "-");
                say(c, "    since %s", get_text(collision, "since"));
                (void) culprit_remedy(collision, get_text(ep, "protocol"),
                                      (uint16_t) get_number(ep, "port"), true, remedies);
                json_array_foreach(remedies, j, remedy)
                        say(c, "    %s %s",
                            j == 0 ? "to free it:" : "        or:", json_string_value(remedy));
        }
}
