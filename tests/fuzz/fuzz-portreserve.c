/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A file of /etc/portreserve: its name is the first line, the rest its text. What is read of it is
 * written as applied.conf and read again into an equal configuration. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/config-text.h"
#include "kernel/portreserve.h"
#include "tests/config-equal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int service_port(const char *name, int protocol, uint16_t *ret)
{
        if (strcmp(name, "ipp") != 0)
                return -ENOENT;
        *ret = 631;
        return 0;
}

static const ConfigOps ops = { .service_port = service_port };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(config_freep) Config *c = NULL, *again = NULL;
        _cleanup_(freep) char *copy = NULL, *name = NULL, *applied = NULL;
        const char *newline = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t head = newline ? (size_t) (newline - (const char *) data) + 1 : size, n;

        /* A copy of exactly that size, so that a sanitizer sees a byte too many. */
        copy = malloc(size - head + 1);
        name = strndup((const char *) data, newline ? head - 1 : size);
        if (!copy || !name)
                return 0;
        memcpy(copy, data + head, size - head);

        if (config_new(&ops, &c) < 0 || config_new(&ops, &again) < 0 ||
            portreserve_read_text(c, "file", name, copy, size - head) < 0 || config_finish(c) < 0)
                abort();
        for (size_t i = 0; i < c->n_errors; i++)
                for (const char *p = c->errors[i].message; *p; p++)
                        if ((unsigned char) *p < ' ' || *p == 127)
                                abort();

        config_allow_source(again);
        if (config_format(c, &applied, &n) < 0 ||
            config_text_read(again, "applied.conf", applied, n) < 0 || config_finish(again) < 0)
                abort();
        if (again->n_errors > 0 || !config_equal(c, again))
                abort();
        return 0;
}
