/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/ephemeral-pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

        EphemeralPeers peers;
        unsigned dropped; /* sockets of peers that there is no room for */

        Source *sources;
        size_t n_sources;

        EphemeralPrograms programs;
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
        ephemeral_programs_done(&p->programs);
        ephemeral_peers_done(&p->peers);
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

static bool in_first_half(const EphemeralPool *p, uint16_t port)
{
        return (port - p->range_first) % 2 == 0;
}

static int count_at_peer(EphemeralPool *p, const Socket *s)
{
        EphemeralPeer *peer;
        int r;

        r = ephemeral_peers_get(&p->peers, s, &peer);
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

/* It has this port for itself. */
static void own_at_program(EphemeralProgram *program, const Socket *s)
{
        if (program->exclusive + program->udp == 0)
                program->sample = *s;
        if (s->protocol == IPPROTO_UDP)
                program->udp++;
        else
                program->exclusive++;
}

static void count_at_program(EphemeralPool *p, const Socket *s, bool own)
{
        EphemeralProgram *program = ephemeral_programs_get(&p->programs, s);

        if (!program)
                return;
        program->sockets++;
        if (own)
                own_at_program(program, s);
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
        count_at_program(p, s, !portset_has(&p->exclusive, s->local_port));
        portset_add(&p->exclusive, s->local_port);
}

int ephemeral_pool_add(EphemeralPool *p, const Socket *s)
{
        if (!portset_has(&p->usable, s->local_port))
                return 0;
        if (s->protocol == IPPROTO_UDP) {
                count_at_program(p, s, !portset_has(&p->udp, s->local_port));
                portset_add(&p->udp, s->local_port);
                p->udp_sockets++;
                return count_at_peer(p, s);
        }
        count_tcp(p, s);
        count_at_program(p, s, false);
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

typedef struct Judge {
        EphemeralTry try;
        void *userdata;
        unsigned tries;
        unsigned open;        /* ports of the half where connect() begins */
        bool bind_has_turned; /* bind() has none left in the half where it begins */
} Judge;

static Tristate try_peer(EphemeralPool *p, Judge *j, const EphemeralPeer *peer)
{
        EphemeralProgram *program = ephemeral_programs_get(&p->programs, &peer->sample);
        Tristate shared;

        if (j->tries >= EPHEMERAL_TRIES_MAX)
                /* As the program does elsewhere, if it is of one mind. */
                return !program || (program->own > 0) == (program->share > 0) ? TRI_UNKNOWN
                       : program->share > 0                                   ? TRI_YES
                                                                              : TRI_NO;
        j->tries++;
        shared = j->try(peer->port, j->userdata);
        if (program && shared == TRI_YES)
                program->share++;
        else if (program && shared == TRI_NO)
                program->own++;
        return shared;
}

static bool binds_first(EphemeralPool *p, Judge *j, const EphemeralPeer *peer)
{
        Tristate shared;

        if (peer->sample.protocol != IPPROTO_TCP || (peer->second == 0 && !j->bind_has_turned))
                return false;
        shared = try_peer(p, j, peer);
        if (shared != TRI_UNKNOWN)
                return shared == TRI_NO;
        /* connect() goes to the second half when it has used up the first; after that, closed
         * connections may have left any number in each. */
        return peer->second > peer->first && peer->first < j->open;
}

bool ephemeral_pool_judge(EphemeralPool *p, EphemeralTry try, void *userdata)
{
        Judge j = {
                .try = try,
                .userdata = userdata,
                .open = count_outside(p, &p->exclusive, true),
                .bind_has_turned = count_outside(p, &p->tcp, false) == 0,
        };
        bool any = false;

        for (size_t i = 0; i < p->peers.n; i++) {
                EphemeralPeer *peer = &p->peers.peers[i];

                if (!binds_first(p, &j, peer))
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

static void take(EphemeralPool *p, const Socket *s)
{
        EphemeralProgram *program = ephemeral_programs_get(&p->programs, s);

        portset_add(&p->exclusive, s->local_port);
        if (program)
                own_at_program(program, s);
}

void ephemeral_pool_add_again(EphemeralPool *p, const Socket *s)
{
        const EphemeralPeer *peer;

        if (!portset_has(&p->usable, s->local_port))
                return;
        peer = ephemeral_peers_find(&p->peers, s);
        if (peer && peer->binds_first == TRI_YES && !portset_has(&p->exclusive, s->local_port))
                take(p, s);
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

void ephemeral_pool_finish(EphemeralPool *p)
{
        for (size_t i = 0; i < p->peers.n; i++)
                p->peers.peers[i].left = left_for(p, &p->peers.peers[i]);
        ephemeral_programs_sort(&p->programs);
        ephemeral_peers_sort(&p->peers);
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
        *ret = p->peers.peers;
        return p->peers.n;
}

size_t ephemeral_pool_programs(const EphemeralPool *p, const EphemeralProgram **ret)
{
        *ret = p->programs.programs;
        return p->programs.n;
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
