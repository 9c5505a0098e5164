/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

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

static void add_culprit(Fields *f, const Holder *h)
{
        char peer[ADDRESS_PORT_TEXT_MAX];

        add(f, "PORTRESERVED_KIND=%s", kind_to_string(h->kind));
        add(f, "PORTRESERVED_STATE=%s",
            socket_state_to_string(h->socket.protocol, h->socket.state));
        if (h->socket.remote_port)
                add(f, "PORTRESERVED_PEER=%s",
                    address_format_port(&h->socket.remote, h->socket.remote_port, peer));
        if (h->unit)
                add(f, "PORTRESERVED_CULPRIT_UNIT=%s", h->unit);
        if (h->pid > 0)
                add(f, "PORTRESERVED_CULPRIT_PID=%d", (int) h->pid);
        if (h->exe)
                add(f, "PORTRESERVED_CULPRIT_EXE=%s", h->exe);
        if (socket_uid_known(&h->socket))
                add(f, "PORTRESERVED_CULPRIT_UID=%u", (unsigned) h->socket.uid);
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
        if (e->reservation)
                add(ret, "PORTRESERVED_NAME=%s", e->reservation->name);
        if (e->endpoint)
                add(ret, "PORTRESERVED_PROTOCOL=%s", protocol_to_string(e->endpoint->protocol));
        if (e->port)
                add(ret, "PORTRESERVED_PORT=%u", e->port);
        if (e->holder)
                add_culprit(ret, e->holder);
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
