/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to portreserved-act: asks it to start a unit that failed because its port was taken, now
 * that it is free. It starts only what is in the failed state, so that asking once too often does
 * no harm. 0, or -errno: nobody listens. Never blocks. */
int starter_request(const char *unit);
