/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ports that the kernel chooses from: which are in use, and how many are left for whom. Fed with
 * rows of sock_diag, which are not kept: a table of those who talk to one place, with a cap.
 *
 * What the kernel does (net/ipv4/inet_hashtables.c, inet_connection_sock.c, udp.c; measured on
 * 6.18):
 *  - connect() of an unbound socket takes a port again that other connect()s have, unless to the same
 *    address and port from the same source address. One that somebody bound is out, whatever its
 *    address.
 *  - bind() to port 0 wants a port that no socket has at that address, one in TIME_WAIT included. It
 *    is then gone for connect() to anywhere. With IP_BIND_ADDRESS_NO_PORT, the port is chosen by
 *    connect() as above.
 *  - connect() begins with the ports that are as even (or odd) as the first of the range, bind() with
 *    the others. Each turns to the other half when it has none left. No row says which of the two
 *    chose a port; this does for many.
 *  - connect() takes a port whose connection is in TIME_WAIT as tcp_tw_reuse allows it.
 *  - UDP: a port of its own for each socket. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/ephemeral-peer.h"
#include "model/ephemeral-program.h"
#include "model/portset.h"

#define EPHEMERAL_SOURCES_MAX 16u
#define EPHEMERAL_TRIES_MAX   256u

typedef struct EphemeralPool EphemeralPool;

typedef struct EphemeralUse {
        unsigned sockets, timewait; /* in the range */
        unsigned ports;             /* distinct local ports */
        unsigned exclusive;         /* of them: gone for every destination */
        unsigned left_bind;         /* TCP: for bind() to port 0; UDP: for anything */
        unsigned left_connect;      /* TCP: for connect() to where nobody is connected */
} EphemeralUse;

/* usable: the range without what is reserved. reuse: tcp_tw_reuse, after delay. */
int ephemeral_pool_new(uint16_t first, uint16_t last, const PortSet *reserved, unsigned reuse,
                       uint64_t delay_usec, EphemeralPool **ret);
EphemeralPool *ephemeral_pool_free(EphemeralPool *p);
DEFINE_CLEANUP(EphemeralPool, ephemeral_pool_free);

const PortSet *ephemeral_pool_usable(const EphemeralPool *p);

/* Rows, in this order: TCP sockets that listen or are bound only, and those that were bound
 * explicitly; other TCP sockets; then, if ephemeral_pool_judge() says so, all TCP sockets once more.
 * UDP at any time. Ports that are not usable are left out. */
void ephemeral_pool_add_exclusive(EphemeralPool *p, const Socket *s);
int ephemeral_pool_add(EphemeralPool *p, const Socket *s);
void ephemeral_pool_add_again(EphemeralPool *p, const Socket *s);

/* Can connect() still choose that port, for a place where nobody is connected to? TRI_UNKNOWN: it
 * cannot be tried here. */
typedef Tristate (*EphemeralTry)(uint16_t port, void *userdata);

/* Decides who binds first, by the halves, and by try for up to EPHEMERAL_TRIES_MAX of whom these do
 * not tell; the rest are taken to do as their program does elsewhere. True: somebody does, and the
 * rows are wanted again. */
bool ephemeral_pool_judge(EphemeralPool *p, EphemeralTry try, void *userdata);

/* Counts what is left, and sorts peers and programs. */
void ephemeral_pool_finish(EphemeralPool *p);

EphemeralUse ephemeral_pool_use(const EphemeralPool *p, int protocol);
size_t ephemeral_pool_peers(const EphemeralPool *p, const EphemeralPeer **ret);
size_t ephemeral_pool_programs(const EphemeralPool *p, const EphemeralProgram **ret);
unsigned ephemeral_pool_dropped(const EphemeralPool *p); /* sockets of peers beyond the cap */

/* How much of the usable ports is gone where so many are left; 100 only for 0. */
unsigned ephemeral_pool_percent(const EphemeralPool *p, unsigned left);
