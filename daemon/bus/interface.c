/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/interface.h"

#include <errno.h>
#include <string.h>

#include "daemon/alert/log.h"

#define ERROR_NOT_FOUND             INTERFACE_NAME ".Error.NotFound"
#define ERROR_DENIED                INTERFACE_NAME ".Error.Denied"
#define ERROR_IN_USE                INTERFACE_NAME ".Error.InUse"
#define ERROR_CONFIGURATION_INVALID INTERFACE_NAME ".Error.ConfigurationInvalid"
#define ERROR_FAILED                INTERFACE_NAME ".Error.Failed"

/* The kernel takes 253 in a message, of which sd-bus leaves one out (252). */
#define OPEN_FDS_MAX 252u

static int reply_string(sd_bus_message *m, const char *text)
{
        return sd_bus_reply_method_return(m, "s", text);
}

/* text: what the operator is told; NULL: what errno says. */
static int fail(sd_bus_error *error, const char *name, int r, const char *text)
{
        return sd_bus_error_setf(error, name, "%s", text && *text ? text : strerror(-r));
}

/* Where memory does not suffice for an answer, sd-bus drops it without a word, and the caller would
 * wait for its time-out: better it sees the connection end. */
static int answered(Peer *p, int r)
{
        if (r == -ENOMEM)
                peer_hang_up(p);
        return r;
}

static int method_get_state(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(freep) char *json = NULL;
        Peer *p = userdata;
        int r;

        r = answered(p, peer_ops(p)->state(&json, peer_userdata(p)));
        if (r < 0)
                return fail(error, ERROR_FAILED, r, NULL);
        return answered(p, reply_string(m, json));
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(freep) char *json = NULL, *text = NULL;
        Peer *p = userdata;
        int r;

        /* A reservation's User= may have its sockets, not everybody's configuration. */
        if (peer_uid(p) != 0 && peer_uid(p) != geteuid()) {
                log_notice("Denied a reload to uid %u, pid %d", (unsigned) peer_uid(p),
                           (int) peer_pid(p));
                return fail(error, ERROR_DENIED, -EPERM, "Only root may reload; run it with sudo");
        }
        r = answered(p, peer_ops(p)->reload(&json, &text, peer_userdata(p)));
        if (r == -EINVAL || r == -EBADMSG)
                return fail(error, ERROR_CONFIGURATION_INVALID, r, text);
        if (r < 0)
                return fail(error, ERROR_FAILED, r, text);
        return answered(p, reply_string(m, json));
}

static int reply_sockets(sd_bus_message *m, const int *fds, size_t n, char **names)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "h");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(reply, "h", fds[i]);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append_strv(reply, names);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static const char *error_name(int r)
{
        switch (r) {
        case -ENOENT:
                return ERROR_NOT_FOUND;
        case -EPERM:
        case -EACCES:
                return ERROR_DENIED;
        case -EADDRINUSE:
                return ERROR_IN_USE;
        default:
                return ERROR_FAILED;
        }
}

static int method_open(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_(freep) char *text = NULL;
        _cleanup_(freep) int *fds = NULL;
        _cleanup_(closep) int pidfd = -1;
        Peer *p = userdata;
        BusCaller caller;
        const char *name;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        /* Its life is what the opening lasts for, and it cannot be followed. */
        if (peer_pid(p) == 0)
                return fail(error, ERROR_DENIED, -EPERM, "The caller is in another pid namespace");
        pidfd = peer_pidfd(p);
        if (pidfd < 0)
                return fail(error, ERROR_FAILED, pidfd, NULL);
        caller = (BusCaller){ .uid = peer_uid(p), .pid = peer_pid(p), .pidfd = pidfd };
        r = answered(p,
                     peer_ops(p)->open(name, &caller, &fds, &n, &names, &text, peer_userdata(p)));
        if (r < 0)
                return fail(error, error_name(r), r, text);
        if (n > OPEN_FDS_MAX)
                return fail(error, ERROR_FAILED, -E2BIG,
                            "More sockets than one message carries (252)");
        return answered(p, reply_sockets(m, fds, n, names));
}

static int method_evict(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(freep) char *json = NULL, *text = NULL;
        Peer *p = userdata;
        BusEviction q = { .uid = peer_uid(p), .pid = peer_pid(p) };
        const char *protocol;
        int dry_run, r;

        r = sd_bus_message_read(m, "qsb", &q.port, &protocol, &dry_run);
        if (r < 0)
                return r;
        q.dry_run = dry_run;
        if (*protocol)
                q.protocol = protocol_from_string(protocol);
        if (q.port == 0 || q.protocol < 0)
                return fail(error, SD_BUS_ERROR_INVALID_ARGS, -EINVAL,
                            "A port from 1 to 65535, and tcp, udp or nothing");
        r = answered(p, peer_ops(p)->evict(&q, &json, &text, peer_userdata(p)));
        if (r < 0)
                return fail(error, error_name(r), r, text);
        return answered(p, reply_string(m, json));
}

static int method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        peer_subscribe(userdata);
        return sd_bus_reply_method_return(m, "");
}

static int method_hello(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return reply_string(m, ":1.1");
}

/* Admission was by credentials, so each method is open to every peer (UNPRIVILEGED) and refuses by
 * itself. */
static const sd_bus_vtable interface_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetState", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
                                method_get_state, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Open", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("ah", sockets, "as", names), method_open,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Evict", SD_BUS_ARGS("q", port, "s", protocol, "b", dry_run),
                                SD_BUS_RESULT("s", json), method_evict, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_subscribe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("s", json), 0),
        SD_BUS_VTABLE_END,
};

/* busctl and others that take us for a bus say Hello first. */
static const sd_bus_vtable driver_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Hello", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", unique_name),
                                method_hello, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int interface_add(sd_bus *bus, Peer *p)
{
        int r;

        r = sd_bus_add_object_vtable(bus, NULL, INTERFACE_PATH, INTERFACE_NAME, interface_vtable,
                                     p);
        if (r < 0)
                return r;
        return sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                        driver_vtable, p);
}

int interface_emit_event(sd_bus *bus, const char *json)
{
        return sd_bus_emit_signal(bus, INTERFACE_PATH, INTERFACE_NAME, "Event", "s", json);
}
