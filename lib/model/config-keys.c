/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The keys of [Daemon], of reservations and of [Pool NAME]: one row each. Keys of systemd.socket(5)
 * are in socket-key.c. */

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/grow.h"
#include "base/parse.h"
#include "model/config-private.h"
#include "model/endpoint-parse.h"
#include "model/socket-key.h"
#include "model/unit-name.h"

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)

typedef struct Key Key;
typedef int (*KeyParser)(Config *c, const ConfigLine *l, const Key *k, void *base,
                         const char *value);

enum {
        KEY_LIST = 1 << 0,  /* appends; may be continued on the next line */
        KEY_LATER = 1 << 1, /* accepted, and without effect in this build */
};

struct Key {
        SectionKind section;
        const char *name;
        KeyParser parse;
        size_t offset;
        unsigned flags;
        uint64_t min, max, initial;
        int (*from_string)(const char *s); /* parse_enum */
        bool (*valid)(const char *s);      /* parse_text */
        size_t written;                    /* offset of the flag "it was written", 0: none */
        const char *hint;                  /* what it has to be */
};

static int mistake(Config *c, const ConfigLine *l, const Key *k, const char *value)
{
        return config_line_error(c, l, "%s= is \"%.64s\"; write %s", k->name, value, k->hint);
}

static void note_written(const Key *k, void *base, bool written)
{
        if (k->written)
                memcpy((char *) base + k->written, &written, sizeof(written));
}

