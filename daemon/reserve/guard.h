/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Puts ports back into the kernel's list as soon as somebody has taken them out, from a thread of its
 * own: a dump of a million sockets keeps the event loop for a tenth of a second, and outgoing
 * connections would be given the ports meanwhile.
 *
 * The thread touches nothing but the list and what is in here. Whoever changes the list does so
 * between guard_lock() and guard_unlock(). */

#include <stdbool.h>

#include "base/cleanup.h"
#include "model/portset.h"

typedef struct Guard Guard;

/* What the guard found, since it was asked last. */
typedef struct GuardFound {
        PortSet missing;
        PortSet list;   /* as somebody had left it, the first time */
        unsigned times; /* 0: nothing, and the rest means nothing */
        int error;      /* of the last repair: 0, or negative errno */
} GuardFound;

/* Starts the thread. Where there is none to be had, or no inotify, it is only asked by guard_look(). */
int guard_new(Guard **ret);
Guard *guard_free(Guard *g);
DEFINE_CLEANUP(Guard, guard_free);

/* Readable when the list has changed. -1: the thread sees nothing. */
int guard_fd(const Guard *g);
void guard_drain(Guard *g);

void guard_lock(Guard *g);
void guard_unlock(Guard *g);

/* The rest with the lock held. */

/* What is to be in the list. What was dropped is not put back from then on. */
void guard_keep(Guard *g, const PortSet *ports);

/* A look now, as the thread does. Negative errno: the list cannot be read. */
int guard_look(Guard *g, PortSet *ret_list);

/* Hands over what was found, and forgets it. */
void guard_take(Guard *g, GuardFound *ret);
