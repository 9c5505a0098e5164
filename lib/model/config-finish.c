/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All lines are in: defaults, and what only the whole can tell to be wrong. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/config-internal.h"
#include "model/unit-name.h"

static bool has_listen(const Reservation *r)
{
        for (size_t i = 0; i < r->n_endpoints; i++)
                if (r->endpoints[i].listen)
                        return true;
        return false;
}

/* Unit= defaults to the service named like the section, unless a user is the only owner. */
static int finish_unit(Config *c, Reservation *r)
{
        char name[RESERVATION_NAME_MAX + sizeof(".service")];

        if (r->unit || r->user)
                return 0;
        snprintf(name, sizeof(name), "%s.service", r->name);
        r->unit = strdup(name);
        return r->unit ? 0 : -ENOMEM;
}

static int finish_hold(Config *c, Reservation *r)
{
        bool listen = has_listen(r);
        ConfigLine l = { .file = r->hold_file, .line = r->hold_line };
        int k = 0;

        c->private->reservation = r;
        if (r->hold_explicit && r->hold == HOLD_LISTEN && !listen) {
                k = config_line_error(c, &l,
                                      "Hold=listen needs an address to listen on; write "
                                      "ListenStream= or ListenDatagram= instead of Ports=, or "
                                      "Hold=bound");
                r->hold_explicit = false;
        } else if (r->hold_explicit && (r->hold == HOLD_LISTEN || r->hold == HOLD_BOUND) &&
                   !r->unit) {
                k = config_line_error(c, &l,
                                      "Hold=%s needs a unit that the port is handed to, and [%s] "
                                      "names only a user; add Unit=, or write Hold=shared or "
                                      "Hold=none",
                                      hold_mode_to_string(r->hold), r->name);
                r->hold_explicit = false;
        }
        c->private->reservation = NULL;

        if (!r->hold_explicit)
                r->hold = listen && r->unit ? HOLD_LISTEN : HOLD_NONE;
        return k;
}

/* BindIPv6Only= makes its mark on the wildcard endpoints of Listen… lines; the others go into the
 * generated unit, which only Hold=listen has. */
static int finish_socket_keys(Config *c, Reservation *r)
{
        const SocketKey *v6only;
        int k;

        if (!has_listen(r)) {
                while (r->n_socket_keys > 0) {
                        const SocketKey *s = &r->socket_keys[0];

                        r->damaged = true;
                        k = config_error(c, s->file, s->line,
                                         "%s= is for the socket of a ListenStream= or "
                                         "ListenDatagram= line, and [%s] has none; add one, or "
                                         "remove the key",
                                         s->key, r->name);
                        if (k < 0)
                                return k;
                        reservation_remove_socket_key(r, s->key);
                }
                return 0;
        }

        v6only = reservation_socket_key(r, "BindIPv6Only");
        if (v6only && strcmp(v6only->value, "ipv6-only") == 0)
                for (size_t i = 0; i < r->n_endpoints; i++) {
                        Endpoint *e = &r->endpoints[i];

                        if (!e->listen || !address_is_wildcard(&e->address) ||
                            e->address.family == AF_INET)
                                continue;
                        e->address = (Address){ .family = AF_INET6, .in6 = IN6ADDR_ANY_INIT };
                        e->v6only = true;
                }

        if (r->hold != HOLD_LISTEN)
                for (size_t i = 0; i < r->n_socket_keys; i++) {
                        const SocketKey *s = &r->socket_keys[i];

                        if (s == v6only)
                                continue;
                        k = config_warn(c, s->file, s->line,
                                        "%s= has no effect beside Hold=%s, which makes no socket "
                                        "unit; remove it, or write Hold=listen",
                                        s->key, hold_mode_to_string(r->hold));
                        if (k < 0)
                                return k;
                }
        return 0;
}

/* Names are looked up again by place: indices have moved. */
static int rebuild_names(Config *c)
{
        struct ConfigPrivate *p = c->private;
        int k;

        name_index_clear(&p->reservations);
        name_index_clear(&p->pools);
        for (size_t i = 0; i < c->n_reservations; i++) {
                k = name_index_add(&p->reservations, c->reservations[i]->name, (uint32_t) i);
                if (k < 0)
                        return k;
        }
        for (size_t i = 0; i < c->n_pools; i++) {
                k = name_index_add(&p->pools, c->pools[i]->name, (uint32_t) i);
                if (k < 0)
                        return k;
        }
        return 0;
}

/* Sections that name nothing. Where bad lines are the reason, those have been reported. */
static int drop_empty(Config *c)
{
        size_t n = 0;
        int k = 0;

        for (size_t i = 0; i < c->n_reservations; i++) {
                Reservation *r = c->reservations[i];

                if (r->n_endpoints > 0) {
                        c->reservations[n++] = r;
                        continue;
                }
                if (k >= 0 && !r->damaged)
                        k = config_error(c, r->file, r->line,
                                         "[%s] names no port; add Ports= or ListenStream=, or "
                                         "remove the section",
                                         r->name);
                reservation_free(r);
        }
        c->n_reservations = n;

        n = 0;
        for (size_t i = 0; i < c->n_pools; i++) {
                Pool *p = c->pools[i];

                if (!portset_empty(&p->ports)) {
                        c->pools[n++] = p;
                        continue;
                }
                if (k >= 0)
                        k = config_error(
                                c, p->file, p->line,
                                "[Pool %s] names no port; add Ports=, or remove the section",
                                p->name);
                config_pool_free(p);
        }
        c->n_pools = n;
        return k;
}

int config_finish(Config *c)
{
        int k;

        c->private->reservation = NULL;
        c->private->pool = NULL;
        c->private->section = SECTION_NONE;
        /* The index borrows names of sections that go now. */
        name_index_clear(&c->private->reservations);
        name_index_clear(&c->private->pools);

        CONFIG_FOREACH_RESERVATION(c, r) {
                if (!r->exclusive_explicit)
                        r->exclusive = c->daemon.exclusive;
                k = finish_unit(c, r);
                if (k >= 0)
                        k = finish_hold(c, r);
                if (k >= 0)
                        k = finish_socket_keys(c, r);
                if (k < 0)
                        return k;
        }
        k = drop_empty(c);
        if (k >= 0)
                k = config_resolve_overlaps(c);
        if (k >= 0)
                k = rebuild_names(c);
        return k;
}
