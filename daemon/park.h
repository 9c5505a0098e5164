/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where our placeholders outlive us: pages of sockets in flight (kernel/fd-page.h), whose ends are
 * in PID 1's fd store.
 *
 * Not each in the store by itself: PID 1 compares a new descriptor with all that it has (10,000 took
 * it most of a minute, in which a crash would have freed the rest), hands them all out again at each
 * start (systemd 257 fails at 10,000), and closes what is removed in its own time, while an owner
 * without SO_REUSEADDR waits for the port. With a page, PID 1 hears of one socket in 128.
 *
 * A page that was sent to PID 1 is safe: should we die before PID 1 has read that, it lies in the
 * queue of PID 1's socket, and PID 1 reads that before it looks after its dead. */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

typedef struct Park Park;

int park_new(Park **ret);
Park *park_free(Park *p); /* what is parked stays so */
DEFINE_CLEANUP(Park, park_free);

/* A socket of our last run, once each, under the name to remove it by. The fd is the callee's. It
 * may call park_remove(). -errno ends the adoption. */
typedef int (*ParkAdopted)(int fd, const char *name, void *userdata);

/* Takes over what the fd store gave us at start: pages, and sockets that another version stored
 * singly, which are moved into pages. */
int park_adopt(Park *p, ParkAdopted adopted, void *userdata);

/* Parks an fd, which must stay open until park_remove() of its name (at most 7 characters). The
 * first error is told by park_problem(), too. */
int park_add(Park *p, int fd, const char *name);

/* Once the caller has closed its own fd, the socket is closed. */
void park_remove(Park *p, const char *name);

/* PID 1 has read its units anew, and may have emptied our store (masked, and back again). */
void park_renew(Park *p);

/* Is there a page that PID 1 might not know? Then asks, and waits for the answer, some seconds at
 * most; where none came, the next call asks again. */
void park_confirm(Park *p);

/* Why not all of them would outlive us; NULL: they would. */
const char *park_problem(const Park *p);
