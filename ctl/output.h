/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What portreservectl prints: JSON values, lines for people, failures as either. Names of programs,
 * units and files come from outside: control characters in them never reach a terminal. */

#include <jansson.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"

/* Says a line on standard output. Nothing with --quiet. */
void say(const Ctl *c, const char *format, ...) _printf_(2, 3);

/* Says a remark on standard error, "portreservectl: …". Nothing with --quiet. */
void remark(const Ctl *c, const char *format, ...) _printf_(2, 3);

/* Prints a value as --json= says and takes the reference over; NULL: no memory. Returns the exit
 * code given, or EXIT_FAILED where it cannot be written. */
Exit print_json(const Ctl *c, json_t *value, Exit exit_code);

/* Says why a verb fails, in one or several lines: on standard error for people, as the only object
 * on standard output with --json=. Returns exit_code. With --quiet only usage errors and plain
 * failures are said, the other exit codes speak for themselves. */
Exit fail(const Ctl *c, Exit exit_code, const char *format, ...) _printf_(3, 4);
