/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's .socket units among the reservations, and those that failed for their port. */

#include <errno.h>
#include <string.h>

#include "base/printable.h"
#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "daemon/starter.h"
#include "kernel/kernel-list.h"
#include "kernel/placeholder.h"
#include "kernel/unit-file.h"

static bool same_service(const char *a, const char *b)
{
        _cleanup_(freep) char *x = NULL, *y = NULL;

        return unit_resolve_alias("", a, &x) >= 0 && unit_resolve_alias("", b, &y) >= 0 &&
               strcmp(x, y) == 0;
}

/* As for what is declared: in their order, but for those that would leave too few ports to outgoing
 * connections. Returns how many are left out. */
static size_t add_ports(Manager *m, const Config *c)
{
        PortSet all = *reserve_foreign(m->reserve);
        uint16_t first = 32768, last = 60999; /* the kernel's defaults */
        unsigned before;
        size_t n_out = 0;

        (void) ephemeral_range_read(&first, &last);
        m->reserved = m->declared;
        portset_unite(&all, &m->declared);
        before = portset_ephemeral_left(&all, first, last);

        for (size_t i = c->n_reservations - c->n_units; i < c->n_reservations; i++) {
                const Reservation *r = c->reservations[i];
                PortSet with = all;
                unsigned left;

                for (size_t k = 0; k < r->n_endpoints; k++)
                        portset_add(&with, r->endpoints[k].port);
                left = portset_ephemeral_left(&with, first, last);
                if (left < before && left < c->daemon.ephemeral_floor) {
                        n_out++;
                        continue;
                }
                for (size_t k = 0; k < r->n_endpoints; k++)
                        portset_add(&m->reserved, r->endpoints[k].port);
                all = with;
                before = left;
        }
        return n_out;
}

/* What is not as it should be, for `status`, and for the log when it is news. NULL: all is well. */
static void note(Manager *m, const SocketUnits *l, const UnitConflicts *conflicts, size_t n_out)
{
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return;
        if (conflicts->n > 0)
                fprintf(f, "; %s", conflicts->first);
        if (conflicts->n > 1)
                fprintf(f, " (and %zu more)", conflicts->n - 1);
        if (l->n_dropped > 0)
                fprintf(f, "; %zu endpoints beyond %u are not reserved", l->n_dropped,
                        SOCKET_UNITS_ENDPOINTS_MAX);
        if (n_out > 0)
                fprintf(f,
                        "; %zu unit%s not put into the kernel's list, which would leave fewer "
                        "ports than EphemeralFloor=",
                        n_out, PLURAL(n_out));
        if (fclose(f) != 0) {
                free(text);
                return;
        }
        if (*text)
                memmove(text, text + strlen("; "), strlen(text) - strlen("; ") + 1);
        if (*text && (!m->units_note || strcmp(text, m->units_note) != 0))
                log_warning("Socket units: %s", text);
        free(m->units_note);
        m->units_note = *text ? TAKE_PTR(text) : NULL;
        free(text);
}

void manager_merge_units(Manager *m, Config *config)
{
        static const SocketUnits none;
        const SocketUnits *l = &none;
        UnitConflicts conflicts = {};
        int r;

        if (config->daemon.socket_units && notify_is_service())
                l = units_list(m->units);
        r = config_set_units(config, l, same_service, &conflicts);
        /* Then it has those that it had: a new one none. */
        if (r < 0)
                log_error("Cannot reserve the ports of socket units: %s", strerror(-r));
        note(m, l, &conflicts, add_ports(m, config));
}

/* The declared ones stay as they are, and so does all that looks into them. */
static void on_units_changed(void *userdata)
{
        Manager *m = userdata;
        int r;

        if (!m->config)
                return;
        manager_merge_units(m, m->config);
        (void) reserve_apply(m->reserve, &m->reserved);
        portset_clear(&m->listening_tcp);
        portset_clear(&m->listening_udp);
        r = watch_apply(m->watch, m->config);
        if (r < 0)
                log_error("Cannot watch: %s", strerror(-r));
        else
                config_forget_replaced(m->config);
        state_touch(m->state);
}

static void on_units_degraded(int error, void *userdata)
{
        Manager *m = userdata;

        if (error < 0)
                log_warning("Cannot list the socket units (portreserved-act): %s. Those known are "
                            "reserved; trying again.",
                            strerror(-error));
        else
                log_notice("The socket units can be listed again");
        state_touch(m->state);
}

static bool is_blocked(Manager *m, const Endpoint *e)
{
        const Reservation *r;
        const Endpoint *at;
        unsigned iterator = 0;

        while (config_lookup(m->config, e->protocol, e->port, &iterator, &r, &at))
                for (const Collision *c = watch_next(m->watch, at, NULL); c;
                     c = watch_next(m->watch, at, c)) {
                        const Socket *s = &c->holder.socket;

                        if (c->port == e->port && c->holder.kind != KIND_STALE &&
                            endpoint_meets_address(e, &s->local, s->v6only))
                                return true;
                }
        /* Whom the kernel does not list (bound only, before 6.8), a bind meets. */
        (void) watch_clear_remains(m->watch, e, e->port);
        return placeholder_probe(e, e->port) > 0;
}

static bool on_units_ask_blocked(const SocketUnit *u, void *userdata)
{
        for (size_t i = 0; i < u->n_endpoints; i++)
                if (is_blocked(userdata, &u->endpoints[i]))
                        return true;
        return false;
}

static void on_units_start(const SocketUnit *u, void *userdata)
{
        int r;

        log_info("%s: its port is free, starting it again", u->name);
        r = starter_request(u->name);
        if (r < 0)
                log_warning("Cannot ask portreserved-act to start %s: %s. Start it by hand.",
                            u->name, strerror(-r));
}

const UnitsOps manager_units_ops = {
        .changed = on_units_changed,
        .degraded = on_units_degraded,
        .blocked = on_units_ask_blocked,
        .start = on_units_start,
};
