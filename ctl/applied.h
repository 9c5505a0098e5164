/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The configuration that counts: what was last applied, with the .socket units that the daemon follows;
 * where nothing was (or --config names another), what a start would read. */

#include "ctl/ctl.h"
#include "model/config.h"

/* As config_load(). */
int applied_load(const Ctl *c, Config **ret);
