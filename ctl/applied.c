/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/applied.h"

#include <errno.h>
#include <limits.h>

#include "base/file.h"
#include "kernel/config-file.h"
#include "kernel/runtime.h"

/* The .socket units that the daemon knows, where it follows them. */
static int add_units(const Ctl *c, Config *config)
{
        _cleanup_(socket_units_freep) SocketUnits *units = NULL;
        _cleanup_(freep) char *text = NULL;
        UnitConflicts unused;
        char path[PATH_MAX];

        if (path_join(path, sizeof(path), c->runtime_dir, RUNTIME_UNITS) < 0 ||
            file_read(path, SOCKET_UNITS_TEXT_MAX, &text, NULL) < 0 ||
            socket_units_parse(text, &units) < 0)
                return 0;
        return config_set_units(config, units, NULL, &unused);
}

int applied_load(const Ctl *c, Config **ret)
{
        ConfigPaths paths = { .main = c->config, .root = "" };
        char path[PATH_MAX];
        int r;

        if (!c->config && path_join(path, sizeof(path), c->runtime_dir, RUNTIME_APPLIED) >= 0) {
                r = config_load_applied(path, ret);
                if (r >= 0)
                        return add_units(c, *ret);
                if (r != -ENOENT)
                        return r;
        }
        return config_load(&paths, ret);
}
