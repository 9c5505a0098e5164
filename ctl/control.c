/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/control.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/bus-client.h"
#include "kernel/runtime.h"

#define BUS_PATH      "/org/portreserved1"
#define BUS_INTERFACE "org.portreserved1"
#define BUS_ERROR     BUS_INTERFACE ".Error."

/* A reload binds thousands of sockets. */
#define TIMEOUT_USEC (120u * 1000000u)

/* How a call failed: by the daemon's own names, else by what became of the connection. */
static Exit exit_code(const sd_bus_error *error, int r)
{
        static const struct {
                const char *name;
                Exit code;
        } names[] = {
                { BUS_ERROR "ConfigurationInvalid", EXIT_CONFIGURATION },
                { BUS_ERROR "NotFound", EXIT_NOT_FOUND },
                { BUS_ERROR "Denied", EXIT_DENIED },
                { BUS_ERROR "InUse", EXIT_IN_USE },
                { SD_BUS_ERROR_ACCESS_DENIED, EXIT_DENIED },
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(error, names[i].name))
                        return names[i].code;
        switch (-r) {
        case ENOENT:
        case ECONNREFUSED:
                return EXIT_NOT_RUNNING;
        case EACCES:
        case EPERM:
        case ECONNRESET: /* not admitted: closed before a word is said */
        case EPIPE:
        case ENOTCONN:
                return EXIT_DENIED;
        default:
                return EXIT_FAILED;
        }
}

Exit control_call(const Ctl *c, char **ret, const char *method, const char *types, ...)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        const char *text = NULL;
        char path[PATH_MAX];
        Exit e = EXIT_OK;
        va_list ap;
        int r;

        r = path_join(path, sizeof(path), c->runtime_dir, RUNTIME_CONTROL);
        if (r >= 0)
                r = bus_client_open(path, TIMEOUT_USEC, &bus);
        if (r >= 0) {
                va_start(ap, types);
                r = sd_bus_call_methodv(bus, NULL, BUS_PATH, BUS_INTERFACE, method, &error, &reply,
                                        types, ap);
                va_end(ap);
        }
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0) {
                e = exit_code(&error, r);
                text = e == EXIT_DENIED && !strstr(error.name ?: "", BUS_ERROR)
                               ? "only root and the users of the configuration may do that"
                               : error.message ?: strerror(-r);
        }
        *ret = strdup(text);
        return e;
}
