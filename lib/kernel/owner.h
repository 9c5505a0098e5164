/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The owner of one reservation: the units and cgroups that stand for it. */

#include <stdint.h>

#include "model/reservation.h"
#include "model/unit-name.h"

#define OWNER_NAMES_MAX 5u

typedef struct Owner {
        char *reservation;
        char *unit;                   /* as configured when names was filled */
        char *names[OWNER_NAMES_MAX]; /* it by all its names, its .socket units; NULL at the end */
        char generated[UNIT_NAME_LENGTH_MAX +
                       1]; /* the .socket unit that PID 1 listens by for the reservation */
        char former[RESERVATION_UNIT_MAX]; /* the same under its former name, "": none */
        uint64_t *cgroups;                 /* of portreserve-exec clients, once for each */
        size_t n_cgroups, n_cgroups_allocated;
} Owner;

Owner *owner_new(const char *reservation); /* NULL: no memory */
void owner_free(Owner *o);

void owner_forget_names(Owner *o);

/* Fills the names of the owner, once and when the configuration names another unit. 1: they are new,
 * 0: as before. -ENOMEM. */
int owner_resolve(Owner *o, const Reservation *r);
