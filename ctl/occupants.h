/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every socket on a port, judged and named. */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/look.h"
#include "ctl/ours.h"
#include "kernel/identify.h"
#include "model/config.h"
#include "model/holder.h"

typedef struct Occupant {
        Holder holder;
        bool in_way; /* without it a server would fare better: filled by predict.h */
} Occupant;

typedef struct Occupants {
        Occupant *items; /* in the order of the Look */
        size_t n;
} Occupants;

typedef struct Judge {
        const Config *config;
        Identify *identify;
        Ours ours;
        bool ephemeral; /* the port is one that the kernel may choose */
} Judge;

/* -ENOMEM. */
int occupants_judge(const Judge *j, int protocol, uint16_t port, const Look *l, Occupants *ret);
void occupants_done(Occupants *o);
