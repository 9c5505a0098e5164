/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The EPs of reservations as a table. */

#include <jansson.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"

typedef struct Endpoints Endpoints;

/* named: with the columns that tell whose the endpoints are. */
int endpoints_new(const Ctl *c, bool named, Endpoints **ret);
Endpoints *endpoints_free(Endpoints *e);
DEFINE_CLEANUP(Endpoints, endpoints_free);

/* Adds a row for each EP of the RES. -ENOMEM. */
int endpoints_add(Endpoints *e, const json_t *reservation);

Exit endpoints_print(Endpoints *e);

/* "*:80", "[::1]:5000-5010". */
#define ENDPOINT_PLACE_MAX 128
const char *endpoint_place(const json_t *ep, char buf[static ENDPOINT_PLACE_MAX]);
