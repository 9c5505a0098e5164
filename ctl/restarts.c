/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/restarts.h"

#include "ctl/endpoints.h"
#include "ctl/output.h"
#include "ctl/state.h"

void say_restarts(const Ctl *c, const json_t *reservation)
{
        const char *unit = get_text(reservation, "unit");
        json_t *ep;
        size_t i;

        json_array_foreach(get_array(reservation, "endpoints"), i, ep) {
                char place[ENDPOINT_PLACE_MAX];

                if (json_is_true(json_object_get(ep, "restart_needed")))
                        say(c, "%s: %s %s: %s gets it at its next restart: systemctl restart %s",
                            get_text(reservation, "name"), get_text(ep, "protocol"),
                            endpoint_place(ep, place), unit, unit);
        }
}
