/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of the system: services and users, for a Config. */

#include "model/config.h"

/* getservbyname_r(3), getpwnam_r(3). */
extern const ConfigOps names_ops;
