/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/parse.h"
#include "model/config-internal.h"

#define POOL_PREFIX "Pool "

int config_new(const ConfigOps *ops, Config **ret)
{
        _cleanup_(config_freep) Config *c = NULL;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->private = calloc(1, sizeof(*c->private));
        if (!c->private)
                return -ENOMEM;
        if (ops)
                c->private->ops = *ops;
        config_keys_defaults(c);
        *ret = TAKE_PTR(c);
        return 0;
}

static void diagnostics_free(Diagnostic *d, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(d[i].message);
        free(d);
}

Pool *config_pool_free(Pool *p)
{
        if (!p)
                return NULL;
        strv_free(p->users);
        free(p->name);
        free(p);
        return NULL;
}

static void daemon_deinit(ConfigDaemon *d)
{
        free(d->alert_unit);
        free(d->portserver_socket);
        free(d->portreserve_directory);
        free(d->metrics_file);
}

static void private_free(struct ConfigPrivate *p)
{
        if (!p)
                return;
        name_index_clear(&p->reservations);
        name_index_clear(&p->pools);
        port_index_free(p->index);
        for (size_t i = 0; i < p->n_replaced; i++)
                reservation_free(p->replaced[i]);
        free(p->replaced);
        for (size_t i = 0; i < p->n_files; i++)
                free(p->files[i]);
        free(p->files);
        free(p);
}

Config *config_free(Config *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_reservations; i++)
                reservation_free(c->reservations[i]);
        for (size_t i = 0; i < c->n_pools; i++)
                config_pool_free(c->pools[i]);
        free(c->reservations);
        free(c->pools);
        diagnostics_free(c->errors, c->n_errors);
        diagnostics_free(c->warnings, c->n_warnings);
        daemon_deinit(&c->daemon);
        private_free(c->private);
        free(c);
        return NULL;
}

void config_allow_source(Config *c)
{
        c->private->applied = true;
}

static int open_reservation(Config *c, const char *file, unsigned line, const char *name)
{
        struct ConfigPrivate *p = c->private;
        Reservation *r;
        uint32_t i;
        int k;

        if (name_index_find(&p->reservations, name, &i)) {
                p->reservation = c->reservations[i];
                return 0;
        }
        if (!GROW(c->reservations, c->n_reservations_allocated, c->n_reservations + 1))
                return -ENOMEM;
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->file = file;
        r->line = line;
        r->uid = UID_INVALID;
        r->name = strdup(name);
        k = r->name ? name_index_add(&p->reservations, r->name, (uint32_t) c->n_reservations)
                    : -ENOMEM;
        if (k < 0) {
                reservation_free(r);
                return k;
        }
        c->reservations[c->n_reservations++] = p->reservation = r;
        return 0;
}

static int open_pool(Config *c, const char *file, unsigned line, const char *name)
{
        struct ConfigPrivate *p = c->private;
        Pool *pool;
        uint32_t i;
        int k;

        if (name_index_find(&p->pools, name, &i)) {
                p->pool = c->pools[i];
                return 0;
        }
        /* Each has a set of ports of 8 KiB: a heap of them must not cost the daemon its memory. */
        if (c->n_pools >= CONFIG_POOLS_MAX) {
                p->section = SECTION_IGNORED;
                return config_error(c, file, line,
                                    "[Pool %s] is one too many; write at most %u pools, each with "
                                    "as many Ports= lines as you like",
                                    name, CONFIG_POOLS_MAX);
        }
        if (!GROW(c->pools, c->n_pools_allocated, c->n_pools + 1))
                return -ENOMEM;
        pool = calloc(1, sizeof(*pool));
        if (!pool)
                return -ENOMEM;
        pool->file = file;
        pool->line = line;
        pool->name = strdup(name);
        k = pool->name ? name_index_add(&p->pools, pool->name, (uint32_t) c->n_pools) : -ENOMEM;
        if (k < 0) {
                config_pool_free(pool);
                return k;
        }
        c->pools[c->n_pools++] = p->pool = pool;
        return config_warn(c, file, line,
                           "[Pool %s] has no effect in this build: nothing is leased from it, and "
                           "its ports are not reserved; to keep them free, list them under Ports= "
                           "of a reservation",
                           name);
}

/* Messages show names in full up to their allowed length, and the beginning of longer ones. */
static int bad_section(Config *c, const char *file, unsigned line, const char *section)
{
        c->private->section = SECTION_IGNORED;
        if (c->private->applied)
                return config_warn(c, file, line,
                                   "[%.64s] is not known to this version of portreserved, and "
                                   "left out",
                                   section);
        if (strcmp(section, "Pool") == 0)
                return config_error(c, file, line, "[Pool] has no name; write it as [Pool NAME]");
        if (strlen(section) > RESERVATION_NAME_MAX)
                return config_error(c, file, line,
                                    "section name \"%.64s\" is longer than %d characters; shorten "
                                    "it, and name the service by Unit=",
                                    section, RESERVATION_NAME_MAX);
        return config_error(c, file, line,
                            "section name \"%.64s\" is no name of a reservation; write [Daemon], "
                            "[Pool NAME], or a name of letters, digits and \"_ . @ -\" (an \"@\" "
                            "not first or last)",
                            section);
}

