/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "model/json.h"

static void put_line(FILE *f, const char *prefix, const char *text)
{
        _cleanup_(freep) char *clean = printable(text);

        fprintf(f, "%s%s\n", prefix, clean ?: "out of memory");
}

static void _printf_(3, 0) put_format(FILE *f, const char *prefix, const char *format, va_list ap)
{
        _cleanup_(freep) char *text = NULL;

        if (vasprintf(&text, format, ap) < 0) {
                text = NULL;
                return;
        }
        put_line(f, prefix, text);
}

void say(const Ctl *c, const char *format, ...)
{
        va_list ap;

        if (c->quiet)
                return;
        va_start(ap, format);
        put_format(stdout, "", format, ap);
        va_end(ap);
}

void remark(const Ctl *c, const char *format, ...)
{
        va_list ap;

        if (c->quiet)
                return;
        va_start(ap, format);
        put_format(stderr, "portreservectl: ", format, ap);
        va_end(ap);
}

Exit print_json(const Ctl *c, json_t *value, Exit exit_code)
{
        size_t flags = c->json == JSON_PRETTY ? JSON_INDENT(2) : JSON_COMPACT;
        int r;

        if (!value) {
                fputs("portreservectl: out of memory\n", stderr);
                return EXIT_FAILED;
        }
        r = c->quiet ? 0 : json_dumpf(value, stdout, flags | JSON_ENCODE_ANY);
        if (r == 0 && !c->quiet && (putchar('\n') == EOF || fflush(stdout) != 0))
                r = -1;
        json_decref(value);
        if (r < 0) {
                perror("portreservectl: standard output");
                return EXIT_FAILED;
        }
        return exit_code;
}

Exit fail(const Ctl *c, Exit exit_code, const char *format, ...)
{
        static const char *const names[_EXIT_MAX] = {
                [EXIT_OK] = "Ok",
                [EXIT_FAILED] = "Failed",
                [EXIT_USAGE] = "Usage",
                [EXIT_NOT_RUNNING] = "NotRunning",
                [EXIT_NOT_FOUND] = "NotFound",
                [EXIT_DENIED] = "Denied",
                [EXIT_IN_USE] = "InUse",
                [EXIT_CONFIGURATION] = "ConfigurationInvalid",
                [EXIT_COLLISIONS] = "Collisions",
        };
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        if (c->quiet && exit_code != EXIT_USAGE && exit_code != EXIT_FAILED)
                return exit_code;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        if (!text) {
                fputs("portreservectl: out of memory\n", stderr);
                return exit_code;
        }

        /* What the daemon listed, each mistake a line, ends with one. */
        for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
                text[n - 1] = 0;

        if (c->json == JSON_OFF) {
                char *rest = text, *line;

                while ((line = strsep(&rest, "\n")))
                        put_line(stderr, "portreservectl: ", line);
        } else {
                Ctl loud = *c;

                loud.quiet = false;
                for (char *p = text; (p = strchr(p, '\n'));)
                        *p = ' ';
                (void) print_json(&loud, json_error_object(names[exit_code], text, (int) exit_code),
                                  exit_code);
        }
        return exit_code;
}
