/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A port as the operator writes it: a number or a name of /etc/services, with "/tcp", "/udp" or
 * neither. */

#include <stdint.h>

#include "ctl/ctl.h"
#include "model/endpoint.h"

/* "48121", "48121/tcp", "redis". *ret_protocol: IPPROTO_…, 0 where none is given and the name is not
 * of UDP alone. EXIT_USAGE, said. */
Exit port_parse(const Ctl *c, const char *text, uint16_t *ret_port, int *ret_protocol);

/* Also with an address before it: "127.0.0.1:80", "[::1]:80/udp"; AF_UNSPEC without. The same. */
Exit port_parse_place(const Ctl *c, const char *text, Endpoint *ret);
