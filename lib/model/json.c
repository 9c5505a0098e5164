/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/json.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/printable.h"

json_t *json_text(const char *s)
{
        _cleanup_(freep) char *text = NULL;

        if (!s)
                return json_null();
        text = printable(s);
        return text ? json_string(text) : NULL;
}

int json_append_text(json_t *array, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return json_array_append_new(array, json_text(text)) < 0 ? -ENOMEM : 0;
}

const char *time_format(uint64_t realtime_usec, char buf[static TIME_TEXT_MAX])
{
        time_t seconds = (time_t) (realtime_usec / 1000000);
        struct tm tm;
        size_t n;

        if (!gmtime_r(&seconds, &tm))
                memset(&tm, 0, sizeof(tm));
        n = strftime(buf, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
        if (n == 0 || n + sizeof(".123456Z") > TIME_TEXT_MAX)
                return strcpy(buf, "1970-01-01T00:00:00.000000Z");
        (void) snprintf(buf + n, TIME_TEXT_MAX - n, ".%06uZ", (unsigned) (realtime_usec % 1000000));
        return buf;
}

/* "ADDR:PORT", or null where there is no port: nothing is known, or nobody is at the other end. */
static json_t *address_text(const Address *a, uint16_t port)
{
        char buf[ADDRESS_PORT_TEXT_MAX];

        return port == 0 ? json_null() : json_text(address_format_port(a, port, buf));
}

static json_t *tristate_value(Tristate t)
{
        return t == TRI_UNKNOWN ? json_null() : json_boolean(t == TRI_YES);
}

static json_t *time_value(uint64_t realtime_usec)
{
        char buf[TIME_TEXT_MAX];

        return realtime_usec > 0 ? json_text(time_format(realtime_usec, buf)) : json_null();
}

/* Rounded up: with 0 it would be gone. */
static json_t *seconds_value(uint64_t usec)
{
        return usec > 0 ? json_integer((json_int_t) ((usec - 1) / 1000000 + 1)) : json_null();
}

json_t *json_from_holder(const Holder *h)
{
        const Socket *s = &h->socket;

        /* Rows that belong to no process (TIME_WAIT, orphans) come with uid 0, which is nobody's
         * then. */
        return json_pack(
                "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                "s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b}",
                "kind", json_text(kind_to_string(h->kind)), "state",
                s->state ? json_text(socket_state_to_string(s->protocol, s->state)) : json_null(),
                "local", address_text(&s->local, s->local_port), "remote",
                address_text(&s->remote, s->remote_port), "unit", json_text(h->unit), "cgroup",
                json_text(h->cgroup), "pid", h->pid > 0 ? json_integer(h->pid) : json_null(), "exe",
                json_text(h->exe), "uid", socket_uid_known(s) ? json_integer(s->uid) : json_null(),
                "since", time_value(h->since_usec), "user", json_text(h->user), "user_unit",
                json_text(h->user_unit), "container", json_text(h->container), "command",
                json_text(h->command), "started", time_value(h->started_usec), "automatic",
                tristate_value(s->automatic), "expires_sec", seconds_value(s->expires_usec),
                "reuse", tristate_value(s->reuse), "no_process", (int) h->no_process, "certain",
                (int) h->certain, "mptcp", (int) s->mptcp);
}

void json_drop_repeated(json_t *array)
{
        for (size_t i = 0; i < json_array_size(array); i++)
                for (size_t j = json_array_size(array); --j > i;)
                        if (json_equal(json_array_get(array, i), json_array_get(array, j)))
                                (void) json_array_remove(array, j);
}

json_t *json_source(const char *file, unsigned line)
{
        _cleanup_(freep) char *text = NULL;

        if (!file)
                return json_null();
        if (line == 0) /* the file as a whole: a unit's */
                return json_text(file);
        if (asprintf(&text, "%s:%u", file, line) < 0) {
                text = NULL;
                return NULL;
        }
        return json_text(text);
}

json_t *json_from_reservation(const Reservation *r)
{
        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "name", json_text(r->name),
                         "unit", json_text(r->unit), "user", json_text(r->user), "source",
                         json_source(r->file, r->line), "socket_unit", json_text(r->socket_unit),
                         "hold", json_text(hold_mode_to_string(r->hold)), "exclusive",
                         json_text(exclusive_to_string(r->exclusive)), "enforced", 0);
}

json_t *json_from_endpoint(const Endpoint *e, uint16_t port, uint16_t last, const char *state,
                           bool reserved, bool restart_needed, json_t *collision)
{
        char address[ADDRESS_TEXT_MAX];

        return json_pack("{s:o, s:o, s:i, s:i, s:o, s:b, s:b, s:o}", "protocol",
                         json_text(protocol_to_string(e->protocol)), "address",
                         json_text(address_format(&e->address, address)), "port", (int) port,
                         "last", (int) last, "state", json_text(state), "reserved", (int) reserved,
                         "restart_needed", (int) restart_needed, "collision",
                         collision ? collision : json_null());
}

json_t *json_error_object(const char *name, const char *message, int exit_code)
{
        return json_pack("{s:o, s:o, s:i}", "error", json_text(name), "message", json_text(message),
                         "exit", exit_code);
}

static json_t *diagnostics_array(const Diagnostic *d, size_t n)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < n; i++) {
                json_t *o = json_pack("{s:o, s:o, s:o}", "file", json_text(d[i].file), "line",
                                      d[i].line > 0 ? json_integer(d[i].line) : json_null(),
                                      "message", json_text(d[i].message));

                if (json_array_append_new(array, o) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

json_t *json_from_diagnostics(const Config *c)
{
        json_t *o;

        o = json_pack("{s:o, s:o}", "errors", diagnostics_array(c->errors, c->n_errors), "warnings",
                      diagnostics_array(c->warnings, c->n_warnings));

        if (o && c->n_errors_dropped > 0 &&
            json_object_set_new(o, "errors_dropped",
                                json_integer((json_int_t) c->n_errors_dropped)) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}
