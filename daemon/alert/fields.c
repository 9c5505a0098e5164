/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "daemon/alert/describe.h"
#include "model/json.h"

static void _printf_(2, 3) add(Fields *f, const char *format, ...)
{
        char *text;
        va_list ap;
        int l;

        if (f->n >= FIELDS_MAX)
                return;
        va_start(ap, format);
        l = vasprintf(&text, format, ap);
        va_end(ap);
        if (l >= 0)
                f->iov[f->n++] = (struct iovec){ .iov_base = text, .iov_len = (size_t) l };
}

static void add_text(Fields *f, const char *name, const char *value)
{
        if (value)
                add(f, "%s=%s", name, value);
}

static void add_time(Fields *f, const char *name, uint64_t realtime_usec)
{
        char text[TIME_TEXT_MAX];

        if (realtime_usec)
                add(f, "%s=%s", name, time_format(realtime_usec, text));
}

/* Its socket, and how it got the port. */
static void add_socket(Fields *f, const Holder *h)
{
        _cleanup_(freep) char *socket = describe_socket(h);
        char text[ADDRESS_PORT_TEXT_MAX];
        const Socket *s = &h->socket;

        add(f, "PORTRESERVED_KIND=%s", kind_to_string(h->kind));
        add(f, "PORTRESERVED_HOW=%s", describe_how(h));
        add_text(f, "PORTRESERVED_SOCKET", socket);
        add(f, "PORTRESERVED_STATE=%s", socket_state_to_string(s->protocol, s->state));
        add(f, "PORTRESERVED_LOCAL=%s", address_format_port(&s->local, s->local_port, text));
        if (s->remote_port)
                add(f, "PORTRESERVED_PEER=%s",
                    address_format_port(&s->remote, s->remote_port, text));
        if (s->automatic != TRI_UNKNOWN)
                add(f, "PORTRESERVED_AUTOMATIC=%s", s->automatic == TRI_YES ? "yes" : "no");
        add_time(f, "PORTRESERVED_SINCE", h->since_usec);
}

static void add_culprit(Fields *f, const Holder *h)
{
        _cleanup_(freep) char *who = holder_describe(h);

        add_text(f, "PORTRESERVED_CULPRIT", who);
        add(f, "PORTRESERVED_CULPRIT_CERTAIN=%s", h->certain ? "yes" : "no");
        add_text(f, "PORTRESERVED_CULPRIT_UNIT", h->unit);
        add_text(f, "PORTRESERVED_CULPRIT_USER_UNIT", h->user_unit);
        add_text(f, "PORTRESERVED_CULPRIT_CGROUP", h->cgroup);
        add_text(f, "PORTRESERVED_CULPRIT_CONTAINER", h->container);
        if (h->pid > 0)
                add(f, "PORTRESERVED_CULPRIT_PID=%d", (int) h->pid);
        add_text(f, "PORTRESERVED_CULPRIT_EXE", h->exe);
        add_text(f, "PORTRESERVED_CULPRIT_COMMAND", h->command);
        if (socket_uid_known(&h->socket))
                add(f, "PORTRESERVED_CULPRIT_UID=%u", (unsigned) h->socket.uid);
        add_text(f, "PORTRESERVED_CULPRIT_USER", h->user);
        add_time(f, "PORTRESERVED_CULPRIT_STARTED", h->started_usec);
}

/* Which port of which reservation. */
static void add_place(Fields *f, const Event *e)
{
        char address[ADDRESS_TEXT_MAX];

        if (e->reservation) {
                add(f, "PORTRESERVED_NAME=%s", e->reservation->name);
                add_text(f, "PORTRESERVED_UNIT", e->reservation->unit);
        }
        if (e->endpoint) {
                add(f, "PORTRESERVED_PROTOCOL=%s", protocol_to_string(e->endpoint->protocol));
                add(f, "PORTRESERVED_ADDRESS=%s", address_format(&e->endpoint->address, address));
        }
        if (e->port)
                add(f, "PORTRESERVED_PORT=%u", e->port);
}

void fields_fill(const Event *e, const char *message, unsigned suppressed, Fields *ret)
{
        *ret = (Fields){};
        if (suppressed)
                add(ret, "MESSAGE=%s (%u more not shown)", message, suppressed);
        else
                add(ret, "MESSAGE=%s", message);
        add(ret, "MESSAGE_ID=%s", event_kind_message_id(e->kind));
        add(ret, "PRIORITY=%d", event_kind_priority(e->kind));
        add(ret, "SYSLOG_IDENTIFIER=portreserved");
        add(ret, "PORTRESERVED_EVENT=%s", event_kind_to_string(e->kind));
        add_text(ret, "PORTRESERVED_DETAIL", e->detail);
        if (e->kind == EVENT_RESOLVED)
                add(ret, "PORTRESERVED_DURATION_USEC=%llu", (unsigned long long) e->duration_usec);
        add_place(ret, e);
        if (!e->holder)
                return;
        add_socket(ret, e->holder);
        add_culprit(ret, e->holder);
        if (e->endpoint && e->kind == EVENT_COLLISION) {
                _cleanup_(freep) char *remedy =
                        describe_remedy(e->holder, e->endpoint->protocol, e->port);

                add_text(ret, "PORTRESERVED_REMEDY", remedy);
        }
}

void fields_done(Fields *f)
{
        while (f->n > 0)
                free(f->iov[--f->n].iov_base);
}

/* systemd unescapes these four within double quotes (SHELL_NEED_ESCAPE of env-file.c), as a shell
 * does, and takes every other character as it is. */
static void put_quoted(FILE *f, const char *s)
{
        fputc('"', f);
        for (; *s; s++) {
                if (strchr("\"\\`$", *s))
                        fputc('\\', f);
                fputc(*s, f);
        }
        fputc('"', f);
}

char *fields_environment(const Fields *fields)
{
        char *text = NULL;
        size_t size = 0;
        bool ok = true;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        for (int i = 0; i < fields->n; i++) {
                const char *field = fields->iov[i].iov_base, *value = strchr(field, '=') + 1;
                /* One byte that is no UTF-8 would make systemd refuse the whole file. */
                _cleanup_(freep) char *clean = printable(value);

                if (!clean) {
                        ok = false;
                        break;
                }
                fprintf(f, "%.*s", (int) (value - field), field);
                put_quoted(f, clean);
                fputc('\n', f);
        }
        if (fclose(f) != 0 || !ok) {
                free(text);
                return NULL;
        }
        return text;
}
