/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Do two configurations declare the same? */

#include <string.h>

#include "model/config.h"

static inline bool same_text(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool same_endpoint(const Endpoint *a, const Endpoint *b)
{
        return endpoint_same_place(a, b) && a->port == b->port && a->last == b->last &&
               a->listen == b->listen;
}

static inline bool reservation_equal(const Reservation *a, const Reservation *b)
{
        if (!same_text(a->name, b->name) || !same_text(a->unit, b->unit) ||
            !same_text(a->user, b->user) || a->uid != b->uid || a->hold != b->hold ||
            a->reuse != b->reuse || a->exclusive != b->exclusive || a->evict != b->evict ||
            !same_text(a->alert_unit, b->alert_unit) ||
            !same_text(a->description, b->description) || a->n_endpoints != b->n_endpoints ||
            a->n_socket_keys != b->n_socket_keys)
                return false;
        for (size_t i = 0; i < a->n_endpoints; i++)
                if (!same_endpoint(&a->endpoints[i], &b->endpoints[i]))
                        return false;
        for (size_t i = 0; i < a->n_socket_keys; i++)
                if (!same_text(a->socket_keys[i].key, b->socket_keys[i].key) ||
                    !same_text(a->socket_keys[i].value, b->socket_keys[i].value))
                        return false;
        return true;
}

static inline bool daemon_equal(const ConfigDaemon *a, const ConfigDaemon *b)
{
        return a->scan_interval_usec == b->scan_interval_usec &&
               a->scan_budget_percent == b->scan_budget_percent &&
               a->socket_units == b->socket_units && a->ephemeral_floor == b->ephemeral_floor &&
               a->alert_interval_usec == b->alert_interval_usec &&
               same_text(a->alert_unit, b->alert_unit) && a->exclusive == b->exclusive &&
               a->exclusive_keep == b->exclusive_keep &&
               same_text(a->portserver_socket, b->portserver_socket) &&
               same_text(a->portreserve_directory, b->portreserve_directory) &&
               same_text(a->metrics_file, b->metrics_file);
}

static inline bool pool_equal(const Pool *a, const Pool *b)
{
        char **u = a->users, **v = b->users;

        if (strcmp(a->name, b->name) != 0 || !portset_equal(&a->ports, &b->ports) ||
            a->max_per_user != b->max_per_user || a->max_lease_usec != b->max_lease_usec)
                return false;
        for (; u && *u && v && *v; u++, v++)
                if (strcmp(*u, *v) != 0)
                        return false;
        return !(u && *u) && !(v && *v);
}

/* Places (file, line), mistakes and remarks do not count. */
static inline bool config_equal(const Config *a, const Config *b)
{
        size_t n = a->n_reservations - a->n_units;

        if (!daemon_equal(&a->daemon, &b->daemon) || n != b->n_reservations - b->n_units ||
            a->n_pools != b->n_pools)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!reservation_equal(a->reservations[i], b->reservations[i]))
                        return false;
        for (size_t i = 0; i < a->n_pools; i++)
                if (!pool_equal(a->pools[i], b->pools[i]))
                        return false;
        return true;
}
