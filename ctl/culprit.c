/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/culprit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/output.h"
#include "ctl/state.h"
#include "model/eviction.h"
#include "model/json.h"
#include "model/unit-name.h"

static bool known(const json_t *holder, const char *key)
{
        const json_t *v = json_object_get(holder, key);

        return v && !json_is_null(v);
}

static const char *text_or_null(const json_t *holder, const char *key)
{
        return known(holder, key) ? get_text(holder, key) : NULL;
}

/* As holder_describe() calls it, but for the cgroup path: commands take units. */
static void put_unit(FILE *f, const json_t *holder)
{
        uid_t uid = known(holder, "uid") ? (uid_t) get_number(holder, "uid") : UID_INVALID;

        if (!holder_put_inner(f, text_or_null(holder, "container"),
                              text_or_null(holder, "user_unit"), text_or_null(holder, "unit"),
                              text_or_null(holder, "user"), uid))
                fputs(get_text(holder, "unit"), f);
}

static void put_user(FILE *f, const json_t *holder)
{
        if (known(holder, "user"))
                fprintf(f, "a process of user %s", get_text(holder, "user"));
        else if (known(holder, "uid"))
                fprintf(f, "a process of uid %lld", (long long) get_number(holder, "uid"));
        else
                fputs("nobody any more", f);
}

static void put_name(FILE *f, const json_t *holder)
{
        bool unit = known(holder, "unit") || known(holder, "container"), pid = known(holder, "pid"),
             exe = known(holder, "exe");

        if (json_is_false(json_object_get(holder, "certain")))
                fputs("probably ", f);
        if (unit)
                put_unit(f, holder);
        else if (pid)
                fputs(exe ? get_text(holder, "exe") : "a process", f);
        else if (json_is_true(json_object_get(holder, "no_process")))
                fputs("the kernel itself", f);
        else
                put_user(f, holder);
        if (!pid) {
                if (unit && json_is_true(json_object_get(holder, "no_process")))
                        fputs(" (no process has it: the kernel's own)", f);
                return;
        }
        fprintf(f, " (pid %lld", (long long) get_number(holder, "pid"));
        if (unit && exe)
                fprintf(f, ", %s", get_text(holder, "exe"));
        fputc(')', f);
}

static char *text_of(const json_t *holder, bool with_socket)
{
        size_t size = 0;
        char *text = NULL;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        put_name(f, holder);
        if (with_socket) {
                fprintf(f, ", %s", get_text(holder, "local"));
                if (known(holder, "remote"))
                        fprintf(f, " -> %s", get_text(holder, "remote"));
                fprintf(f, " %s", get_text(holder, "state"));
        }
        return memstream_end(f, &text);
}

char *culprit_text(const json_t *holder)
{
        return text_of(holder, true);
}

char *culprit_name(const json_t *holder)
{
        return text_of(holder, false);
}

static void put_detail(FILE *f, const char *before, const char *text)
{
        fprintf(f, "%s%s%s", ftell(f) > 0 ? "; " : "", before, text);
}

/* To the second, and RFC 3339. */
static void put_time(FILE *f, const json_t *holder, const char *key, const char *before)
{
        char text[sizeof("2026-01-31T09:15:02Z")];

        if (!known(holder, key))
                return;
        (void) snprintf(text, sizeof(text), "%.19sZ", get_text(holder, key));
        put_detail(f, before, text);
}

char *culprit_details(const json_t *holder)
{
        const json_t *reuse = json_object_get(holder, "reuse");
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        if (known(holder, "user") && known(holder, "pid"))
                put_detail(f, "user ", get_text(holder, "user"));
        if (known(holder, "command")) {
                put_detail(f, "command: ", "");
                holder_put_command(f, get_text(holder, "command"));
        }
        put_time(f, holder, "started", "running since ");
        put_time(f, holder, "since", "seen there since ");
        if (json_is_boolean(reuse))
                put_detail(f, json_is_true(reuse) ? "with" : "without", " SO_REUSEADDR");
        if (known(holder, "expires_sec")) {
                put_detail(f, "goes within ", "");
                fprintf(f, "%lld s", (long long) get_number(holder, "expires_sec"));
        }
        return memstream_end(f, &text);
}

/* What remedies hang on. Only looked at: the strings stay the object's. */
static Holder to_holder(const json_t *holder, int protocol)
{
        const json_t *automatic = json_object_get(holder, "automatic");
        int kind = kind_from_string(get_text(holder, "kind"));
        SocketState state = socket_state_from_string(protocol, get_text(holder, "state"));

        return (Holder){
                .kind = kind < 0 ? KIND_NONE : (Kind) kind,
                .socket = {
                        .protocol = protocol,
                        .state = state,
                        .timewait = state == SOCKET_TIME_WAIT,
                        .automatic = json_is_boolean(automatic) ? json_is_true(automatic)
                                                                : TRI_UNKNOWN,
                },
                .certain = !json_is_false(json_object_get(holder, "certain")),
                .cgroup = (char *) text_or_null(holder, "cgroup"),
                .unit = (char *) text_or_null(holder, "unit"),
                .user_unit = (char *) text_or_null(holder, "user_unit"),
                .user = (char *) text_or_null(holder, "user"),
                .container = (char *) text_or_null(holder, "container"),
                .pid = (pid_t) get_number(holder, "pid"),
        };
}

/* The program itself has to go: for sockets that keep their port until they are closed. */
static int remedy_stop(const json_t *holder, const Holder *h, const char *protocol, uint16_t port,
                       json_t *array)
{
        _cleanup_(freep) char *command = holder_stop_command(h);

        if (command)
                return json_append_text(array, "%s", command);
        /* A tunnel's: VXLAN, Geneve, WireGuard. */
        if (json_is_true(json_object_get(holder, "no_process")) && strcmp(protocol, "udp") == 0)
                return json_append_text(array, "ip -details link show");
        return json_append_text(array, "ss --all --processes --numeric --%s 'sport = :%u'",
                                protocol, port);
}

static int remedy_kill(const json_t *holder, const char *protocol, const char *states,
                       json_t *array)
{
        return json_append_text(array, "ss --kill --numeric --%s%s src '%s' dst '%s'", protocol,
                                states, get_text(holder, "local"), get_text(holder, "remote"));
}

int culprit_remedy(const json_t *holder, const char *protocol, uint16_t port, bool evict,
                   json_t *array)
{
        const Holder h = to_holder(holder, protocol_from_string(protocol));
        bool connected = known(holder, "remote"),
             stoppable = h.unit && unit_name_is_stoppable(h.unit) && !strchr(h.unit, '\\') &&
                         h.certain && !h.container;
        int r;

        if (evict && eviction_frees(&h))
                return json_append_text(array, "portreservectl evict %u/%s", port, protocol);
        switch (h.kind) {
        case KIND_STALE:
                return connected ? remedy_kill(holder, protocol, " state all", array) : 0;
        case KIND_EPHEMERAL:
                if (!connected)
                        return remedy_stop(holder, &h, protocol, port, array);
                r = remedy_kill(holder, protocol, "", array);
                if (r >= 0 && stoppable)
                        r = json_append_text(array, "systemctl restart %s", h.unit);
                return r;
        case KIND_SQUATTER:
        case KIND_UNKNOWN:
                return remedy_stop(holder, &h, protocol, port, array);
        case KIND_OWNER:
                return stoppable ? json_append_text(array, "systemctl restart %s", h.unit) : 0;
        default:
                return 0;
        }
}
