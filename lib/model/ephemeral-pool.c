/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/ephemeral-pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/table.h"

/* TCP_TIMEWAIT_LEN, include/net/tcp.h: not to be set. */
#define TIMEWAIT_USEC (60 * UINT64_C(1000000))

/* The ports that are taken for a bind() at one address. */
typedef struct Source {
        Address address;
        PortSet taken;
} Source;

struct EphemeralPool {
        uint16_t range_first;
        PortSet usable;
        unsigned n_usable;
        unsigned reuse;
        uint64_t delay_usec;

        PortSet tcp, udp;  /* in use */
        PortSet exclusive; /* of tcp: gone for all */
        unsigned tcp_sockets, tcp_timewait, udp_sockets;

        EphemeralPeer *peers;
        size_t n, n_allocated;
        Table table; /* hash of a peer -> its index + 1 */
        unsigned dropped;

        Source *sources;
        size_t n_sources;
};

int ephemeral_pool_new(uint16_t first, uint16_t last, const PortSet *reserved, unsigned reuse,
                       uint64_t delay_usec, EphemeralPool **ret)
{
        EphemeralPool *p;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->range_first = first;
        portset_add_run(&p->usable, first, last);
        portset_subtract(&p->usable, reserved);
        portset_remove(&p->usable, 0);
        p->n_usable = portset_count(&p->usable);
        p->reuse = reuse;
        p->delay_usec = delay_usec;
        *ret = p;
        return 0;
}

EphemeralPool *ephemeral_pool_free(EphemeralPool *p)
{
        if (!p)
                return NULL;
        table_deinit(&p->table);
        free(p->peers);
        free(p->sources);
        free(p);
        return NULL;
}

const PortSet *ephemeral_pool_usable(const EphemeralPool *p)
{
        return &p->usable;
}

static bool is_loopback(const Address *a)
{
        return a->family == AF_INET ? ntohl(a->in.s_addr) >> 24 == 127
                                    : IN6_IS_ADDR_LOOPBACK(&a->in6) != 0;
}

/* tcp_twsk_unique() of net/ipv4/tcp_ipv4.c; 2 is "loopback only". That the connection had no
 * timestamps, without which it is never reused, no row says. */
static bool is_reusable(const EphemeralPool *p, const Socket *s)
{
        if (s->state != SOCKET_TIME_WAIT || p->reuse == 0 || s->expires_usec == 0)
                return false;
        if (p->reuse == 2 && !is_loopback(&s->local) && !is_loopback(&s->remote))
                return false;
        return s->expires_usec + p->delay_usec < TIMEWAIT_USEC;
}

/* FNV-1a. Not proof against somebody who looks for two that meet: those are counted as one too
 * many. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t size)
{
        const uint8_t *byte = data;

        for (size_t i = 0; i < size; i++)
                h = (h ^ byte[i]) * UINT64_C(0x100000001b3);
        return h;
}

static uint64_t hash_address(uint64_t h, const Address *a)
{
        return a->family == AF_INET ? hash_bytes(h, &a->in, sizeof(a->in))
                                    : hash_bytes(h, &a->in6, sizeof(a->in6));
}

static uint64_t hash_peer(const Socket *s)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325);

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

static EphemeralPeer *find_peer(const EphemeralPool *p, const Socket *s, uint64_t hash)
{
        size_t i = (size_t) (uintptr_t) table_get(&p->table, hash);

        return i > 0 && same_peer(&p->peers[i - 1].sample, s) ? &p->peers[i - 1] : NULL;
}

/* The peer that this socket belongs to, new or not; *ret is NULL where there is no room for one. */
static int get_peer(EphemeralPool *p, const Socket *s, EphemeralPeer **ret)
{
        uint64_t hash = hash_peer(s);

        *ret = find_peer(p, s, hash);
        if (*ret || p->n >= EPHEMERAL_PEERS_MAX || table_get(&p->table, hash))
                return 0;
        if (!GROW(p->peers, p->n_allocated, p->n + 1) ||
            !table_set(&p->table, hash, (void *) (uintptr_t) (p->n + 1))) /* an index, no pointer */
                return -ENOMEM;
        p->peers[p->n] = (EphemeralPeer){ .sample = *s };
        *ret = &p->peers[p->n++];
        return 0;
}

