/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A Config as text that reads back to an equal one: applied.conf. Only what was declared is
 * written, so that defaults stay defaults; names of services have become numbers. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/config-internal.h"

/* With its key and number well below the longest line that is read. */
#define SOURCE_MAX 160u

static void format_daemon(const Config *c, const Config *defaults, FILE *f)
{
        const ConfigDaemon *d = &c->daemon, *n = &defaults->daemon;

        fputs("[Daemon]\n", f);
        if (d->scan_interval_usec != n->scan_interval_usec)
                fprintf(f, "ScanIntervalSec=%" PRIu64 "us\n", d->scan_interval_usec);
        if (d->scan_budget_percent != n->scan_budget_percent)
                fprintf(f, "ScanBudgetPercent=%u\n", d->scan_budget_percent);
        if (d->socket_units != n->socket_units)
                fprintf(f, "SocketUnits=%s\n", d->socket_units ? "yes" : "no");
        if (d->ephemeral_floor != n->ephemeral_floor)
                fprintf(f, "EphemeralFloor=%u\n", d->ephemeral_floor);
        if (d->alert_interval_usec != n->alert_interval_usec)
                fprintf(f, "AlertIntervalSec=%" PRIu64 "us\n", d->alert_interval_usec);
        if (d->alert_unit)
                fprintf(f, "AlertUnit=%s\n", d->alert_unit);
        if (d->exclusive != n->exclusive)
                fprintf(f, "Exclusive=%s\n", exclusive_to_string(d->exclusive));
        if (d->exclusive_keep)
                fputs("ExclusiveOnExit=keep\n", f);
        if (d->portserver_socket)
                fprintf(f, "PortserverSocket=%s\n", d->portserver_socket);
        if (d->portreserve_directory)
                fprintf(f, "PortreserveDirectory=%s\n", d->portreserve_directory);
        if (d->metrics_file)
                fprintf(f, "MetricsFile=%s\n", d->metrics_file);
}

void config_format_listen(const Endpoint *e, bool unit, FILE *f)
{
        char text[ADDRESS_TEXT_MAX], *scope;

        fprintf(f, "%s=", e->protocol == IPPROTO_UDP ? "ListenDatagram" : "ListenStream");
        if (e->address.family == AF_UNSPEC) {
                fprintf(f, "%u\n", e->port);
                return;
        }
        address_format(&e->address, text);
        scope = strchr(text, '%');
        if (scope)
                *scope++ = 0;
        fprintf(f, e->address.family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, e->port);
        if (scope)
                fprintf(f, unit ? "%%%%%s" : "%%%s", scope);
        fputc('\n', f);
}

static void format_endpoint(const Endpoint *e, FILE *f)
{
        if (e->listen)
                config_format_listen(e, false, f);
        else if (e->port == e->last)
                fprintf(f, "Ports=%u/%s\n", e->port, protocol_to_string(e->protocol));
        else
                fprintf(f, "Ports=%u-%u/%s\n", e->port, e->last, protocol_to_string(e->protocol));
        if (e->restart_needed)
                fputs("RestartNeeded=yes\n", f);
}

/* A file's name that the reader would cut is left out: then the place in applied.conf has to do. */
static bool source_readable(const char *file)
{
        return strlen(file) <= SOURCE_MAX && !strpbrk(file, " \t");
}

static void format_reservation(const Reservation *r, FILE *f)
{
        fprintf(f, "\n[%s]\n", r->name);
        if (source_readable(r->file))
                fprintf(f, "Source=%s:%u\n", r->file, r->line);
        if (r->former_name)
                fprintf(f, "FormerName=%s\n", r->former_name);
        if (r->run)
                fprintf(f, "Run=%s\n", r->run);
        for (size_t i = 0; i < r->n_endpoints; i++)
                format_endpoint(&r->endpoints[i], f);
        if (r->unit_explicit)
                fprintf(f, "Unit=%s\n", r->unit);
        if (r->user)
                fprintf(f, "User=%s\n", r->user);
        if (r->hold_explicit)
                fprintf(f, "Hold=%s\n", hold_mode_to_string(r->hold));
        if (r->reuse != REUSE_YES)
                fprintf(f, "ReuseAddress=%s\n", reuse_address_to_string(r->reuse));
        if (r->exclusive_explicit)
                fprintf(f, "Exclusive=%s\n", exclusive_to_string(r->exclusive));
        if (r->evict != EVICT_NO)
                fprintf(f, "Evict=%s\n", evict_to_string(r->evict));
        if (r->alert_unit)
                fprintf(f, "AlertUnit=%s\n", r->alert_unit);
        if (r->description)
                fprintf(f, "Description=%s\n", r->description);
        for (size_t i = 0; i < r->n_socket_keys; i++)
                fprintf(f, "%s=%s\n", r->socket_keys[i].key, r->socket_keys[i].value);
}

static void format_pool(const Pool *p, FILE *f)
{
        fprintf(f, "\n[Pool %s]\n", p->name);
        PORTSET_FOREACH_RUN(&p->ports, first, last)
                fprintf(f, first == last ? "Ports=%u\n" : "Ports=%u-%u\n", first, last);
        for (char **u = p->users; u && *u; u++)
                fprintf(f, "Users=%s\n", *u);
        if (p->max_per_user > 0)
                fprintf(f, "MaxPerUser=%u\n", p->max_per_user);
        if (p->max_lease_usec > 0)
                fprintf(f, "MaxLeaseSec=%" PRIu64 "us\n", p->max_lease_usec);
}

int config_format(const Config *c, char **ret, size_t *ret_size)
{
        _cleanup_(config_freep) Config *defaults = NULL;
        char *text = NULL;
        size_t size = 0;
        bool failed;
        FILE *f;
        int k;

        k = config_new(NULL, &defaults);
        if (k < 0)
                return k;
        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        fputs("# What portreserved runs with. Written at each start and reload; edits have no "
              "effect.\n\n",
              f);
        format_daemon(c, defaults, f);
        for (size_t i = 0; i < c->n_reservations - c->n_units; i++)
                format_reservation(c->reservations[i], f);
        for (size_t i = 0; i < c->n_pools; i++)
                format_pool(c->pools[i], f);
        failed = ferror(f);
        if (fclose(f) != 0 || failed) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        if (ret_size)
                *ret_size = size;
        return 0;
}
