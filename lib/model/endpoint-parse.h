/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The two ways to write endpoints: items of Ports=, and values of ListenStream= and
 * ListenDatagram=. */

#include <stddef.h>

#include "model/config.h"

#define ENDPOINT_MISTAKE_MAX 320

/* One item of Ports=: "N", "N-M" or a name of /etc/services, with "/tcp", "/udp" or neither. Fills
 * one or two endpoints (protocol, address, ports). -EINVAL: mistake says what is wrong, and what to
 * write instead. */
int endpoint_parse_ports(const char *item, const ConfigOps *ops, Endpoint ret[static 2],
                         size_t *ret_n, char mistake[static ENDPOINT_MISTAKE_MAX]);

/* The value of a Listen… key, as systemd.socket(5): "PORT", "ADDR:PORT", "[V6]:PORT",
 * "[V6]:PORT%DEV" ("[V6%DEV]:PORT" as well). */
int endpoint_parse_listen(const char *value, int protocol, Endpoint *ret,
                          char mistake[static ENDPOINT_MISTAKE_MAX]);
