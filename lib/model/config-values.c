/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the text behind "Key=" to a field, a list or an endpoint. */

#include "model/config-values.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/grow.h"
#include "base/parse.h"
#include "model/endpoint-parse.h"
#include "model/unit-name.h"

static int mistake(Config *c, const ConfigLine *l, const ConfigKey *k, const char *value)
{
        return config_line_error(c, l, "%s= is \"%.64s\"; write %s", k->name, value, k->hint);
}

static void note_written(const ConfigKey *k, void *base, bool written)
{
        if (k->written)
                memcpy((char *) base + k->written, &written, sizeof(written));
}

int config_parse_flag(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value)
{
        bool v = k->initial;

        if (*value && parse_bool(value, &v) < 0)
                return mistake(c, l, k, value);
        memcpy((char *) base + k->offset, &v, sizeof(v));
        return 0;
}

int config_parse_number(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                        const char *value)
{
        uint64_t v = k->initial;
        unsigned u;

        if (*value && parse_uint(value, k->min, k->max, &v) < 0)
                return mistake(c, l, k, value);
        u = (unsigned) v;
        memcpy((char *) base + k->offset, &u, sizeof(u));
        return 0;
}

int config_parse_span(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value)
{
        uint64_t v = k->initial;

        if (*value && (parse_timespan(value, &v) < 0 || v < k->min || v > k->max))
                return mistake(c, l, k, value);
        memcpy((char *) base + k->offset, &v, sizeof(v));
        return 0;
}

int config_parse_enum(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value)
{
        int v = (int) k->initial;

        if (*value) {
                v = k->from_string(value);
                if (v < 0)
                        return mistake(c, l, k, value);
        }
        memcpy((char *) base + k->offset, &v, sizeof(v));
        note_written(k, base, *value);
        return 0;
}

