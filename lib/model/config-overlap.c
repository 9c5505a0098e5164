/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Endpoints against each other. Reservations come one after the other in the order of the files,
 * and each is looked up in the index of those before it:
 *
 *   meets another reservation             left out whole: half a service is worse than none
 *   a Listen… line meets one of its own   that line is left out
 *   a Ports= line names a port again      counted once
 *
 * Time is linear in lines and ports: 100,000 lines "1-65535" cost 1,024 words each, not 65,535
 * comparisons. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "model/config-internal.h"

/* Of the reservation being judged. */
typedef struct Judge {
        Config *config;
        PortIndex *index;
        Reservation *reservation;
        uint32_t number; /* its place among those that stay */
        Endpoint *kept;  /* what becomes of its endpoints */
        size_t n_kept, n_kept_allocated;
        PortSet seen[2]; /* of its Ports= lines, by protocol */
        bool seen_any;
        bool out; /* left out whole */
} Judge;

static int keep(Judge *j, const Endpoint *e)
{
        if (!GROW(j->kept, j->n_kept_allocated, j->n_kept + 1))
                return -ENOMEM;
        for (unsigned port = e->port; port <= e->last; port++)
                if (port_index_add(j->index, e->protocol, (uint16_t) port, j->number,
                                   (uint32_t) j->n_kept) < 0)
                        return -ENOMEM;
        j->kept[j->n_kept++] = *e;
        return 0;
}

static const Endpoint *endpoint_of(const Judge *j, const PortEntry *e)
{
        return e->reservation == j->number
                       ? &j->kept[e->endpoint]
                       : &j->config->reservations[e->reservation]->endpoints[e->endpoint];
}

/* The first endpoint at that port whose address meets e's. */
static const PortEntry *find_meeting(const Judge *j, const Endpoint *e, uint16_t port)
{
        uint32_t at = j->index->heads[port_index_protocol(e->protocol)][port];

        while (at != 0) {
                const PortEntry *entry = &j->index->entries[at - 1];
                const Endpoint *other = endpoint_of(j, entry);

                if (endpoint_meets_address(e, &other->address, other->v6only) ||
                    endpoint_meets_address(other, &e->address, e->v6only))
                        return entry;
                at = entry->next;
        }
        return NULL;
}

static int conflict(Judge *j, const Endpoint *e, uint16_t port, const PortEntry *entry)
{
        const Reservation *other = j->config->reservations[entry->reservation];
        const Endpoint *theirs = endpoint_of(j, entry);

        j->out = true;
        return config_error(j->config, e->file, e->line,
                            "port %u/%s of [%s] is reserved by [%s] already (%s:%u); take it out "
                            "of one of them. [%s] is left out",
                            port, protocol_to_string(e->protocol), j->reservation->name,
                            other->name, theirs->file, theirs->line, j->reservation->name);
}

static int judge_listen(Judge *j, const Endpoint *e)
{
        const PortEntry *entry = find_meeting(j, e, e->port);
        char text[ENDPOINT_TEXT_MAX], other[ENDPOINT_TEXT_MAX];
        const Endpoint *own;

        if (!entry)
                return keep(j, e);
        if (entry->reservation != j->number)
                return conflict(j, e, e->port, entry);

        own = endpoint_of(j, entry);
        j->reservation->damaged = true;
        if (endpoint_same_place(e, own))
                return config_error(j->config, e->file, e->line,
                                    "%s stands in line %u of %s already; remove one of the two",
                                    endpoint_format(e, text), own->line, own->file);
        return config_error(j->config, e->file, e->line,
                            "%s cannot be bound beside %s (%s:%u), which includes it; remove one "
                            "of the two, or narrow the wider address (BindIPv6Only=ipv6-only, or "
                            "0.0.0.0:%u for IPv4 alone)",
                            endpoint_format(e, text), endpoint_format(own, other), own->file,
                            own->line, e->port);
}

/* A port that a Listen… line of the same reservation has, too. Beside Hold=listen, Ports= is only
 * reserved, and both on every address are the same placeholder; else two placeholders would stand
 * in each other's way. */