static bool in_first_half(const EphemeralPool *p, uint16_t port)
{
        return (port - p->range_first) % 2 == 0;
}

static int count_at_peer(EphemeralPool *p, const Socket *s)
{
        EphemeralPeer *peer;
        int r;

        r = get_peer(p, s, &peer);
        if (r < 0)
                return r;
        if (!peer) {
                p->dropped++;
                return 0;
        }
        if (peer->sample.inode == 0 && s->inode != 0)
                peer->sample = *s;
        peer->sockets++;
        peer->timewait += s->state == SOCKET_TIME_WAIT;
        peer->reusable += is_reusable(p, s);
        if (in_first_half(p, s->local_port)) {
                if (peer->second == 0)
                        peer->port = s->local_port;
                peer->first++;
        } else {
                peer->port = s->local_port;
                peer->second++;
        }
        return 0;
}

static void count_tcp(EphemeralPool *p, const Socket *s)
{
        portset_add(&p->tcp, s->local_port);
        p->tcp_sockets++;
        p->tcp_timewait += s->state == SOCKET_TIME_WAIT;
}

void ephemeral_pool_add_exclusive(EphemeralPool *p, const Socket *s)
{
        if (!portset_has(&p->usable, s->local_port))
                return;
        count_tcp(p, s);
        portset_add(&p->exclusive, s->local_port);
}

int ephemeral_pool_add(EphemeralPool *p, const Socket *s)
{
        if (!portset_has(&p->usable, s->local_port))
                return 0;
        if (s->protocol == IPPROTO_UDP) {
                portset_add(&p->udp, s->local_port);
                p->udp_sockets++;
                return count_at_peer(p, s);
        }
        count_tcp(p, s);
        /* A listener's connections have its port: it was not chosen for them. */
        return portset_has(&p->exclusive, s->local_port) ? 0 : count_at_peer(p, s);
}

/* How many usable ports of one half are not in a set. */
static unsigned count_outside(const EphemeralPool *p, const PortSet *set, bool first_half)
{
        unsigned n = 0;

        PORTSET_FOREACH_RUN(&p->usable, first, last)
                for (unsigned port = first; port <= last; port++)
                        n += in_first_half(p, (uint16_t) port) == first_half &&
                             !portset_has(set, (uint16_t) port);
        return n;
}

static int add_source(EphemeralPool *p, const Address *a)
{
        for (size_t i = 0; i < p->n_sources; i++)
                if (address_equal(&p->sources[i].address, a))
                        return 0;
        if (!p->sources)
                p->sources = calloc(EPHEMERAL_SOURCES_MAX, sizeof(*p->sources));
        if (!p->sources)
                return -ENOMEM;
        if (p->n_sources < EPHEMERAL_SOURCES_MAX)
                p->sources[p->n_sources++].address = *a;
        return 0;
}

bool ephemeral_pool_judge(EphemeralPool *p, EphemeralTry try, void *userdata)
{
        /* Where connect() begins, and where bind() does. */
        unsigned open = count_outside(p, &p->exclusive, true), tries = 0;
        bool bind_has_turned = count_outside(p, &p->tcp, false) == 0, any = false;

        for (size_t i = 0; i < p->n; i++) {
                EphemeralPeer *peer = &p->peers[i];
                Tristate shared = TRI_UNKNOWN;

                if (peer->sample.protocol != IPPROTO_TCP || (peer->second == 0 && !bind_has_turned))
                        continue;
                if (tries++ < EPHEMERAL_TRIES_MAX)
                        shared = try(peer->port, userdata);
                if (shared == TRI_UNKNOWN)
                        /* connect() goes to the second half when it has used up the first; after
                         * that, closed connections may have left any number in each. */
                        shared = peer->second <= peer->first || peer->first >= open;
                if (shared == TRI_YES)
                        continue;
                any = true;
                peer->binds_first = TRI_YES;
                (void) add_source(p, &peer->sample.local);
        }
        return any;
}

