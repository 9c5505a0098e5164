/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a configuration asks for, held against the files of the units that it names: which holds
 * can be handed to them at all. */

#include "kernel/unit-sockets.h"
#include "model/config.h"

/* After config_finish(). A hold that a unit cannot be served with is a mistake, and becomes none;
 * what will not go well is a remark. sockets: unit_sockets_load() of the same root. -ENOMEM. */
int config_check_units(Config *c, const char *root, const UnitSockets *sockets);

/* The same, for who needs the sockets for nothing else. */
int config_check_host(Config *c);
