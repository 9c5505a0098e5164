/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/pid1.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/cleanup.h"
#include "kernel/bus-client.h"
#include "model/unit-name.h"

#define PID1_PRIVATE "/run/systemd/private"

#define CALL_USEC (10 * 1000000u)

int pid1_open(sd_bus **ret)
{
        return bus_client_open(PID1_PRIVATE, CALL_USEC, ret);
}

int pid1_failed(sd_bus *bus, const char *unit, bool *ret_failed, char ***ret_names)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_(freep) char *state = NULL, *result = NULL;
        const char *path;
        int r;

        /* Not LoadUnit: what has failed is loaded, and a name from outside shall load nothing. */
        r = sd_bus_call_method(bus, PID1_NAME, PID1_PATH, PID1_MANAGER, "GetUnit", &error, &reply,
                               "s", unit);
        if (r < 0) {
                if (!sd_bus_error_has_name(&error, "org.freedesktop.systemd1.NoSuchUnit"))
                        return r;
                *ret_failed = false;
                *ret_names = NULL;
                return 0;
        }
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        r = sd_bus_get_property_strv(bus, PID1_NAME, path, PID1_UNIT, "Names", NULL, &names);
        if (r < 0)
                return r;
        r = sd_bus_get_property_string(bus, PID1_NAME, path, PID1_UNIT, "ActiveState", NULL,
                                       &state);
        if (r < 0)
                return r;
        *ret_failed = strcmp(state, "failed") == 0;
        if (*ret_failed && unit_name_has_suffix(unit, ".socket")) {
                r = sd_bus_get_property_string(bus, PID1_NAME, path, PID1_SOCKET, "Result", NULL,
                                               &result);
                if (r < 0)
                        return r;
                *ret_failed = strcmp(result, PID1_NO_RESOURCES) == 0;
        }
        *ret_names = TAKE_PTR(names);
        return 0;
}

int pid1_start(sd_bus *bus, const char *unit)
{
        /* It may not be loaded, as an instance of a template: then there is nothing to reset. */
        (void) sd_bus_call_method(bus, PID1_NAME, PID1_PATH, PID1_MANAGER, "ResetFailedUnit", NULL,
                                  NULL, "s", unit);
        return sd_bus_call_method(bus, PID1_NAME, PID1_PATH, PID1_MANAGER, "StartUnit", NULL, NULL,
                                  "ss", unit, "replace");
}