int config_section(Config *c, const char *file, unsigned line, const char *section)
{
        struct ConfigPrivate *p = c->private;
        int k;

        k = config_intern_file(c, file, &file);
        if (k < 0)
                return k;
        p->source_file = NULL;
        p->reservation = NULL;
        p->pool = NULL;

        if (strcmp(section, "Daemon") == 0) {
                p->section = SECTION_DAEMON;
                return 0;
        }
        if (strncmp(section, POOL_PREFIX, strlen(POOL_PREFIX)) == 0) {
                const char *name = section + strlen(POOL_PREFIX);

                name += strspn(name, " \t");
                if (!reservation_name_valid(name))
                        return bad_section(c, file, line, name);
                p->section = SECTION_POOL;
                return open_pool(c, file, line, name);
        }
        if (!reservation_name_valid(section))
                return bad_section(c, file, line, section);
        if (reservation_name_is_taken(section)) {
                p->section = SECTION_IGNORED;
                return config_error(
                        c, file, line,
                        "[%s] would replace portreserved's own unit portreserved-%s.socket; choose "
                        "another name, and name the service by Unit=%s.service",
                        section, section, section);
        }
        p->section = SECTION_RESERVATION;
        return open_reservation(c, file, line, section);
}

void config_skip_section(Config *c)
{
        c->private->section = SECTION_IGNORED;
}

void config_begin_file(Config *c)
{
        c->private->section = SECTION_NONE;
        c->private->orphan_said = false;
}

/* Source=FILE:LINE of applied.conf: what follows in the section stands there. */
static int set_source(Config *c, const ConfigLine *l, const char *value)
{
        struct ConfigPrivate *p = c->private;
        _cleanup_(freep) char *file = NULL;
        const char *colon = strrchr(value, ':');
        uint64_t line;
        int k;

        if (!colon || colon == value || parse_uint(colon + 1, 0, UINT32_MAX, &line) < 0 ||
            !p->reservation)
                return config_error(c, l->file, l->line, "Source= is \"%.64s\"; it is FILE:LINE",
                                    value);
        file = strndup(value, (size_t) (colon - value));
        if (!file)
                return -ENOMEM;
        k = config_intern_file(c, file, &p->source_file);
        if (k < 0)
                return k;
        p->source_line = (unsigned) line;
        p->reservation->file = p->source_file;
        p->reservation->line = p->source_line;
        return 0;
}

static int set_text(char **field, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

/* What applied.conf alone says of a reservation: what became of it by reloads. 0: none of these
 * keys. */
static int set_history(Reservation *r, const char *key, const char *value)
{
        int k = 0;

        if (strcmp(key, "FormerName") == 0)
                k = reservation_name_valid(value) ? set_text(&r->former_name, value) : 0;
        else if (strcmp(key, "Run") == 0)
                k = set_text(&r->run, value);
        else if (strcmp(key, "RestartNeeded") == 0) {
                /* Of the line before it. */
                if (r->n_endpoints > 0)
                        r->endpoints[r->n_endpoints - 1].restart_needed = true;
        } else
                return 0;
        return k < 0 ? k : 1;
}

static int set(Config *c, const char *file, unsigned line, const char *key, const char *value,
               bool continued)
{
        struct ConfigPrivate *p = c->private;
        ConfigLine l = { .line = line, .key = key };
        int k;

        k = config_intern_file(c, file, &l.file);
        if (k < 0)
                return k;
        if (p->section == SECTION_NONE) {
                if (p->orphan_said)
                        return 0;
                p->orphan_said = true;
                return config_error(c, l.file, line,
                                    "%.64s= stands before any [section]; write the [section] it "
                                    "belongs to above it",
                                    key);
        }
        if (p->section == SECTION_IGNORED)
                return 0;
        if (p->applied && strcmp(key, "Source") == 0)
                return set_source(c, &l, value);
        if (p->applied && p->reservation) {
                k = set_history(p->reservation, key, value);
                if (k != 0)
                        return k < 0 ? k : 0;
        }
        if (p->source_file) {
                l.file = p->source_file;
                l.line = p->source_line;
        }
        return config_keys_set(c, &l, value, continued);
}

int config_set(Config *c, const char *file, unsigned line, const char *key, const char *value)
{
        return set(c, file, line, key, value, false);
}

int config_continue(Config *c, const char *file, unsigned line, const char *key, const char *value)
{
        return set(c, file, line, key, value, true);
}

void config_ports(const Config *c, PortSet *ret)
{
        portset_clear(ret);
        CONFIG_FOREACH_RESERVATION(c, r)
                reservation_add_ports(r, ret);
}

Reservation *config_find(const Config *c, const char *name)
{
        uint32_t i;

        return name_index_find(&c->private->reservations, name, &i) ? c->reservations[i] : NULL;
}

bool config_lookup(const Config *c, int protocol, uint16_t port, unsigned *iterator,
                   const Reservation **ret_reservation, const Endpoint **ret_endpoint)
{
        const PortIndex *x = c->private->index;
        const PortEntry *e;
        uint32_t at;

        if (!x || *iterator == UINT32_MAX || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
                return false;
        at = *iterator ? *iterator : x->heads[port_index_protocol(protocol)][port];
        if (at == 0)
                return false;
        e = &x->entries[at - 1];
        *iterator = e->next ? e->next : UINT32_MAX;
        if (ret_reservation)
                *ret_reservation = c->reservations[e->reservation];
        if (ret_endpoint)
                *ret_endpoint = &c->reservations[e->reservation]->endpoints[e->endpoint];
        return true;
}
