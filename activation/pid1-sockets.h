/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The .socket units that PID 1 has loaded, with the ports they listen on as PID 1 has resolved them
 * (drop-ins, %i, interfaces): anybody may read that, on the system bus. Before that is up only root
 * can, over PID 1's private socket. */

#include <stdio.h>
#include <systemd/sd-bus.h>

/* Writes them as model/socket-unit.h says. Those without a TCP or UDP port, and those that listen
 * in a network namespace of their own, are left out. Errors of the connection; f is then of no
 * use. */
int pid1_write_sockets(sd_bus *bus, FILE *f);
