/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `check` remarks of a configuration without mistakes: ports that this host may lose all the
 * same, and files of others that fight for the kernel's list. */

#include "model/config.h"

/* Adds warnings to c. -ENOMEM. */
int advice_add(Config *c);
