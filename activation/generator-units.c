/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/generator-units.h"

#include <arpa/inet.h>
#include <string.h>

#include "kernel/runtime.h"

/* What one start of the helper is told of: its request has to fit into one message. */
#define BYTES_MAX (HANDOVER_MESSAGE_MAX - 64)

/* Where the helper is put in a root of its own: /run is empty and writable there, the rest may be
 * read-only. */
#define HELPER_INSIDE "/run/portreserved-handover"

/* PID 1 expands '%' in nearly every value. */
static void put_escaped(const char *s, FILE *f)
{
        for (; *s; s++) {
                if (*s == '%')
                        fputc('%', f);
                fputc(*s, f);
        }
}

/* For command lines and lists: in quotes where a blank or a quote is in it. '$' is doubled too
 * where asked. */
static void put_word(const char *s, bool command, FILE *f)
{
        bool quote = strpbrk(s, " \t\"'\\;") || !*s;

        if (quote)
                fputc('"', f);
        for (; *s; s++) {
                if (*s == '%' || (command && *s == '$'))
                        fputc(*s, f);
                else if (*s == '"' || *s == '\\')
                        fputc('\\', f);
                fputc(*s, f);
        }
        if (quote)
                fputc('"', f);
}

static void put_header(const char *source, unsigned line, FILE *f)
{
        if (line > 0)
                fprintf(f,
                        "# Generated from %s:%u. Change that, or add a drop-in; what is written "
                        "here is lost.\n\n",
                        source, line);
        else
                fputs("# Generated from portreserved.conf. Change that; what is written here is "
                      "lost.\n\n",
                      f);
}

/* An address that may not be there yet when sockets.target is reached. */
static bool needs_free_bind(const Reservation *r)
{
        for (size_t i = 0; i < r->n_endpoints; i++) {
                const Endpoint *e = &r->endpoints[i];

                if (!e->listen || address_is_wildcard(&e->address))
                        continue;
                if (e->address.family == AF_INET ? ntohl(e->address.in.s_addr) >> 24 != 127
                                                 : !IN6_IS_ADDR_LOOPBACK(&e->address.in6))
                        return true;
        }
        return false;
}

/* A device, or a command, may need more of the system than there is that early. */
static bool may_be_early(const Reservation *r)
{
        for (size_t i = 0; i < r->n_socket_keys; i++)
                if (strcmp(r->socket_keys[i].key, "BindToDevice") == 0 ||
                    strncmp(r->socket_keys[i].key, "Exec", strlen("Exec")) == 0)
                        return false;
        return true;
}

/* Other .socket units come after sysinit.target. Until they listen, with hundreds of them for a good
 * part of a second, their ports are only reserved, and whoever binds one explicitly has it. */
void generator_socket_unit(const Reservation *r, const char *service, FILE *f)
{
        put_header(r->file, r->line, f);
        fputs("[Unit]\nDescription=", f);
        put_escaped(r->description ? r->description : "Reserved port of ", f);
        if (!r->description)
                put_escaped(service, f);
        fputs("\nDocumentation=man:portreserved.conf(5)\n", f);
        if (r->file[0] == '/') {
                fputs("SourcePath=", f);
                put_escaped(r->file, f);
                fputc('\n', f);
        }
        if (may_be_early(r))
                fputs("DefaultDependencies=no\n"
                      "After=systemd-sysctl.service\n"
                      "Before=portreserved.service sysinit.target sockets.target shutdown.target\n"
                      "Conflicts=shutdown.target\n",
                      f);

        fputs("\n[Socket]\n", f);
        for (size_t i = 0; i < r->n_endpoints; i++)
                if (r->endpoints[i].listen)
                        config_format_listen(&r->endpoints[i], true, f);
        fprintf(f, "Service=");
        put_escaped(service, f);
        fputc('\n', f);
        if (!reservation_socket_key(r, "FileDescriptorName"))
                fprintf(f, "FileDescriptorName=%s\n", r->name);
        if (!reservation_socket_key(r, "FreeBind") && needs_free_bind(r))
                fputs("FreeBind=yes\n", f);
        for (size_t i = 0; i < r->n_socket_keys; i++) {
                fprintf(f, "%s=", r->socket_keys[i].key);
                put_escaped(r->socket_keys[i].value, f);
                fputc('\n', f);
        }
}

/* One line for as many names as fit into a request. */
static void put_commands(const GeneratorDropIn *d, const char *helper, const char *key,
                         const char *verb, FILE *f)
{
        for (size_t i = 0; i < d->n_names;) {
                size_t used = 0, first = i;

                fprintf(f, "%s=-+", key);
                put_word(helper, true, f);
                fprintf(f, " %s", verb);
                do {
                        used += strlen(d->names[i]) + 1;
                        fprintf(f, " %s", d->names[i]);
                        i++;
                } while (i < d->n_names && i - first < HANDOVER_NAMES_MAX &&
                         used + strlen(d->names[i]) + 1 <= BYTES_MAX);
                fputc('\n', f);
        }
}

/* With "-": what is not there must not keep the unit from starting. */
static void put_bind(const char *source, const char *destination, FILE *f)
{
        fputs("BindReadOnlyPaths=-", f);
        put_word(source, false, f);
        if (destination)
                fprintf(f, ":%s", destination);
        fputc('\n', f);
}

void generator_drop_in(const GeneratorDropIn *d, FILE *f)
{
        const char *helper = d->view.own_root ? HELPER_INSIDE : d->helper;

        put_header(NULL, 0, f);
        fputs("[Unit]\n", f);
        /* A listener that came or changed while the service ran is there for its next start. */
        for (size_t i = 0; i < d->n_sockets; i++)
                fprintf(f, "Wants=portreserved-%s.socket\nAfter=portreserved-%s.socket\n",
                        d->sockets[i], d->sockets[i]);
        if (d->n_names == 0)
                return;
        fprintf(f, "After=portreserved.service\n\n[%s]\n", d->socket ? "Socket" : "Service");
        put_commands(d, helper, "ExecStartPre", "start", f);
        put_commands(d, helper, "ExecStopPost", "stop", f);
        /* What PID 1 mounts there for ExecStart=, but not for commands with "+": they would need
         * mount points in the root itself, which may be read-only. */
        if (d->view.own_run && !d->view.hides_runtime)
                fputs("TemporaryFileSystem=/run:nosuid\n", f);
        if (d->view.own_root || d->view.hides_helper)
                put_bind(d->helper, d->view.own_root ? HELPER_INSIDE : NULL, f);
        if (d->view.own_root || d->view.hides_runtime)
                put_bind(d->runtime, NULL, f);
}
