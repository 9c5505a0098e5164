/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Words to values. All return 0 and leave *ret alone on failure: -EINVAL not of that form, -ERANGE
 * out of bounds. */

#include <stdbool.h>
#include <stdint.h>

/* yes/no, true/false, on/off, 1/0, as systemd.syntax(7). */
int parse_bool(const char *s, bool *ret);

/* Decimal digits only: no sign, no blank, no leading zero but "0" itself. */
int parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* A time span as systemd.time(7): "1s", "500ms", "2min 5s", "1h"; a bare number is seconds. Result
 * in microseconds. */
int parse_timespan(const char *s, uint64_t *ret_usec);
