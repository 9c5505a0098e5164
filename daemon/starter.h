/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to portreserved-act: asks it to start units that failed because their port was taken, now
 * that it is free. It starts only what is in the failed state, so that asking once too often does
 * no harm. */

#include <stdbool.h>

#include "base/cleanup.h"

typedef struct Starter Starter;

int starter_new(Starter **ret);
Starter *starter_free(Starter *s);
DEFINE_CLEANUP(Starter, starter_free);

/* The owner's start found the port taken: its unit is to be started again when the port is claimed.
 * Forgotten by starter_forget(). */
void starter_want(Starter *s, const char *reservation);
bool starter_forget(Starter *s, const char *reservation); /* was it wanted? */

/* Asks now. 0, or -errno: nobody listens (no systemd here). Never blocks. */
int starter_request(const char *unit);
