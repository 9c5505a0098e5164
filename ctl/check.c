/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl check: every mistake of a configuration at once, without the daemon. */

#include <errno.h>
#include <string.h>

#include "base/printable.h"
#include "ctl/output.h"
#include "kernel/config-file.h"
#include "kernel/config-units.h"
#include "kernel/runtime.h"
#include "model/json.h"

Exit verb_check(const Ctl *c, char **args)
{
        ConfigPaths paths = { .main = args[0] ?: c->config, .root = "" };
        _cleanup_(config_freep) Config *config = NULL;
        Exit result;
        int r;

        if (args[0] && c->config)
                return fail(c, EXIT_USAGE, "check takes FILE or --config=FILE, not both");

        r = config_load(&paths, &config);
        if (r == -ENOENT)
                return fail(c, EXIT_NOT_FOUND, "%s: there is no such file", paths.main);
        if (r >= 0)
                r = config_check_host(config);
        if (r < 0)
                return fail(c, EXIT_FAILED, "%s: %s", paths.main ?: CONFIG_FILE_DEFAULT,
                            strerror(-r));

        result = config->n_errors + config->n_errors_dropped > 0 ? EXIT_CONFIGURATION : EXIT_OK;
        if (c->json != JSON_OFF)
                return print_json(c, json_from_diagnostics(config), result);
        if (c->quiet)
                return result;

        config_print_diagnostics(config, stdout);
        if (result == EXIT_OK)
                say(c, "%s: valid, %zu reservation%s", paths.main ?: CONFIG_FILE_DEFAULT,
                    config->n_reservations, PLURAL(config->n_reservations));
        return result;
}
