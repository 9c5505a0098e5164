/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The list of .socket units. What is taken is sorted, within its caps, and can be put into a
 * configuration. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(socket_units_freep) SocketUnits *l = NULL;
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_(freep) char *text = NULL;
        UnitConflicts conflicts;

        text = strndup((const char *) data, size);
        if (!text || socket_units_parse(text, &l) < 0)
                return 0;
        if (l->n_endpoints > SOCKET_UNITS_ENDPOINTS_MAX)
                abort();
        for (size_t i = 0; i < l->n; i++)
                if (l->units[i].n_endpoints == 0 ||
                    socket_units_find(l, l->units[i].name) != &l->units[i])
                        abort();
        if (config_new(NULL, &c) < 0 || config_finish(c) < 0 ||
            config_set_units(c, l, NULL, &conflicts) < 0)
                return 0;
        CONFIG_FOREACH_RESERVATION(c, r)
                if (!reservation_name_valid(r->name) || config_find(c, r->name) != r)
                        abort();
        return 0;
}