static int parse_flag(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
{
        bool v = k->initial;

        if (*value && parse_bool(value, &v) < 0)
                return mistake(c, l, k, value);
        memcpy((char *) base + k->offset, &v, sizeof(v));
        return 0;
}

static int parse_number(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
{
        uint64_t v = k->initial;
        unsigned u;

        if (*value && parse_uint(value, k->min, k->max, &v) < 0)
                return mistake(c, l, k, value);
        u = (unsigned) v;
        memcpy((char *) base + k->offset, &u, sizeof(u));
        return 0;
}

static int parse_span(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
{
        uint64_t v = k->initial;

        if (*value && (parse_timespan(value, &v) < 0 || v < k->min || v > k->max))
                return mistake(c, l, k, value);
        memcpy((char *) base + k->offset, &v, sizeof(v));
        return 0;
}

static int parse_enum(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
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

static int parse_text(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
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
static int each_word(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value,
                     KeyParser item)
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

static int port_item(Config *c, const ConfigLine *l, const Key *k, void *base, const char *word)
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

static int parse_ports(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
{
        if (!*value)
                remove_endpoints(base, false);
        return each_word(c, l, k, base, value, port_item);
}

static int parse_listen(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
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

static int parse_hold(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
{
        Reservation *r = base;

        r->hold_file = l->file;
        r->hold_line = l->line;
        return parse_enum(c, l, k, base, value);
}

static int parse_user(Config *c, const ConfigLine *l, const Key *k, void *base, const char *value)
{
        Reservation *r = base;
        uid_t uid = UID_INVALID;

        if (*value && (!c->private->ops.user_id || c->private->ops.user_id(value, &uid) < 0))
                return config_line_error(
                        c, l,
                        "there is no user \"%.64s\"; write the name or number of one that exists",
                        value);
        r->uid = uid;
        return parse_text(c, l, k, base, value);
}

static int pool_port_item(Config *c, const ConfigLine *l, const Key *k, void *base,
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

static int parse_pool_ports(Config *c, const ConfigLine *l, const Key *k, void *base,
                            const char *value)
{
        if (!*value)
                portset_clear(&((Pool *) base)->ports);
        return each_word(c, l, k, base, value, pool_port_item);
}

static int pool_user_item(Config *c, const ConfigLine *l, const Key *k, void *base,
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

static int parse_pool_users(Config *c, const ConfigLine *l, const Key *k, void *base,
                            const char *value)
{
        Pool *pool = base;

        if (!*value) {
                for (char **u = pool->users; u && *u; u++)
                        free(*u);
                free(pool->users);
                pool->users = NULL;
        }
        return each_word(c, l, k, base, value, pool_user_item);
}

static int exclusive_on_exit_from_string(const char *s)
{
        return strcmp(s, "keep") == 0 ? 1 : strcmp(s, "drop") == 0 ? 0 : -EINVAL;
}

static int parse_on_exit(Config *c, const ConfigLine *l, const Key *k, void *base,
                         const char *value)
{
        int v = *value ? exclusive_on_exit_from_string(value) : 0;

        if (v < 0)
                return mistake(c, l, k, value);
        ((ConfigDaemon *) base)->exclusive_keep = v;
        return 0;
}

static bool valid_service(const char *s)
{
        return unit_name_valid(s) && unit_name_has_suffix(s, ".service") &&
               !unit_name_is_template(s);
}

static bool valid_template(const char *s)
{
        return unit_name_valid(s) && unit_name_has_suffix(s, ".service") &&
               unit_name_is_template(s);
}

static bool valid_path(const char *s)
{
        return s[0] == '/' && strlen(s) < PATH_MAX;
}

static bool valid_socket_address(const char *s)
{
        return (s[0] == '/' || s[0] == '@') && s[1] &&
               strlen(s) < sizeof(((struct sockaddr_un *) 0)->sun_path);
}

#define D(field) offsetof(ConfigDaemon, field)
#define R(field) offsetof(Reservation, field)
#define P(field) offsetof(Pool, field)

static const Key keys[] = {
        { SECTION_DAEMON, "ScanIntervalSec", parse_span, D(scan_interval_usec),
          .min = 50 * USEC_PER_MSEC, .max = 3600 * USEC_PER_SEC, .initial = USEC_PER_SEC,
          .hint = "a time from 50ms to 1h, as 1s" },
        { SECTION_DAEMON, "ScanBudgetPercent", parse_number, D(scan_budget_percent), .min = 1,
          .max = 100, .initial = 1, .hint = "a number from 1 to 100" },
        { SECTION_DAEMON, "SocketUnits", parse_flag, D(socket_units), KEY_LATER, .initial = true,
          .hint = "yes or no" },
        { SECTION_DAEMON, "EphemeralFloor", parse_number, D(ephemeral_floor), .max = 65535,
          .initial = 4096, .hint = "a number of ports from 0 to 65535" },
        { SECTION_DAEMON, "AlertIntervalSec", parse_span, D(alert_interval_usec),
          .max = 86400 * USEC_PER_SEC, .initial = 10 * USEC_PER_SEC,
          .hint = "a time of at most 1d, as 10s" },
        { SECTION_DAEMON, "AlertUnit", parse_text, D(alert_unit), KEY_LATER,
          .valid = valid_template, .hint = "a template unit, as alert@.service" },
        { SECTION_DAEMON, "Exclusive", parse_enum, D(exclusive), KEY_LATER,
          .from_string = exclusive_from_string, .hint = "no, audit or yes" },
        { SECTION_DAEMON, "ExclusiveOnExit", parse_on_exit, D(exclusive_keep), KEY_LATER,
          .hint = "keep or drop" },
        { SECTION_DAEMON, "PortserverSocket", parse_text, D(portserver_socket), KEY_LATER,
          .valid = valid_socket_address,
          .hint = "an absolute path, or @NAME, of at most 107 characters" },
        { SECTION_DAEMON, "PortreserveDirectory", parse_text, D(portreserve_directory), KEY_LATER,
          .valid = valid_path, .hint = "an absolute path" },
        { SECTION_DAEMON, "MetricsFile", parse_text, D(metrics_file), KEY_LATER,
          .valid = valid_path, .hint = "an absolute path" },

        { SECTION_RESERVATION, "Ports", parse_ports, .flags = KEY_LIST },
        { SECTION_RESERVATION, "ListenStream", parse_listen, .flags = KEY_LIST,
          .initial = IPPROTO_TCP },
        { SECTION_RESERVATION, "ListenDatagram", parse_listen, .flags = KEY_LIST,
          .initial = IPPROTO_UDP },
        { SECTION_RESERVATION, "Unit", parse_text, R(unit), .valid = valid_service,
          .written = R(unit_explicit),
          .hint = "the full name of a service, as nginx.service or app@one.service" },
        { SECTION_RESERVATION, "User", parse_user, R(user) },
        { SECTION_RESERVATION, "Hold", parse_hold, R(hold), .from_string = hold_mode_from_string,
          .written = R(hold_explicit), .hint = "none, shared, bound or listen" },
        { SECTION_RESERVATION, "ReuseAddress", parse_enum, R(reuse),
          .from_string = reuse_address_from_string, .hint = "yes, no or always" },
        { SECTION_RESERVATION, "Exclusive", parse_enum, R(exclusive), KEY_LATER,
          .from_string = exclusive_from_string, .written = R(exclusive_explicit),
          .hint = "no, audit or yes" },
        { SECTION_RESERVATION, "Evict", parse_enum, R(evict), KEY_LATER,
          .from_string = evict_from_string, .hint = "no, ephemeral or any" },
        { SECTION_RESERVATION, "AlertUnit", parse_text, R(alert_unit), KEY_LATER,
          .valid = valid_template, .hint = "a template unit, as alert@.service" },
        { SECTION_RESERVATION, "Description", parse_text, R(description) },

        { SECTION_POOL, "Ports", parse_pool_ports, .flags = KEY_LIST },
        { SECTION_POOL, "Users", parse_pool_users, .flags = KEY_LIST },
        { SECTION_POOL, "MaxPerUser", parse_number, P(max_per_user), .max = 65535,
          .hint = "a number of ports, 0 for no limit" },
        { SECTION_POOL, "MaxLeaseSec", parse_span, P(max_lease_usec), .max = UINT64_MAX,
          .hint = "a time, as 1h; 0 for no limit" },
};

static const char *section_title(SectionKind s)
{
        return s == SECTION_DAEMON ? "[Daemon]"
               : s == SECTION_POOL ? "[Pool NAME]"
                                   : "a reservation";
}

/* Edit distance, as far as 3; case does not count. */
static unsigned distance(const char *a, const char *b)
{
        size_t n = strlen(a), m = strlen(b);
        unsigned row[64];

        if (n >= ELEMENTSOF(row) || m >= ELEMENTSOF(row))
                return 3;
        for (size_t j = 0; j <= m; j++)
                row[j] = (unsigned) j;
        for (size_t i = 1; i <= n; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned) i;
                for (size_t j = 1; j <= m; j++) {
                        unsigned above = row[j];
                        unsigned change = diagonal + (tolower((unsigned char) a[i - 1]) !=
                                                      tolower((unsigned char) b[j - 1]));

                        row[j] = MIN_OF(MIN_OF(above, row[j - 1]) + 1, change);
                        diagonal = above;
                }
        }
        return MIN_OF(row[m], 3u);
}

static void nearest(const char *key, const char *candidate, const char **best,
                    unsigned *best_distance)
{
        unsigned d = distance(key, candidate);

        /* Two changes turn any short word into any other: at most half of it. */
        if (d < *best_distance && d * 2 <= strlen(candidate)) {
                *best = candidate;
                *best_distance = d;
        }
}

static int unknown_key(Config *c, const ConfigLine *l)
{
        SectionKind section = c->private->section;
        const char *best = NULL;
        unsigned best_distance = 3;

        /* Nobody will read what it could have meant. */
        if (c->n_errors >= CONFIG_DIAGNOSTICS_MAX)
                return config_line_error(c, l, "unknown key");

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (keys[i].section == section)
                        nearest(l->key, keys[i].name, &best, &best_distance);
                else if (strcmp(keys[i].name, l->key) == 0)
                        return config_line_error(c, l, "%s= is no key of %s; it belongs to %s",
                                                 l->key, section_title(section),
                                                 section_title(keys[i].section));
        }
        if (section == SECTION_RESERVATION)
                for (unsigned i = 0; socket_key_name(i); i++)
                        nearest(l->key, socket_key_name(i), &best, &best_distance);
        if (best)
                return config_line_error(c, l, "unknown key %.64s=; did you mean %s=?", l->key,
                                         best);
        return config_line_error(
                c, l,
                "unknown key %.64s=; remove it, or see portreserved.conf(5) for the keys of %s",
                l->key, section_title(section));
}

static int set_socket_key(Config *c, const ConfigLine *l, const char *value)
{
        Reservation *r = c->private->reservation;
        SocketKey k = { .file = l->file, .line = l->line };
        const char *why;

        if (!*value) {
                reservation_remove_socket_key(r, l->key);
                return 0;
        }
        why = socket_key_check(l->key, value);
        if (why)
                return config_line_error(c, l, "%s= is \"%.64s\"; %s", l->key, value, why);
        if (!GROW(r->socket_keys, r->n_socket_keys_allocated, r->n_socket_keys + 1))
                return -ENOMEM;
        k.key = strdup(l->key);
        k.value = strdup(value);
        if (!k.key || !k.value) {
                free(k.key);
                free(k.value);
                return -ENOMEM;
        }
        reservation_remove_socket_key(r, l->key);
        r->socket_keys[r->n_socket_keys++] = k;
        return 0;
}

static int set_key(Config *c, const ConfigLine *l, const Key *k, const char *value)
{
        struct ConfigPrivate *p = c->private;
        void *base = k->section == SECTION_DAEMON ? (void *) &c->daemon
                     : k->section == SECTION_POOL ? (void *) p->pool
                                                  : (void *) p->reservation;

        if ((k->flags & KEY_LATER) && *value) {
                int r = config_warn(c, l->file, l->line,
                                    "%s= has no effect in this build; it may stay, or be removed",
                                    k->name);

                if (r < 0)
                        return r;
        }
        return k->parse(c, l, k, base, value);
}

int config_keys_set(Config *c, const ConfigLine *l, const char *value, bool continued)
{
        SectionKind section = c->private->section;
        const char *reason;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (keys[i].section != section || strcmp(keys[i].name, l->key) != 0)
                        continue;
                if (continued && !(keys[i].flags & KEY_LIST))
                        break;
                return set_key(c, l, &keys[i], value);
        }
        if (continued)
                return config_line_error(c, l,
                                         "the line continues %.64s=, which takes one line; write "
                                         "its whole value in one, or remove "
                                         "the blanks before \"%.32s\"",
                                         l->key, value);
        if (section == SECTION_RESERVATION)
                switch (socket_key_find(l->key, &reason)) {
                case SOCKET_KEY_PASSED:
                        return set_socket_key(c, l, value);
                case SOCKET_KEY_REFUSED:
                        return config_line_error(c, l, "%s= %s", l->key, reason);
                case SOCKET_KEY_UNKNOWN:
                        break;
                }
        return unknown_key(c, l);
}

void config_keys_defaults(Config *c)
{
        ConfigLine l = { 0 };

        /* An empty value is the default: of these no parser can fail. */
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (keys[i].section == SECTION_DAEMON)
                        (void) keys[i].parse(c, &l, &keys[i], &c->daemon, "");
}