static int judge_shared_port(Judge *j, const Endpoint *e, uint16_t port, const Endpoint *own)
{
        char text[ENDPOINT_TEXT_MAX];

        if (j->reservation->hold == HOLD_LISTEN || j->reservation->hold == HOLD_NONE ||
            endpoint_same_place(e, own))
                return 0;
        j->reservation->damaged = true;
        return config_error(j->config, e->file, e->line,
                            "port %u/%s includes %s (%s:%u); take the port out of Ports=, or the "
                            "other line out",
                            port, protocol_to_string(e->protocol), endpoint_format(own, text),
                            own->file, own->line);
}

/* A run of ports that none of its Ports= lines has named before. */
static int judge_run(Judge *j, const Endpoint *e, uint16_t first, uint16_t last)
{
        const PortSet *used = &j->index->used[port_index_protocol(e->protocol)];
        Endpoint piece = *e;
        unsigned from = first;
        int k;

        while (from <= last) {
                const PortEntry *entry = NULL;
                unsigned at, end;

                if (!portset_next_run(used, from, &at, &end) || at > last)
                        break;
                /* Ports= is every address: whoever has the port, meets. */
                entry = find_meeting(j, e, (uint16_t) at);
                if (entry && entry->reservation != j->number)
                        return conflict(j, e, (uint16_t) at, entry);
                if (!entry)
                        break;
                k = judge_shared_port(j, e, (uint16_t) at, endpoint_of(j, entry));
                if (k < 0)
                        return k;
                if (at > from) {
                        piece.port = (uint16_t) from;
                        piece.last = (uint16_t) (at - 1);
                        k = keep(j, &piece);
                        if (k < 0)
                                return k;
                }
                from = at + 1u;
        }
        if (from > last)
                return 0;
        piece.port = (uint16_t) from;
        piece.last = last;
        return keep(j, &piece);
}

static int judge_ports(Judge *j, const Endpoint *e)
{
        PortSet *seen = &j->seen[port_index_protocol(e->protocol)];
        PortSet fresh;
        int k = 0;

        if (e->port == e->last) {
                if (portset_has(seen, e->port))
                        return config_warn(j->config, e->file, e->line,
                                           "port %u/%s stands in [%s] already; remove it here",
                                           e->port, protocol_to_string(e->protocol),
                                           j->reservation->name);
                portset_add(seen, e->port);
                j->seen_any = true;
                return judge_run(j, e, e->port, e->last);
        }

        portset_clear(&fresh);
        portset_add_run(&fresh, e->port, e->last);
        portset_subtract(&fresh, seen);
        if (portset_count(&fresh) != (unsigned) (e->last - e->port) + 1) {
                k = config_warn(j->config, e->file, e->line,
                                "ports of %u-%u/%s stand in [%s] already; remove them here",
                                e->port, e->last, protocol_to_string(e->protocol),
                                j->reservation->name);
                if (k < 0)
                        return k;
        }
        portset_add_run(seen, e->port, e->last);
        j->seen_any = true;
        PORTSET_FOREACH_RUN(&fresh, first, last)
                if (k >= 0 && !j->out)
                        k = judge_run(j, e, (uint16_t) first, (uint16_t) last);
        return k;
}

static int judge_endpoints(Judge *j)
{
        Reservation *r = j->reservation;
        int k = 0;

        /* Listen… lines first, wherever they stand: they are the more exact word on a port. */
        for (size_t i = 0; i < r->n_endpoints && k >= 0 && !j->out; i++)
                if (r->endpoints[i].listen)
                        k = judge_listen(j, &r->endpoints[i]);
        for (size_t i = 0; i < r->n_endpoints && k >= 0 && !j->out; i++)
                if (!r->endpoints[i].listen)
                        k = judge_ports(j, &r->endpoints[i]);
        return k;
}

static size_t count_placeholders(const Reservation *r, const Endpoint *endpoints, size_t n)
{
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                if (reservation_endpoint_hold(r, &endpoints[i]) != HOLD_NONE)
                        count += (size_t) (endpoints[i].last - endpoints[i].port) + 1;
        return count;
}

