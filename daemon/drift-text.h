/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is said when the kernel's list was overwritten: which ports were missing, what was in it
 * instead, and which file sets just that. */

#include "daemon/reserve/reserve.h"

/* malloc'ed, printable; NULL: no memory. */
char *drift_text(const ReserveDrift *d);
