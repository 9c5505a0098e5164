/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a service sees of the file system: the helper runs as its ExecStartPre=+, which leaves the
 * sandbox but not the unit's mount namespace (seen on 252 and 257). */

#include <stdbool.h>

#include "kernel/unit-file.h"

typedef struct GeneratorView {
        bool own_root;                    /* RootDirectory=, RootImage= */
        bool hides_helper, hides_runtime; /* something is mounted over it */
} GeneratorView;

/* -ENOMEM. */
int generator_view_read(const UnitFile *u, const char *helper, const char *runtime,
                        GeneratorView *ret);
