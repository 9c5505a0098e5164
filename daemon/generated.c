/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/generated.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel/runtime.h"
#include "kernel/unit-file.h"

#define NAMED_MAX 8u

static bool is_missing(const Reservation *r)
{
        _cleanup_(freep) char *owner = NULL;
        char unit[RESERVATION_UNIT_MAX], path[PATH_MAX];
        int n;

        switch (r->hold) {
        case HOLD_LISTEN:
                n = snprintf(path, sizeof(path), GENERATOR_DIR "/%s",
                             reservation_socket_unit(r, unit));
                break;
        case HOLD_BOUND:
                if (!r->unit || unit_resolve_alias("", r->unit, &owner) < 0)
                        return false;
                n = snprintf(path, sizeof(path), GENERATOR_DIR "/%s.d/" GENERATED_DROP_IN, owner);
                break;
        default:
                return false;
        }
        return (size_t) n < sizeof(path) && access(path, F_OK) < 0 && errno == ENOENT;
}

int generated_missing(const Config *c, char **ret)
{
        char *text = NULL;
        size_t size = 0, n = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        CONFIG_FOREACH_RESERVATION(c, r)
                if (is_missing(r) && ++n <= NAMED_MAX)
                        fprintf(f, "%s%s", n > 1 ? ", " : "", r->name);
        if (n > NAMED_MAX)
                fprintf(f, " and %zu more", n - NAMED_MAX);
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }
        if (n == 0) {
                free(text);
                text = NULL;
        }
        *ret = text;
        return 0;
}
