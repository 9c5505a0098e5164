/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose is a socket: from a row of sock_diag to an Observation and a Holder. Used by the daemon's
 * watch and by `portreservectl why`. */

#include "base/cleanup.h"
#include "kernel/cgroup.h"
#include "kernel/inspect-message.h"
#include "model/config.h"
#include "model/holder.h"

typedef struct Identify Identify;

int identify_new(Identify **ret);
Identify *identify_free(Identify *i);
DEFINE_CLEANUP(Identify, identify_free);

CgroupMap *identify_cgroups(Identify *i);

/* Lets identify_holder() search for that long in all, instead of a tenth of each second: for who has
 * nothing else to do. */
void identify_take_time(Identify *i, uint64_t usec);

/* The cgroup of a live portreserve-exec client stands for the reservation's owner, too. Counted: as
 * many removals as additions. -E2BIG; remove: -ENOENT. */
int identify_add_cgroup(Identify *i, const char *reservation, uint64_t cgroup);
int identify_remove_cgroup(Identify *i, const char *reservation, uint64_t cgroup);

/* Forgets cached aliases: after a reload. */
void identify_reset(Identify *i);

/* Fills owner, pid1_listener, cgroup_gone and no_process of o (socket is set; ours is the caller's to
 * know, as is listener_legitimate; that is set here as well for what portreserved's own listener
 * accepted). Cgroup "/", none, deleted or no cgroup v2: owner is TRI_UNKNOWN, unless User= tells, or
 * the process that has it: what the two below have found of that is remembered, so that who has named
 * a socket observes it again. */
void identify_observe(Identify *i, const Reservation *r, Observation *o);

/* Names the holder: unit, cgroup, user, pid, exe … as far as this process may know. Missing ones stay
 * NULL. since is now. */
int identify_holder(Identify *i, const Socket *s, Kind kind, Holder *ret);

/* Puts the answer of portreserved-inspect into the holder that identify_holder() filled. */
int identify_take_answer(Identify *i, const InspectAnswer *a, Holder *h);