int config_parse_text(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value)
{
        char **field = (char **) (void *) ((char *) base + k->offset), *copy = NULL;

        if (*value) {
                if (k->valid && !k->valid(value))
                        return mistake(c, l, k, value);
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        free(*field);
        *field = copy;
        note_written(k, base, *value);
        return 0;
}

/* Calls for each word of a value; words longer than any that could be right are cut, and refused by
 * the callee. */
static int each_word(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                     const char *value, ConfigParser item)
{
        for (value += strspn(value, " \t"); *value; value += strspn(value, " \t")) {
                size_t n = strcspn(value, " \t");
                char word[256];
                int r;

                snprintf(word, sizeof(word), "%.*s", (int) MIN_OF(n, sizeof(word) - 1), value);
                r = item(c, l, k, base, word);
                if (r < 0)
                        return r;
                value += n;
        }
        return 0;
}

static int add_endpoint(Reservation *r, const ConfigLine *l, const Endpoint *e)
{
        if (!GROW(r->endpoints, r->n_endpoints_allocated, r->n_endpoints + 1))
                return -ENOMEM;
        r->endpoints[r->n_endpoints] = *e;
        r->endpoints[r->n_endpoints].file = l->file;
        r->endpoints[r->n_endpoints].line = l->line;
        r->n_endpoints++;
        return 0;
}

static void remove_endpoints(Reservation *r, bool listen)
{
        size_t n = 0;

        for (size_t i = 0; i < r->n_endpoints; i++)
                if (r->endpoints[i].listen != listen)
                        r->endpoints[n++] = r->endpoints[i];
        r->n_endpoints = n;
}

static int port_item(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                     const char *word)
{
        char what[ENDPOINT_MISTAKE_MAX];
        Endpoint e[2];
        size_t n;

        if (endpoint_parse_ports(word, &c->private->ops, e, &n, what) < 0)
                return config_line_error(c, l, "%s", what);
        for (size_t i = 0; i < n; i++)
                if (add_endpoint(base, l, &e[i]) < 0)
                        return -ENOMEM;
        return 0;
}

int config_parse_ports(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                       const char *value)
{
        if (!*value)
                remove_endpoints(base, false);
        return each_word(c, l, k, base, value, port_item);
}

int config_parse_listen(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                        const char *value)
{
        char what[ENDPOINT_MISTAKE_MAX];
        Endpoint e;

        /* As in a .socket unit, an empty one takes back the other kind as well. */
        if (!*value) {
                remove_endpoints(base, true);
                return 0;
        }
        if (endpoint_parse_listen(value, (int) k->initial, &e, what) < 0)
                return config_line_error(c, l, "%s", what);
        return add_endpoint(base, l, &e);
}

int config_parse_hold(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value)
{
        Reservation *r = base;

        r->hold_file = l->file;
        r->hold_line = l->line;
        return config_parse_enum(c, l, k, base, value);
}

int config_parse_user(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value)
{
        Reservation *r = base;
        int n = 0;

        r->uid = UID_INVALID;
        /* One that is not there is nobody, and stays the owner: without the line the port would be
         * a service's, and perhaps be listened on for it. In applied.conf it has been said. */
        if (*value && (!c->private->ops.user_id || c->private->ops.user_id(value, &r->uid) < 0) &&
            !c->private->applied)
                n = config_line_error(c, l,
                                      "there is no user \"%.64s\", and nobody is given the ports; "
                                      "write the name or number of one that exists",
                                      value);
        return n < 0 ? n : config_parse_text(c, l, k, base, value);
}

static int pool_port_item(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                          const char *word)
{
        char what[ENDPOINT_MISTAKE_MAX];
        Pool *pool = base;
        Endpoint e[2];
        size_t n;

        if (strchr(word, '/'))
                return config_line_error(c, l,
                                         "\"%.64s\" has a protocol, but a pool's ports are leased "
                                         "for both; write the ports alone",
                                         word);
        if (endpoint_parse_ports(word, &c->private->ops, e, &n, what) < 0)
                return config_line_error(c, l, "%s", what);
        for (size_t i = 0; i < n; i++)
                portset_add_run(&pool->ports, e[i].port, e[i].last);
        return 0;
}

int config_parse_pool_ports(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                            const char *value)
{
        if (!*value)
                portset_clear(&((Pool *) base)->ports);
        return each_word(c, l, k, base, value, pool_port_item);
}

static int pool_user_item(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                          const char *word)
{
        Pool *pool = base;
        char **users;
        size_t n = 0;
        uid_t uid;

        if (!c->private->ops.user_id || c->private->ops.user_id(word, &uid) < 0)
                return config_line_error(
                        c, l,
                        "there is no user \"%.64s\"; write names or numbers of users that exist",
                        word);
        for (; pool->users && pool->users[n]; n++)
                if (strcmp(pool->users[n], word) == 0)
                        return 0;
        users = reallocarray(pool->users, n + 2, sizeof(*users));
        if (!users)
                return -ENOMEM;
        pool->users = users;
        users[n + 1] = NULL;
        users[n] = strdup(word);
        return users[n] ? 0 : -ENOMEM;
}

int config_parse_pool_users(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                            const char *value)
{
        Pool *pool = base;

        if (!*value)
                pool->users = strv_free(pool->users);
        return each_word(c, l, k, base, value, pool_user_item);
}

static int exclusive_on_exit_from_string(const char *s)
{
        return strcmp(s, "keep") == 0 ? 1 : strcmp(s, "drop") == 0 ? 0 : -EINVAL;
}

int config_parse_on_exit(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                         const char *value)
{
        int v = *value ? exclusive_on_exit_from_string(value) : 0;

        if (v < 0)
                return mistake(c, l, k, value);
        ((ConfigDaemon *) base)->exclusive_keep = v;
        return 0;
}

bool config_valid_service(const char *s)
{
        return unit_name_valid(s) && unit_name_has_suffix(s, ".service") &&
               !unit_name_is_template(s);
}

/* With room for the instance: UINT64_MAX has 20 digits (daemon/alert/alert-unit.c). */
bool config_valid_template(const char *s)
{
        return unit_name_valid(s) && strlen(s) + 20 <= UNIT_NAME_LENGTH_MAX &&
               unit_name_has_suffix(s, ".service") && unit_name_is_template(s);
}

bool config_valid_path(const char *s)
{
        return s[0] == '/' && strlen(s) < PATH_MAX;
}

bool config_valid_socket_address(const char *s)
{
        return (s[0] == '/' || s[0] == '@') && s[1] &&
               strlen(s) < sizeof(((struct sockaddr_un *) 0)->sun_path);
}