/* Everything the reservation has, for all of them: where it stays out, the index is as it was. */
static int judge(Judge *j, size_t *placeholders)
{
        Config *c = j->config;
        Reservation *r = j->reservation;
        size_t before = j->index->n_entries, n;
        int k;

        if (j->seen_any) {
                memset(j->seen, 0, sizeof(j->seen));
                j->seen_any = false;
        }
        j->out = false;
        j->n_kept = 0;

        /* Before any entry is made: what is refused for its size must not cost its size. */
        n = count_placeholders(r, r->endpoints, r->n_endpoints);
        if (n <= CONFIG_PLACEHOLDERS_MAX) {
                k = judge_endpoints(j);
                if (k < 0)
                        return k;
                n = count_placeholders(r, j->kept, j->n_kept);
        }
        if (!j->out && *placeholders + n > CONFIG_PLACEHOLDERS_MAX) {
                j->out = true;
                k = config_error(
                        c, r->file, r->line,
                        "[%s] would make %zu held sockets of them, and more than %u are not kept; "
                        "hold fewer ports, or write Hold=none to keep them free of ephemeral use "
                        "alone. [%s] is left out",
                        r->name, *placeholders + n, CONFIG_PLACEHOLDERS_MAX, r->name);
                if (k < 0)
                        return k;
        }
        if (j->out || j->n_kept == 0) {
                port_index_truncate(j->index, before);
                j->out = true;
                return 0;
        }

        *placeholders += n;
        free(r->endpoints);
        r->endpoints = TAKE_PTR(j->kept);
        r->n_endpoints = j->n_kept;
        r->n_endpoints_allocated = j->n_kept_allocated;
        j->n_kept_allocated = 0;
        return 0;
}

static int judge_pool(Config *c, const Pool *pool, const PortIndex *x, const PortSet *pooled,
                      bool *ret_out)
{
        PortSet all = x->used[0], common = pool->ports;
        unsigned first, last;

        portset_unite(&all, &x->used[1]);
        portset_intersect(&common, &all);
        if (portset_next_run(&common, 0, &first, &last)) {
                unsigned p = portset_has(&x->used[0], (uint16_t) first) ? 0 : 1;
                const Reservation *r =
                        c->reservations[x->entries[x->heads[p][first] - 1].reservation];

                *ret_out = true;
                return config_error(c, pool->file, pool->line,
                                    "port %u of [Pool %s] is reserved by [%s] (%s:%u); take it out "
                                    "of one of them. The pool is left out",
                                    first, pool->name, r->name, r->file, r->line);
        }
        common = pool->ports;
        portset_intersect(&common, pooled);
        if (portset_next_run(&common, 0, &first, &last)) {
                *ret_out = true;
                return config_error(c, pool->file, pool->line,
                                    "port %u of [Pool %s] is in another pool already; take it out "
                                    "of one of them. The pool is left out",
                                    first, pool->name);
        }
        return 0;
}

static int resolve_pools(Config *c, const PortIndex *x)
{
        PortSet pooled = { 0 };
        size_t n = 0;
        int k = 0;

        for (size_t i = 0; i < c->n_pools; i++) {
                Pool *pool = c->pools[i];
                bool out = false;

                if (k >= 0)
                        k = judge_pool(c, pool, x, &pooled, &out);
                if (out) {
                        config_pool_free(pool);
                        continue;
                }
                portset_unite(&pooled, &pool->ports);
                c->pools[n++] = pool;
        }
        c->n_pools = n;
        return k;
}

static int resolve_reservations(Judge *j)
{
        Config *c = j->config;
        size_t placeholders = 0, n = 0;
        int k = 0;

        for (size_t i = 0; i < c->n_reservations; i++) {
                Reservation *r = c->reservations[i];

                j->reservation = r;
                j->number = (uint32_t) n;
                if (k >= 0)
                        k = judge(j, &placeholders);
                if (k >= 0 && j->out) {
                        reservation_free(r);
                        continue;
                }
                c->reservations[n++] = r;
        }
        c->n_reservations = n;
        return k;
}

int config_resolve_overlaps(Config *c)
{
        _cleanup_(freep) Judge *j = NULL;
        int k;

        if (c->n_reservations == 0 && c->n_pools == 0)
                return 0;
        k = port_index_new(&c->private->index);
        if (k < 0)
                return k;
        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->config = c;
        j->index = c->private->index;

        k = resolve_reservations(j);
        free(j->kept);
        if (k >= 0)
                k = resolve_pools(c, c->private->index);
        port_index_reverse(c->private->index);
        return k;
}
