/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The text of a /proc/PID/cgroup, and the unit of the path that it names. Names in it are anybody's
 * who may make cgroups. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/printable.h"
#include "kernel/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *text = NULL, *path = NULL, *unit = NULL, *user_unit = NULL,
                              *shown = NULL, *container = NULL, *named = NULL;
        bool has_unit, inside;

        text = strndup((const char *) data, size);
        if (!text)
                return 0;
        if (cgroup_parse_proc(text, &path) < 0)
                return 0;
        /* What the parser promises. */
        if (path[0] != '/' || strchr(path, '\n'))
                abort();
        has_unit = cgroup_path_unit(path, &unit, &user_unit) >= 0;
        if (has_unit) {
                if (!cgroup_path_in_unit(path, unit))
                        abort();
                if (strchr(unit, '/') || !strchr(unit, '.'))
                        abort();
                /* Names of units are printable as they are. */
                shown = printable(unit);
                if (shown && strcmp(shown, unit) != 0)
                        abort();
        } else if (unit || user_unit)
                abort();

        inside = cgroup_path_container(path, &container) >= 0;
        if (inside) {
                if (!container[0] || strchr(container, '/'))
                        abort();
                named = printable(container);
                if (named && strcmp(named, container) != 0)
                        abort();
        } else if (container)
                abort();
        /* A container's nginx.service is never the host's, whatever the engine calls its cgroups: the
         * unit that such a path is of, if any, is the container's own. */
        if (inside && cgroup_path_in_unit(path, "nginx.service") &&
            (!has_unit || strcmp(unit, "nginx.service") != 0))
                abort();
        return 0;
}
