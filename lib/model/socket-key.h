/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The keys of systemd.socket(5)'s [Socket] section (252 to 258), but for ListenStream= and
 * ListenDatagram=: which ones a reservation may pass through to its generated unit, and why not the
 * others. */

#include <stdbool.h>

#include "model/config.h"

typedef enum SocketKeyKind {
        SOCKET_KEY_UNKNOWN,
        SOCKET_KEY_PASSED,  /* goes into the unit as it is */
        SOCKET_KEY_REFUSED, /* would break it */
} SocketKeyKind;

/* *ret_reason: for refused ones, "what; what to write instead" without the key. */
SocketKeyKind socket_key_find(const char *key, const char **ret_reason);

/* NULL where the value will do; else what it has to be, or why it may not be that. */
const char *socket_key_check(const char *key, const char *value);

/* Visits all names: for did-you-mean. NULL: no more. */
const char *socket_key_name(unsigned i);

/* Does PID 1 take it from the unit that it has loaded, so that it needs no new socket? */
bool socket_key_is_loaded(const char *key);
