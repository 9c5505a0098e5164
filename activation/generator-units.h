/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text of what the generator writes. */

#include <stdio.h>

#include "kernel/unit-view.h"
#include "model/config.h"

/* portreserved-NAME.socket of a Hold=listen reservation; service is the owner's canonical name. */
void generator_socket_unit(const Reservation *r, const char *service, FILE *f);

typedef struct GeneratorDropIn {
        bool socket;              /* for a .socket unit, else for a service */
        const char *const *names; /* the reservations that the unit owns */
        size_t n_names;
        const char *const *sockets; /* names of its listen reservations */
        size_t n_sockets;
        const char *helper, *runtime; /* portreserved-handover, and where the daemon is asked */
        UnitView view;                /* of the unit */
} GeneratorDropIn;

/* UNIT.d/50-portreserved.conf of an owner of Hold=bound reservations. */
void generator_drop_in(const GeneratorDropIn *d, FILE *f);
