/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking ports out of the kernel's list so that a crash in the middle loses nothing of others': a
 * rewrite of several writes first records what it has to leave in the runtime directory
 * (RUNTIME/rewrite). */

#include <stdbool.h>

#include "model/portset.h"

/* As kernel_list_remove(). */
int rewrite_remove(const char *directory, const PortSet *ports, bool force);

/* Puts back what a rewrite that was cut short had taken out, if there was one. */
int rewrite_finish(const char *directory);
