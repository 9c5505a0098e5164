/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What programs read of an event: NAME=VALUE, in the journal and in an alert unit's environment. */

#include <sys/uio.h>

#include "base/cleanup.h"
#include "daemon/alert/event.h"

#define FIELDS_MAX 40

typedef struct Fields {
        struct iovec iov[FIELDS_MAX]; /* strings; iov_len without the NUL behind each */
        int n;
} Fields;

/* One that lacks memory is left out. suppressed: how many of the reservation and kind were not
 * told since the last one. */
void fields_fill(const Event *e, const char *message, unsigned suppressed, Fields *ret);
void fields_done(Fields *f);

/* The same as text for EnvironmentFile= and for a shell's ".": NAME="VALUE" lines. Control characters
 * stand as \xNN, so that no value begins a line of its own. malloc'ed; NULL: no memory. */
char *fields_environment(const Fields *f);
