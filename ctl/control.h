/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls of the daemon's D-Bus interface, peer to peer on RUNTIME/control. */

#include "ctl/ctl.h"

/* Calls a method that answers with a string; types and arguments as for sd_bus_call_method(3). EXIT_OK with *ret malloc'ed; or *ret
 * a malloc'ed text that says what went wrong (NULL: no memory), and the exit code for it. */
Exit control_call(const Ctl *c, char **ret, const char *method, const char *types, ...);
