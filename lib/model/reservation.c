/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/reservation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.@-"

const Reservation reservation_nobody = { .name = (char *) "", .uid = UID_INVALID };

static const char *const hold_modes[] = { [HOLD_NONE] = "none",
                                          [HOLD_SHARED] = "shared",
                                          [HOLD_BOUND] = "bound",
                                          [HOLD_LISTEN] = "listen",
                                          NULL };
static const char *const reuse_addresses[] = {
        [REUSE_YES] = "yes", [REUSE_NO] = "no", [REUSE_ALWAYS] = "always", NULL
};
static const char *const exclusives[] = {
        [EXCLUSIVE_NO] = "no", [EXCLUSIVE_AUDIT] = "audit", [EXCLUSIVE_YES] = "yes", NULL
};
static const char *const evicts[] = {
        [EVICT_NO] = "no", [EVICT_EPHEMERAL] = "ephemeral", [EVICT_ANY] = "any", NULL
};

static int from_table(const char *const *table, const char *s)
{
        for (int i = 0; table[i]; i++)
                if (strcmp(table[i], s) == 0)
                        return i;
        return -EINVAL;
}

const char *hold_mode_to_string(HoldMode m)
{
        return hold_modes[m];
}

int hold_mode_from_string(const char *s)
{
        return from_table(hold_modes, s);
}

const char *reuse_address_to_string(ReuseAddress m)
{
        return reuse_addresses[m];
}

int reuse_address_from_string(const char *s)
{
        return from_table(reuse_addresses, s);
}

const char *exclusive_to_string(Exclusive m)
{
        return exclusives[m];
}

int exclusive_from_string(const char *s)
{
        return from_table(exclusives, s);
}

const char *evict_to_string(Evict m)
{
        return evicts[m];
}

int evict_from_string(const char *s)
{
        return from_table(evicts, s);
}

bool reservation_name_valid(const char *s)
{
        size_t n = strlen(s);
        const char *at;

        if (n == 0 || n > RESERVATION_NAME_MAX || strspn(s, NAME_CHARACTERS) != n)
                return false;
        at = strchr(s, '@');
        if (at && (at == s || !at[1]))
                return false;
        return strcmp(s, "Daemon") != 0 && strcmp(s, "Pool") != 0;
}

bool reservation_name_is_taken(const char *s)
{
        return strcmp(s, "act") == 0 || strcmp(s, "inspect") == 0;
}

HoldMode reservation_endpoint_hold(const Reservation *r, const Endpoint *e)
{
        if (r->hold == HOLD_LISTEN && !e->listen)
                return HOLD_NONE;
        return r->hold;
}

void reservation_add_ports(const Reservation *r, PortSet *s)
{
        for (size_t i = 0; i < r->n_endpoints; i++)
                portset_add_run(s, r->endpoints[i].port, r->endpoints[i].last);
}

const char *reservation_socket_unit(const Reservation *r, char buf[static RESERVATION_UNIT_MAX])
{
        snprintf(buf, RESERVATION_UNIT_MAX, "portreserved-%s.socket", r->name);
        return buf;
}

const SocketKey *reservation_socket_key(const Reservation *r, const char *key)
{
        for (size_t i = 0; i < r->n_socket_keys; i++)
                if (strcmp(r->socket_keys[i].key, key) == 0)
                        return &r->socket_keys[i];
        return NULL;
}

void reservation_remove_socket_key(Reservation *r, const char *key)
{
        for (size_t i = 0; i < r->n_socket_keys; i++) {
                SocketKey *k = &r->socket_keys[i];

                if (strcmp(k->key, key) != 0)
                        continue;
                free(k->key);
                free(k->value);
                memmove(k, k + 1, (--r->n_socket_keys - i) * sizeof(*k));
                return;
        }
}

Reservation *reservation_free(Reservation *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_socket_keys; i++) {
                free(r->socket_keys[i].key);
                free(r->socket_keys[i].value);
        }
        free(r->socket_keys);
        free(r->endpoints);
        free(r->name);
        free(r->unit);
        free(r->user);
        free(r->alert_unit);
        free(r->description);
        free(r->socket_unit);
        free(r->socket_path);
        free(r->former_name);
        free(r->run);
        free(r);
        return NULL;
}
