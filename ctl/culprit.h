/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A HOLDER in words, and what can be done about it. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* "nginx.service (pid 12, /usr/sbin/nginx), 127.0.0.1:48121 -> 127.0.0.1:6379 ESTABLISHED". The
 * caller frees. NULL: no memory. */
char *culprit_text(const json_t *holder);

/* The same without the socket: "nginx.service (pid 12, /usr/sbin/nginx)". */
char *culprit_name(const json_t *holder);

/* What else is known of it: "user alice; command: …; running since …". "" where nothing is. */
char *culprit_details(const json_t *holder);

/* Appends the commands that take the port from this holder to an array of strings, at most two;
 * none for those that are meant to have it. evict: by `portreservectl evict` where that helps, since
 * the daemon runs and the port is declared. -ENOMEM. */
int culprit_remedy(const json_t *holder, const char *protocol, uint16_t port, bool evict,
                   json_t *array);
