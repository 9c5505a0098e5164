/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A port as the operator writes it. */

#include <stdint.h>

#include "ctl/ctl.h"

/* "48121", "48121/tcp". *ret_protocol: IPPROTO_…, 0 where none is given. EXIT_USAGE, said. */
Exit port_parse(const Ctl *c, const char *text, uint16_t *ret_port, int *ret_protocol);
