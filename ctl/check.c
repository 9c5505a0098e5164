/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl check: every mistake of a configuration at once, without the daemon. */

#include <errno.h>
#include <string.h>

#include "base/printable.h"
#include "ctl/advice.h"
#include "ctl/output.h"
#include "kernel/config-file.h"
#include "kernel/config-units.h"
#include "kernel/kernel-list.h"
#include "kernel/record.h"
#include "kernel/runtime.h"
#include "model/json.h"

/* As a reload would: the ports of others are those that the daemon has not put into the list. */
static int check_floor(const Ctl *c, Config *config)
{
        PortSet foreign, ours, ports;
        uint16_t first, last;

        if (ephemeral_range_read(&first, &last) < 0 || kernel_list_read(&foreign) < 0)
                return 0;
        if (record_read(c->runtime_dir, RUNTIME_OURS, &ours) >= 0)
                portset_subtract(&foreign, &ours);
        return config_reservable(config, &foreign, first, last, &ports);
}

Exit verb_check(const Ctl *c, char **args)
{
        ConfigPaths paths = { .main = args[0] ?: c->config, .root = "" };
        _cleanup_(config_freep) Config *config = NULL;
        Exit result;
        int r;

        if (args[0] && c->config)
                return fail(c, EXIT_USAGE, "check takes FILE or --config=FILE, not both");
        if (args[0] && !*args[0])
                return fail(c, EXIT_USAGE, "check needs the name of a file, or no argument");

        r = config_load(&paths, &config);
        if (r == -ENOENT)
                return fail(c, EXIT_NOT_FOUND, "%s: there is no such file", paths.main);
        if (r >= 0)
                r = config_check_host(config);
        if (r >= 0)
                r = check_floor(c, config);
        if (r >= 0)
                r = advice_add(config);
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
