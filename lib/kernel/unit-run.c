/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/unit-run.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/unit-file.h"

#define INVOCATION_PREFIX "/run/systemd/units/invocation:"
#define RUN_MAX           64u

int unit_run(const char *unit, char **ret)
{
        _cleanup_(freep) char *canonical = NULL;
        char path[PATH_MAX], run[RUN_MAX];
        ssize_t n;
        int r;

        r = unit_resolve_alias("", unit, &canonical);
        if (r < 0)
                return r;
        if ((size_t) snprintf(path, sizeof(path), "%s%s", INVOCATION_PREFIX, canonical) >=
            sizeof(path))
                return -ENAMETOOLONG;
        n = readlink(path, run, sizeof(run));
        if (n < 0)
                return -errno;
        *ret = strndup(run, (size_t) n);
        return *ret ? 0 : -ENOMEM;
}
