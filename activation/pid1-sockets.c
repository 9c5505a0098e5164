/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/pid1-sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "activation/pid1.h"
#include "base/cleanup.h"
#include "model/socket-unit.h"
#include "model/unit-name.h"

/* What we are ready to ask PID 1 about. */
#define UNITS_MAX 16384u

/* A unit that has gone meanwhile, or has no such property in this version of systemd, is nothing to
 * fail for. */
static int forgive(int r, const sd_bus_error *error)
{
        static const char *const forgiven[] = {
                SD_BUS_ERROR_UNKNOWN_OBJECT,
                SD_BUS_ERROR_UNKNOWN_INTERFACE,
                SD_BUS_ERROR_UNKNOWN_PROPERTY,
                "org.freedesktop.systemd1.NoSuchUnit",
        };

        for (size_t i = 0; r < 0 && i < ELEMENTSOF(forgiven); i++)
                if (sd_bus_error_has_name(error, forgiven[i]))
                        r = 0;
        return r;
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *name,
                      char **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        *ret = NULL;
        r = sd_bus_get_property_string(bus, PID1_NAME, path, interface, name, &error, ret);
        return forgive(r, &error);
}

static int get_number(sd_bus *bus, const char *path, const char *name, char type, int *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        *ret = 0;
        r = sd_bus_get_property_trivial(bus, PID1_NAME, path, PID1_SOCKET, name, &error, type, ret);
        return forgive(r, &error);
}

/* Its service, or the template of its services (Accept=yes). */
static int write_service(sd_bus *bus, const char *unit, const char *path, FILE *f)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(strv_freep) char **triggers = NULL;
        int accept, r;
        size_t n;

        r = get_number(bus, path, "Accept", 'b', &accept);
        if (r < 0)
                return r;
        if (accept) {
                n = strchr(unit, '@') ? strcspn(unit, "@") : strlen(unit) - strlen(".socket");
                fprintf(f, "%.*s@.service", (int) n, unit);
                return 0;
        }
        r = sd_bus_get_property_strv(bus, PID1_NAME, path, PID1_UNIT, "Triggers", &error,
                                     &triggers);
        for (char **t = triggers; t && *t; t++)
                if (unit_name_has_suffix(*t, ".service")) {
                        fputs(*t, f);
                        return 0;
                }
        fputc('-', f);
        return forgive(r, &error);
}

/* The Listen property: pairs of a kind and an address. Addresses of IP begin with a digit or a
 * bracket, those of all else do not. */
static int write_endpoints(sd_bus *bus, const char *path, bool v6only, bool *ret_any, FILE *f)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *kind, *address;
        int r;

        r = sd_bus_get_property(bus, PID1_NAME, path, PID1_SOCKET, "Listen", &error, &m, "a(ss)");
        if (r < 0)
                return forgive(r, &error);
        r = sd_bus_message_enter_container(m, 'a', "(ss)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", &kind, &address)) > 0) {
                bool datagram = strcmp(kind, "Datagram") == 0;

                if ((!datagram && strcmp(kind, "Stream") != 0) ||
                    !strchr("[0123456789", *address) || strpbrk(address, " \n"))
                        continue;
                *ret_any = true;
                fprintf(f, "%s %s%s\n", datagram ? "datagram" : "stream", address,
                        v6only ? " v6only" : "");
        }
        return r < 0 ? r : 0;
}

/* TCP and UDP of the host's own network. Multipath TCP has TCP's ports. */
static int has_host_ports(sd_bus *bus, const char *path)
{
        _cleanup_(freep) char *namespace = NULL;
        int protocol, private, r;

        r = get_number(bus, path, "SocketProtocol", 'i', &protocol);
        if (r >= 0)
                r = get_number(bus, path, "PrivateNetwork", 'b', &private);
        if (r >= 0)
                r = get_string(bus, path, PID1_SOCKET, "NetworkNamespacePath", &namespace);
        if (r < 0)
                return r;
        return (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
                protocol == IPPROTO_MPTCP) &&
               !private && !(namespace && *namespace);
}

static int get_state(sd_bus *bus, const char *path, const char *active, SocketUnitState *ret)
{
        _cleanup_(freep) char *result = NULL;
        int r;

        *ret = strcmp(active, "active") == 0 ? SOCKET_UNIT_ACTIVE : SOCKET_UNIT_INACTIVE;
        if (strcmp(active, "failed") != 0)
                return 0;
        r = get_string(bus, path, PID1_SOCKET, "Result", &result);
        if (r >= 0 && result && strcmp(result, PID1_NO_RESOURCES) == 0)
                *ret = SOCKET_UNIT_FAILED;
        return r;
}

/* The unit's lines, once it is known that it has a port. */
static int write_unit(sd_bus *bus, const char *unit, const char *active, const char *path,
                      const char *endpoints, FILE *f)
{
        _cleanup_(freep) char *file = NULL;
        SocketUnitState state;
        int r;

        r = has_host_ports(bus, path);
        if (r <= 0)
                return r;
        r = get_state(bus, path, active, &state);
        if (r >= 0)
                r = get_string(bus, path, PID1_UNIT, "FragmentPath", &file);
        if (r < 0)
                return r;
        fprintf(f, "unit %s %s ", unit, socket_unit_state_to_string(state));
        r = write_service(bus, unit, path, f);
        fprintf(f, " %s\n%s", file && *file && !strchr(file, '\n') ? file : "-", endpoints);
        return r;
}

static int look_at_unit(sd_bus *bus, const char *unit, const char *active, const char *path,
                        FILE *f)
{
        _cleanup_(freep) char *v6only = NULL, *endpoints = NULL;
        bool any = false;
        size_t size = 0;
        FILE *lines;
        int r;

        r = get_string(bus, path, PID1_SOCKET, "BindIPv6Only", &v6only);
        if (r < 0)
                return r;
        lines = open_memstream(&endpoints, &size);
        if (!lines)
                return -ENOMEM;
        r = write_endpoints(bus, path, v6only && strcmp(v6only, "ipv6-only") == 0, &any, lines);
        if (fclose(lines) != 0)
                return -ENOMEM;
        return r < 0 || !any ? r : write_unit(bus, unit, active, path, endpoints, f);
}

int pid1_write_sockets(sd_bus *bus, FILE *f)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *unit, *load, *active, *path;
        unsigned n = 0;
        int r;

        r = sd_bus_call_method(bus, PID1_NAME, PID1_PATH, PID1_MANAGER, "ListUnitsByPatterns", NULL,
                               &reply, "asas", 0, 1, "*.socket");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        while (r >= 0 && n < UNITS_MAX &&
               (r = sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, &load, &active, NULL,
                                        NULL, &path, NULL, NULL, NULL)) > 0) {
                if (strcmp(load, "loaded") != 0 || !unit_name_valid(unit))
                        continue;
                n++;
                r = look_at_unit(bus, unit, active, path, f);
        }
        if (r < 0)
                return r;
        fputs("end\n", f);
        return 0;
}
