/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* org.portreserved1 on one connection: its table of methods and what they do. */

#include <systemd/sd-bus.h>

#include "daemon/bus/peer.h"

#define INTERFACE_PATH "/org/portreserved1"
#define INTERFACE_NAME "org.portreserved1"

int interface_add(sd_bus *bus, Peer *p);

/* Sends the Event signal. */
int interface_emit_event(sd_bus *bus, const char *json);
