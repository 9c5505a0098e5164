/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* .socket units as reservations, behind those that are declared. All is made beside the old and put
 * in place at the end; what is declared is not touched, so that whoever looks into it (holds above
 * all) has nothing to learn. */

#include <errno.h>
#include <string.h>

#include "base/grow.h"
#include "model/config-internal.h"

typedef struct Merge {
        const Config *config;
        size_t n_declared;
        Reservation **reservations;
        size_t n, n_allocated;
        NameIndex names;
        PortIndex *index;
        ConfigSameService same;
        UnitConflicts conflicts;
} Merge;

static void merge_deinit(Merge *m)
{
        for (size_t i = m->n_declared; i < m->n; i++)
                reservation_free(m->reservations[i]);
        free(m->reservations);
        name_index_clear(&m->names);
        port_index_free(m->index);
}

static int index_reservation(Merge *m, Reservation *r)
{
        int k;

        for (size_t i = 0; i < r->n_endpoints; i++)
                for (unsigned port = r->endpoints[i].port; port <= r->endpoints[i].last; port++) {
                        k = port_index_add(m->index, r->endpoints[i].protocol, (uint16_t) port,
                                           (uint32_t) m->n, (uint32_t) i);
                        if (k < 0)
                                return k;
                }
        if (!GROW(m->reservations, m->n_allocated, m->n + 1))
                return -ENOMEM;
        k = name_index_add(&m->names, r->name, (uint32_t) m->n);
        if (k < 0)
                return k;
        m->reservations[m->n++] = r;
        return 0;
}

/* Who has that endpoint already; the newest entry of the port comes first. */
static const Reservation *find_meeting(const Merge *m, const Endpoint *e)
{
        uint32_t at = m->index->heads[port_index_protocol(e->protocol)][e->port];

        while (at != 0) {
                const PortEntry *entry = &m->index->entries[at - 1];
                const Reservation *r = m->reservations[entry->reservation];
                const Endpoint *other = &r->endpoints[entry->endpoint];

                if (endpoint_meets_address(e, &other->address, other->v6only))
                        return r;
                at = entry->next;
        }
        return NULL;
}

/* The declared owner's own .socket unit, or another for it. */
static bool same_owner(const Merge *m, const SocketUnit *u, const Reservation *r)
{
        size_t stem = strlen(u->name) - strlen(".socket");

        if (!r->unit)
                return false;
        if (u->service &&
            (strcmp(u->service, r->unit) == 0 || (m->same && m->same(u->service, r->unit))))
                return true;
        return strncmp(u->name, r->unit, stem) == 0 && strcmp(r->unit + stem, ".service") == 0;
}

static void note_conflict(Merge *m, const SocketUnit *u, const Endpoint *e, const Reservation *r)
{
        /* One that does not listen, beside one that does, is how such units stand by for each other. */
        if (r->socket_unit ? u->state == SOCKET_UNIT_INACTIVE : same_owner(m, u, r))
                return;
        if (m->conflicts.n++ == 0)
                (void) snprintf(m->conflicts.first, sizeof(m->conflicts.first),
                                "port %u/%s of %.200s is reserved by [%s]", e->port,
                                protocol_to_string(e->protocol), u->name, r->name);
}

static int take_endpoints(Merge *m, const SocketUnit *u, Reservation *r)
{
        for (size_t i = 0; i < u->n_endpoints; i++) {
                const Endpoint *e = &u->endpoints[i];
                const Reservation *other = find_meeting(m, e);
                bool twice = false;

                /* PID 1 would not have loaded it with two addresses that meet, but for those that
                 * differ in words only. */
                for (size_t k = 0; k < r->n_endpoints; k++)
                        twice = twice || endpoint_overlaps(&r->endpoints[k], e);
                if (other)
                        note_conflict(m, u, e, other);
                if (other || twice)
                        continue;
                if (!GROW(r->endpoints, r->n_endpoints_allocated, r->n_endpoints + 1))
                        return -ENOMEM;
                r->endpoints[r->n_endpoints] = *e;
                r->endpoints[r->n_endpoints++].file = r->file;
        }
        return 0;
}

