/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is remembered of owners between hand-overs: the cgroup that asked, and whether the start
 * found the port taken. By the reservation's name, so that it outlives a reload. */

#include "base/cleanup.h"
#include "model/observation.h"

typedef struct Owners Owners;

int owners_new(Owners **ret);
Owners *owners_free(Owners *o);
DEFINE_CLEANUP(Owners, owners_free);

/* The owner starts, from this cgroup (NULL: not known). -ENOMEM. */
int owners_started(Owners *o, const char *reservation, const char *cgroup);

/* Did the start of its unit find the port taken? Then it is to be started again when the port is
 * claimed. */
void owners_set_failed(Owners *o, const char *reservation, bool failed);

/* Sets the id of the cgroup that stands for the owner besides its unit, 0: none; returns the one
 * before. Without an owner that was started nothing is set, and cgroup comes back. */
uint64_t owners_lend(Owners *o, const char *reservation, uint64_t cgroup);

/* The port is there now: did a start fail for it, no longer ago than within microseconds? Forgets
 * that. */
bool owners_take_failed(Owners *o, const char *reservation, uint64_t within);

/* Is there any process in the cgroup that asked last? root is the cgroup v2 mount, NULL: none.
 * TRI_UNKNOWN where that cannot be told. */
Tristate owners_alive(const Owners *o, const char *reservation, const char *root);
