/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/port-index.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

int port_index_new(PortIndex **ret)
{
        PortIndex *x;

        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        *ret = x;
        return 0;
}

PortIndex *port_index_free(PortIndex *x)
{
        if (!x)
                return NULL;
        free(x->entries);
        free(x);
        return NULL;
}

unsigned port_index_protocol(int protocol)
{
        return protocol == IPPROTO_UDP;
}

int port_index_add(PortIndex *x, int protocol, uint16_t port, uint32_t reservation,
                   uint32_t endpoint)
{
        unsigned p = port_index_protocol(protocol);

        if (!GROW(x->entries, x->n_allocated, x->n_entries + 1))
                return -ENOMEM;
        x->entries[x->n_entries++] = (PortEntry){
                .reservation = reservation,
                .endpoint = endpoint,
                .next = x->heads[p][port],
                .port = port,
                .protocol = (uint8_t) p,
        };
        x->heads[p][port] = (uint32_t) x->n_entries;
        portset_add(&x->used[p], port);
        return 0;
}

void port_index_truncate(PortIndex *x, size_t n)
{
        while (x->n_entries > n) {
                const PortEntry *e = &x->entries[--x->n_entries];

                /* The newest entry of all is the newest of its port: it stands first there. */
                x->heads[e->protocol][e->port] = e->next;
                if (e->next == 0)
                        portset_remove(&x->used[e->protocol], e->port);
        }
}

void port_index_reverse(PortIndex *x)
{
        memset(x->heads, 0, sizeof(x->heads));
        for (size_t i = x->n_entries; i > 0; i--) {
                PortEntry *e = &x->entries[i - 1];

                e->next = x->heads[e->protocol][e->port];
                x->heads[e->protocol][e->port] = (uint32_t) i;
        }
}