/* A name that nobody has: "ssh", else "ssh.socket", else a number. -EEXIST: all are taken. */
static int take_name(const Merge *m, const SocketUnit *u, Reservation *r)
{
        char name[RESERVATION_NAME_MAX + 1];
        uint32_t unused;

        for (SocketUnitName n = 0; n < _SOCKET_UNIT_NAME_MAX; n++) {
                (void) socket_unit_reservation_name(u->name, n, name);
                if (!reservation_name_valid(name) || name_index_find(&m->names, name, &unused))
                        continue;
                r->name = strdup(name);
                return r->name ? 0 : -ENOMEM;
        }
        return -EEXIST;
}

static int copy(const char *s, char **ret)
{
        *ret = s ? strdup(s) : NULL;
        return s && !*ret ? -ENOMEM : 0;
}

static int add_unit(Merge *m, const SocketUnit *u)
{
        _cleanup_(reservation_freep) Reservation *r = NULL;
        int k;

        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->uid = UID_INVALID;
        r->exclusive = m->config->daemon.exclusive;
        r->socket_failed = u->state == SOCKET_UNIT_FAILED;
        k = copy(u->name, &r->socket_unit);
        if (k >= 0)
                k = copy(u->path, &r->socket_path);
        if (k >= 0)
                k = copy(u->service, &r->unit);
        if (k < 0)
                return k;
        r->file = r->socket_path ?: r->socket_unit;
        k = take_endpoints(m, u, r);
        if (k < 0 || r->n_endpoints == 0)
                return k;
        k = take_name(m, u, r);
        if (k == -EEXIST)
                return 0;
        if (k >= 0)
                k = index_reservation(m, r);
        if (k >= 0)
                TAKE_PTR(r);
        return k;
}

static int add_units(Merge *m, const SocketUnits *l)
{
        int k;

        for (int state = 0; state < _SOCKET_UNIT_STATE_MAX; state++)
                for (size_t i = 0; l && i < l->n; i++) {
                        const SocketUnit *u = &l->units[i];

                        if ((int) u->state != state || socket_unit_is_ours(u->name))
                                continue;
                        k = add_unit(m, u);
                        if (k < 0)
                                return k;
                }
        return 0;
}

int config_set_units(Config *c, const SocketUnits *l, ConfigSameService same, UnitConflicts *ret)
{
        struct ConfigPrivate *p = c->private;
        _cleanup_(merge_deinit) Merge m = { .config = c, .same = same };
        size_t n_declared = c->n_reservations - c->n_units;
        int k;

        k = port_index_new(&m.index);
        for (size_t i = 0; i < n_declared && k >= 0; i++) {
                k = index_reservation(&m, c->reservations[i]);
                m.n_declared = m.n;
        }
        if (k >= 0)
                k = add_units(&m, l);
        if (k < 0)
                return k;
        if (!GROW(p->replaced, p->n_replaced_allocated, p->n_replaced + c->n_units))
                return -ENOMEM;
        port_index_reverse(m.index);

        for (size_t i = n_declared; i < c->n_reservations; i++)
                p->replaced[p->n_replaced++] = c->reservations[i];
        free(c->reservations);
        c->reservations = TAKE_PTR(m.reservations);
        c->n_reservations = m.n;
        c->n_reservations_allocated = m.n_allocated;
        c->n_units = m.n - n_declared;
        m.n = m.n_declared = 0;
        name_index_clear(&p->reservations);
        p->reservations = m.names;
        m.names = (NameIndex){};
        port_index_free(p->index);
        p->index = TAKE_PTR(m.index);
        *ret = m.conflicts;
        return 0;
}

void config_forget_replaced(Config *c)
{
        struct ConfigPrivate *p = c->private;

        for (size_t i = 0; i < p->n_replaced; i++)
                reservation_free(p->replaced[i]);
        p->n_replaced = 0;
}
