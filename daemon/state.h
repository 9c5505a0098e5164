/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* RUNTIME/state.json: what everybody may read. Replaced by rename, a moment after something
 * changed, and spaced so that writing it costs at most a twentieth of a CPU. */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct State State;
typedef struct Manager Manager;

int state_new(Manager *m, State **ret);
State *state_free(State *s);
DEFINE_CLEANUP(State, state_free);

/* Something changed: write soon. */
void state_touch(State *s);
/* Writes now. -errno. */
int state_write(State *s);
/* The numbers to the service manager, as STATUS=. */
void state_notify(const State *s);

/* The whole state as JSON text, malloc'ed. -ENOMEM. */
int state_text(State *s, char **ret);
