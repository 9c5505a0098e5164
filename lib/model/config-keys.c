/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The keys of [Daemon], of reservations and of [Pool NAME]: one row each. Keys of systemd.socket(5)
 * are in socket-key.c. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/grow.h"
#include "base/nearest.h"
#include "model/config-values.h"
#include "model/socket-key.h"

#define D(field) offsetof(ConfigDaemon, field)
#define R(field) offsetof(Reservation, field)
#define P(field) offsetof(Pool, field)

static const ConfigKey keys[] = {
        { SECTION_DAEMON, "ScanIntervalSec", config_parse_span, D(scan_interval_usec),
          .min = 50 * USEC_PER_MSEC, .max = 3600 * USEC_PER_SEC, .initial = USEC_PER_SEC,
          .hint = "a time from 50ms to 1h, as 1s" },
        { SECTION_DAEMON, "ScanBudgetPercent", config_parse_number, D(scan_budget_percent),
          .min = 1, .max = 100, .initial = 1, .hint = "a number from 1 to 100" },
        { SECTION_DAEMON, "SocketUnits", config_parse_flag, D(socket_units), .initial = true,
          .hint = "yes or no" },
        { SECTION_DAEMON, "EphemeralFloor", config_parse_number, D(ephemeral_floor), .max = 65535,
          .initial = 4096, .hint = "a number of ports from 0 to 65535" },
        { SECTION_DAEMON, "AlertIntervalSec", config_parse_span, D(alert_interval_usec),
          .max = 86400 * USEC_PER_SEC, .initial = 10 * USEC_PER_SEC,
          .hint = "a time of at most 1d, as 10s" },
        { SECTION_DAEMON, "AlertUnit", config_parse_text, D(alert_unit),
          .valid = config_valid_template, .hint = "a template unit, as alert@.service" },
        { SECTION_DAEMON, "Exclusive", config_parse_enum, D(exclusive), KEY_LATER,
          .from_string = exclusive_from_string, .hint = "no, audit or yes" },
        { SECTION_DAEMON, "ExclusiveOnExit", config_parse_on_exit, D(exclusive_keep), KEY_LATER,
          .hint = "keep or drop" },
        { SECTION_DAEMON, "PortserverSocket", config_parse_text, D(portserver_socket), KEY_LATER,
          .valid = config_valid_socket_address,
          .hint = "an absolute path, or @NAME, of at most 107 characters" },
        { SECTION_DAEMON, "PortreserveDirectory", config_parse_text, D(portreserve_directory),
          .valid = config_valid_path, .hint = "an absolute path" },
        { SECTION_DAEMON, "MetricsFile", config_parse_text, D(metrics_file), KEY_LATER,
          .valid = config_valid_path, .hint = "an absolute path" },

        { SECTION_RESERVATION, "Ports", config_parse_ports, .flags = KEY_LIST },
        { SECTION_RESERVATION, "ListenStream", config_parse_listen, .flags = KEY_LIST,
          .initial = IPPROTO_TCP },
        { SECTION_RESERVATION, "ListenDatagram", config_parse_listen, .flags = KEY_LIST,
          .initial = IPPROTO_UDP },
        { SECTION_RESERVATION, "Unit", config_parse_text, R(unit), .valid = config_valid_service,
          .written = R(unit_explicit),
          .hint = "the full name of a service, as nginx.service or app@one.service" },
        { SECTION_RESERVATION, "User", config_parse_user, R(user) },
        { SECTION_RESERVATION, "Hold", config_parse_hold, R(hold),
          .from_string = hold_mode_from_string, .written = R(hold_explicit),
          .hint = "none, shared, bound or listen" },
        { SECTION_RESERVATION, "ReuseAddress", config_parse_enum, R(reuse),
          .from_string = reuse_address_from_string, .hint = "yes, no or always" },
        { SECTION_RESERVATION, "Exclusive", config_parse_enum, R(exclusive), KEY_LATER,
          .from_string = exclusive_from_string, .written = R(exclusive_explicit),
          .hint = "no, audit or yes" },
        { SECTION_RESERVATION, "Evict", config_parse_enum, R(evict),
          .from_string = evict_from_string, .hint = "no, ephemeral or any" },
        { SECTION_RESERVATION, "AlertUnit", config_parse_text, R(alert_unit),
          .valid = config_valid_template, .hint = "a template unit, as alert@.service" },
        { SECTION_RESERVATION, "Description", config_parse_text, R(description) },

        { SECTION_POOL, "Ports", config_parse_pool_ports, .flags = KEY_LIST },
        { SECTION_POOL, "Users", config_parse_pool_users, .flags = KEY_LIST },
        { SECTION_POOL, "MaxPerUser", config_parse_number, P(max_per_user), .max = 65535,
          .hint = "a number of ports, 0 for no limit" },
        { SECTION_POOL, "MaxLeaseSec", config_parse_span, P(max_lease_usec), .max = UINT64_MAX,
          .hint = "a time, as 1h; 0 for no limit" },
};

static const char *section_title(SectionKind s)
{
        return s == SECTION_DAEMON ? "[Daemon]"
               : s == SECTION_POOL ? "[Pool NAME]"
                                   : "a reservation";
}

static int unknown_key(Config *c, const ConfigLine *l)
{
        SectionKind section = c->private->section;
        const char *best = NULL;
        unsigned best_distance = 3;

        /* A newer version wrote it and an older one has to go on: no mistake of anybody's. */
        if (c->private->applied)
                return config_warn(c, l->file, l->line,
                                   "%.64s= is not known to this version of portreserved, and has "
                                   "no effect",
                                   l->key);
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

static int set_key(Config *c, const ConfigLine *l, const ConfigKey *k, const char *value)
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
                                         "its whole value in one, or remove the blanks before "
                                         "\"%.32s\"",
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
