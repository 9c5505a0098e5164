/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/units/bell.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"

#define BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"
#define PID1_NAME   "org.freedesktop.systemd1"
#define PID1_PATH   "/org/freedesktop/systemd1"
#define PID1_UNITS  PID1_PATH "/unit"
#define PID1_ROOT   PID1_NAME ".Manager"
#define PID1_SOCKET PID1_NAME ".Socket"
#define LOCAL       "org.freedesktop.DBus.Local"

#define RETRY_USEC (2 * USEC_PER_SEC)

struct Bell {
        sd_event *event;
        BellOps ops;
        void *userdata;
        sd_bus *bus;
        sd_event_source *retry;
        bool hears;
};

static void ring(Bell *b)
{
        b->ops.ring(b->userdata);
}

static bool is_socket(const char *unit)
{
        const char *dot = strrchr(unit, '.');

        return dot && strcmp(dot, ".socket") == 0;
}

/* The connection is made anew by the timer: in one of its own callbacks it cannot be freed. */
static void reconnect(Bell *b)
{
        b->hears = false;
        (void) sd_event_source_set_time_relative(b->retry, RETRY_USEC);
        (void) sd_event_source_set_enabled(b->retry, SD_EVENT_ONESHOT);
}

static int on_unit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *unit;

        if (sd_bus_message_read(m, "s", &unit) >= 0 && is_socket(unit))
                ring(userdata);
        return 0;
}

static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        int active = true;

        if (sd_bus_message_read(m, "b", &active) >= 0 && !active)
                ring(userdata);
        return 0;
}

/* The Result in a PropertiesChanged. It always comes along; NULL where it does not. */
static const char *read_result(sd_bus_message *m)
{
        const char *name, *result = NULL;
        int r;

        if (sd_bus_message_skip(m, "s") < 0 || sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
                return NULL;
        while (!result && sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0 && strcmp(name, "Result") == 0)
                        r = sd_bus_message_read(m, "v", "s", &result);
                else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r < 0 || sd_bus_message_exit_container(m) < 0)
                        return NULL;
        }
        return result;
}

/* It comes with every change of a unit's state, and with every client of a socket with Accept=yes:
 * that one tells nothing new. */
static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(freep) char *name = NULL;
        const SocketUnit *u;
        const char *result;
        Bell *b = userdata;
        bool failed;

        if (sd_bus_path_decode(sd_bus_message_get_path(m), PID1_UNITS, &name) <= 0)
                return 0;
        u = b->ops.find(name, b->userdata);
        if (!u)
                return 0; /* it has no ports; a new one is heard of by UnitNew */
        result = read_result(m);
        failed = result && strcmp(result, "resources") == 0;
        if (u->state == SOCKET_UNIT_INACTIVE || failed != (u->state == SOCKET_UNIT_FAILED))
                ring(b);
        return 0;
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Bell *b = userdata;

        if (e && !sd_bus_error_has_name(e, PID1_NAME ".AlreadySubscribed")) {
                reconnect(b);
                return 0;
        }
        /* Whatever happened before was not heard. */
        b->hears = true;
        ring(b);
        return 0;
}

static int subscribe(Bell *b)
{
        return sd_bus_call_method_async(b->bus, NULL, PID1_NAME, PID1_PATH, PID1_ROOT, "Subscribe",
                                        on_subscribed, b, NULL);
}

/* PID 1 itself has come back to the bus (daemon-reexec). */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        if (subscribe(userdata) < 0)
                reconnect(userdata);
        return 0;
}

static int add_matches(Bell *b)
{
        static const struct {
                const char *member;
                sd_bus_message_handler_t handler;
        } signals[] = {
                { "UnitNew", on_unit },
                { "UnitRemoved", on_unit },
                { "Reloading", on_reloading },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_bus_match_signal_async(b->bus, NULL, PID1_NAME, PID1_PATH, PID1_ROOT,
                                              signals[i].member, signals[i].handler, NULL, b);
                if (r < 0)
                        return r;
        }
        /* Of a unit's properties PID 1 tells by kind first: of all the others' changes we get none. */
        r = sd_bus_add_match_async(b->bus, NULL,
                                   "type='signal',sender='" PID1_NAME
                                   "',interface='org.freedesktop.DBus.Properties',"
                                   "member='PropertiesChanged',arg0='" PID1_SOCKET "'",
                                   on_changed, NULL, b);
        if (r < 0)
                return r;
        return sd_bus_add_match_async(
                b->bus, NULL,
                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                "member='NameOwnerChanged',arg0='" PID1_NAME "'",
                on_owner, NULL, b);
}

static int on_connected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bell *b = userdata;

        if (add_matches(b) < 0 || subscribe(b) < 0)
                reconnect(b);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        reconnect(userdata);
        return 0;
}

static int connect_bus(Bell *b)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_description(bus, "units");
        if (r >= 0)
                r = sd_bus_set_address(bus, BUS_ADDRESS);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        /* Where there is no bus yet, inotify tells when it comes. */
        if (r >= 0)
                r = sd_bus_set_watch_bind(bus, true);
        if (r >= 0)
                r = sd_bus_set_connected_signal(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, b->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, LOCAL, NULL, LOCAL, "Connected",
                                              on_connected, NULL, b);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, LOCAL, NULL, LOCAL, "Disconnected",
                                              on_disconnected, NULL, b);
        if (r < 0)
                return r;
        b->bus = TAKE_PTR(bus);
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        Bell *b = userdata;

        b->bus = sd_bus_close_unref(b->bus);
        if (connect_bus(b) < 0)
                reconnect(b);
        return 0;
}

int bell_new(sd_event *event, const BellOps *ops, void *userdata, Bell **ret)
{
        _cleanup_(bell_freep) Bell *b = NULL;
        int r;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->ops = *ops;
        b->userdata = userdata;
        r = sd_event_add_time_relative(event, &b->retry, CLOCK_MONOTONIC, 0, 0, on_retry, b);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

Bell *bell_free(Bell *b)
{
        if (!b)
                return NULL;
        sd_event_source_disable_unref(b->retry);
        sd_bus_close_unref(b->bus);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}

bool bell_hears(const Bell *b)
{
        return b && b->hears;
}
