/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The JSON shapes of the interface (portreservectl(1), "JSON"). Every function returns a new
 * reference, or NULL: no memory. Keys are never renamed, only added. */

#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "model/holder.h"
#include "model/reservation.h"

/* A string, or null for NULL. Control characters and bytes that are no UTF-8, which JSON does not
 * know, stand as "\xNN" (base/printable.h): names of files, programs and units may have any. */
json_t *json_text(const char *s);

/* Appends such a string to an array. -ENOMEM. */
int json_append_text(json_t *array, const char *format, ...) _printf_(2, 3);

/* Keeps the first of equal ones. */
void json_drop_repeated(json_t *array);

/* "FILE:LINE", or null for NULL. */
json_t *json_source(const char *file, unsigned line);

/* A HOLDER. What is not known is null: pid 0, since 0, ports 0, and a uid that is none
 * (socket_uid_known()). */
json_t *json_from_holder(const Holder *h);

/* A RES without its "endpoints" array, which the caller fills with EPs. */
json_t *json_from_reservation(const Reservation *r);

/* An EP for port..last of e. The address is "*" where it is any of both families. collision: a
 * HOLDER (stolen) or NULL. */
json_t *json_from_endpoint(const Endpoint *e, uint16_t port, uint16_t last, const char *state,
                           bool reserved, bool restart_needed, json_t *collision);

/* {"error","message","exit"} */
json_t *json_error_object(const char *name, const char *message, int exit_code);

/* CHECK: {"errors":[…],"warnings":[…]}, and "errors_dropped" where there were too many to list. */
json_t *json_from_diagnostics(const Config *c);

/* RFC 3339 UTC with microseconds from CLOCK_REALTIME, "2026-01-31T09:15:02.123456Z". */
#define TIME_TEXT_MAX 32
const char *time_format(uint64_t realtime_usec, char buf[static TIME_TEXT_MAX]);
