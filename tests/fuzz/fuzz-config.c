/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any bytes as a configuration: read, judged, written as applied.conf, read again without a mistake
 * into an equal one. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/config-text.h"
#include "tests/config-equal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int service_port(const char *name, int protocol, uint16_t *ret)
{
        /* Some names for one protocol only, so that both ways are met. */
        if (strcmp(name, "http") != 0 && strcmp(name, "domain") != 0)
                return -ENOENT;
        if (name[0] == 'h' && protocol == IPPROTO_UDP)
                return -ENOENT;
        *ret = name[0] == 'h' ? 80 : 53;
        return 0;
}

static int user_id(const char *name, uid_t *ret)
{
        if (name[0] == 'x')
                return -ENOENT;
        *ret = (uid_t) strlen(name);
        return 0;
}

static const ConfigOps ops = { .service_port = service_port, .user_id = user_id };

static Config *parse(const char *data, size_t size, bool applied)
{
        Config *c;

        if (config_new(&ops, &c) < 0)
                abort();
        if (applied)
                config_allow_source(c);
        if (config_text_read(c, "fuzz.conf", data, size) < 0 || config_finish(c) < 0)
                abort();
        return c;
}

static void check_diagnostics(const Diagnostic *d, size_t n)
{
        for (size_t i = 0; i < n; i++)
                for (const char *p = d[i].message; *p; p++)
                        if ((unsigned char) *p < ' ' || *p == 127)
                                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(config_freep) Config *c = NULL, *again = NULL;
        _cleanup_(freep) char *text = NULL;
        size_t n;

        c = parse((const char *) data, size, false);
        check_diagnostics(c->errors, c->n_errors);
        check_diagnostics(c->warnings, c->n_warnings);

        if (config_format(c, &text, &n) < 0)
                abort();
        again = parse(text, n, true);
        if (again->n_errors > 0 || !config_equal(c, again))
                abort();
        return 0;
}
