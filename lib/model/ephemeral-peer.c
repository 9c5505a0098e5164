/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/ephemeral-peer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/grow.h"
#include "base/hash.h"

static uint64_t hash_address(uint64_t h, const Address *a)
{
        return a->family == AF_INET ? hash_bytes(h, &a->in, sizeof(a->in))
                                    : hash_bytes(h, &a->in6, sizeof(a->in6));
}

/* Of two peers that meet here the second is one too many. */
static uint64_t hash_peer(const Socket *s)
{
        uint64_t h = HASH_INITIAL;

        h = hash_bytes(h, &s->protocol, sizeof(s->protocol));
        h = hash_address(hash_address(h, &s->local), &s->remote);
        h = hash_bytes(h, &s->remote_port, sizeof(s->remote_port));
        if (s->protocol == IPPROTO_UDP)
                h = hash_bytes(h, &s->cgroup, sizeof(s->cgroup));
        return h ?: 1;
}

static bool same_peer(const Socket *a, const Socket *b)
{
        return a->protocol == b->protocol && a->remote_port == b->remote_port &&
               address_equal(&a->local, &b->local) && address_equal(&a->remote, &b->remote) &&
               (a->protocol != IPPROTO_UDP || a->cgroup == b->cgroup);
}

/* Whoever has that hash, the socket's peer or not. */
static EphemeralPeer *find_hash(const EphemeralPeers *p, uint64_t hash)
{
        size_t i = (size_t) (uintptr_t) table_get(&p->table, hash);

        return i > 0 ? &p->peers[i - 1] : NULL;
}

EphemeralPeer *ephemeral_peers_find(const EphemeralPeers *p, const Socket *s)
{
        EphemeralPeer *found = find_hash(p, hash_peer(s));

        return found && same_peer(&found->sample, s) ? found : NULL;
}

int ephemeral_peers_get(EphemeralPeers *p, const Socket *s, EphemeralPeer **ret)
{
        uint64_t hash = hash_peer(s);
        EphemeralPeer *found = find_hash(p, hash);

        *ret = found && same_peer(&found->sample, s) ? found : NULL;
        if (found || p->n >= EPHEMERAL_PEERS_MAX)
                return 0;
        if (!GROW(p->peers, p->n_allocated, p->n + 1) ||
            !table_set(&p->table, hash, (void *) (uintptr_t) (p->n + 1))) /* an index, no pointer */
                return -ENOMEM;
        p->peers[p->n] = (EphemeralPeer){ .sample = *s };
        *ret = &p->peers[p->n++];
        return 0;
}

static int compare_peers(const void *a, const void *b)
{
        const EphemeralPeer *x = a, *y = b;

        return x->sockets == y->sockets ? 0 : x->sockets < y->sockets ? 1 : -1;
}

void ephemeral_peers_sort(EphemeralPeers *p)
{
        if (p->n > 0)
                qsort(p->peers, p->n, sizeof(*p->peers), compare_peers);
        table_deinit(&p->table);
}

void ephemeral_peers_done(EphemeralPeers *p)
{
        table_deinit(&p->table);
        free(p->peers);
        *p = (EphemeralPeers){};
}
