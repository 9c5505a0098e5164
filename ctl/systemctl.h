/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemctl(1), for many units at once: a process each would make a reload of thousands slow. */

#include <stdbool.h>
#include <stddef.h>

/* Its exit status, of several runs the last one that is not 0, or -errno. Without units (n 0) the
 * verb stands alone. */
int systemctl_run(const char *verb, const char *const *units, size_t n);

/* For each unit, in order: is it neither inactive nor failed? NULL as a name: false. -errno. */
int systemctl_running(const char *const *units, size_t n, bool *ret);
