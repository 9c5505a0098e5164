/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The units that portreserved-generator made at the last daemon-reload. */

#include "model/config.h"

/* Which reservations lack theirs: a bound one its drop-in, and then its service is kept out at its
 * next start; one that listens its .socket unit. *ret is malloc'ed words for people, or NULL: none
 * does. -ENOMEM. */
int generated_missing(const Config *c, char **ret);
