/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mistakes and remarks: kept with their place, printable, capped. */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/printable.h"
#include "model/config-internal.h"

int config_intern_file(Config *c, const char *file, const char **ret)
{
        struct ConfigPrivate *p = c->private;
        _cleanup_(freep) char *copy = NULL;

        /* Lines of one file come in a row: the newest is nearly always the one. */
        for (size_t i = p->n_files; i > 0; i--)
                if (p->files[i - 1] == file || strcmp(p->files[i - 1], file) == 0) {
                        *ret = p->files[i - 1];
                        return 0;
                }

        copy = printable(file);
        if (!copy)
                return -ENOMEM;
        if (strcmp(copy, file) != 0)
                return config_intern_file(c, copy, ret); /* escaped once, it stays as it is */
        if (!GROW(p->files, p->n_files_allocated, p->n_files + 1))
                return -ENOMEM;
        *ret = p->files[p->n_files++] = TAKE_PTR(copy);
        return 0;
}

static _printf_(7, 0) int add(Config *c, Diagnostic **list, size_t *n, size_t *allocated,
                              const char *file, unsigned line, const char *format, va_list ap)
{
        _cleanup_(freep) char *raw = NULL, *message = NULL;
        int k;

        if (vasprintf(&raw, format, ap) < 0)
                return -ENOMEM;
        message = printable(raw);
        if (!message || !GROW(*list, *allocated, *n + 1))
                return -ENOMEM;
        k = config_intern_file(c, file, &file);
        if (k < 0)
                return k;
        (*list)[(*n)++] = (Diagnostic){ .file = file, .line = line, .message = TAKE_PTR(message) };
        return 0;
}

int config_error(Config *c, const char *file, unsigned line, const char *format, ...)
{
        va_list ap;
        int k;

        if (c->n_errors >= CONFIG_DIAGNOSTICS_MAX) {
                c->n_errors_dropped++;
                return 0;
        }
        va_start(ap, format);
        k = add(c, &c->errors, &c->n_errors, &c->n_errors_allocated, file, line, format, ap);
        va_end(ap);
        return k;
}

int config_warn(Config *c, const char *file, unsigned line, const char *format, ...)
{
        va_list ap;
        int k;

        if (c->n_warnings >= CONFIG_DIAGNOSTICS_MAX)
                return 0;
        va_start(ap, format);
        k = add(c, &c->warnings, &c->n_warnings, &c->n_warnings_allocated, file, line, format, ap);
        va_end(ap);
        return k;
}

int config_line_error(Config *c, const ConfigLine *l, const char *format, ...)
{
        va_list ap;
        int k = 0;

        if (c->private->reservation)
                c->private->reservation->damaged = true;
        if (c->n_errors >= CONFIG_DIAGNOSTICS_MAX) {
                c->n_errors_dropped++;
                return 0;
        }
        va_start(ap, format);
        k = add(c, &c->errors, &c->n_errors, &c->n_errors_allocated, l->file, l->line, format, ap);
        va_end(ap);
        return k;
}