/* Is a bind() to that address refused where this socket is? */
static bool meets(const Address *a, const Socket *s)
{
        if (address_is_wildcard(&s->local))
                return s->local.family == a->family || (s->local.family == AF_INET6 && !s->v6only);
        return address_is_wildcard(a) || address_equal(a, &s->local);
}

void ephemeral_pool_add_again(EphemeralPool *p, const Socket *s)
{
        const EphemeralPeer *peer;

        if (!portset_has(&p->usable, s->local_port))
                return;
        peer = find_peer(p, s, hash_peer(s));
        if (peer && peer->binds_first == TRI_YES)
                portset_add(&p->exclusive, s->local_port);
        for (size_t i = 0; i < p->n_sources; i++)
                if (meets(&p->sources[i].address, s))
                        portset_add(&p->sources[i].taken, s->local_port);
}

static unsigned left_for_bind(const EphemeralPool *p, const Address *a)
{
        for (size_t i = 0; i < p->n_sources; i++)
                if (address_equal(&p->sources[i].address, a))
                        return p->n_usable - portset_count(&p->sources[i].taken);
        return p->n_usable - portset_count(&p->tcp);
}

static unsigned left_for(const EphemeralPool *p, const EphemeralPeer *peer)
{
        unsigned all = p->n_usable, gone;

        if (peer->sample.protocol == IPPROTO_UDP)
                return all - portset_count(&p->udp);
        if (peer->binds_first == TRI_YES)
                return left_for_bind(p, &peer->sample.local);
        gone = portset_count(&p->exclusive) + peer->sockets - peer->reusable;
        return gone > all ? 0 : all - gone;
}

static int compare_peers(const void *a, const void *b)
{
        const EphemeralPeer *x = a, *y = b;

        return x->sockets == y->sockets ? 0 : x->sockets < y->sockets ? 1 : -1;
}

void ephemeral_pool_finish(EphemeralPool *p)
{
        for (size_t i = 0; i < p->n; i++)
                p->peers[i].left = left_for(p, &p->peers[i]);
        qsort(p->peers, p->n, sizeof(*p->peers), compare_peers);
        table_deinit(&p->table); /* of indexes that are no more */
}

EphemeralUse ephemeral_pool_use(const EphemeralPool *p, int protocol)
{
        const PortSet *used = protocol == IPPROTO_UDP ? &p->udp : &p->tcp;
        EphemeralUse u = { .ports = portset_count(used) };

        u.left_bind = p->n_usable - u.ports;
        if (protocol == IPPROTO_UDP) {
                u.sockets = p->udp_sockets;
                u.exclusive = u.ports;
                u.left_connect = u.left_bind;
        } else {
                u.sockets = p->tcp_sockets;
                u.timewait = p->tcp_timewait;
                u.exclusive = portset_count(&p->exclusive);
                u.left_connect = p->n_usable - u.exclusive;
        }
        return u;
}

size_t ephemeral_pool_peers(const EphemeralPool *p, const EphemeralPeer **ret)
{
        *ret = p->peers;
        return p->n;
}

unsigned ephemeral_pool_dropped(const EphemeralPool *p)
{
        return p->dropped;
}

unsigned ephemeral_pool_percent(const EphemeralPool *p, unsigned left)
{
        if (p->n_usable == 0)
                return 100;
        return (p->n_usable - MIN_OF(left, p->n_usable)) * 100 / p->n_usable;
}
