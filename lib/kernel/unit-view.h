/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a service sees of the file system. The helper runs as its ExecStartPre=+, which leaves the
 * sandbox, but not the unit's root, nor what is mounted in its view (seen on 252 and 257). */

#include <stdbool.h>

#include "kernel/unit-file.h"

typedef struct UnitView {
        bool own_root;                    /* RootDirectory=, RootImage=, also for ExecStartPre= */
        bool own_run;                     /* with an empty /run that PID 1 mounts there */
        bool hides_helper, hides_runtime; /* something is mounted over it */
} UnitView;

/* helper, runtime: paths that the unit should see; NULL: not asked. -ENOMEM. */
int unit_view_read(const UnitFile *u, const char *helper, const char *runtime, UnitView *ret);
