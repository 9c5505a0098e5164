/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

int arguments_parse(int argc, char *argv[], const char *help, const char **runtime_dir)
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { "runtime-dir", required_argument, NULL, 'r' },
                {},
        };
        int c;

        /* "+": what comes after the first name may be a command's. */
        while ((c = getopt_long(argc, argv, "+hV", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        (void) fputs(help, stdout);
                        return EXIT_SUCCESS;
                case 'V':
                        (void) printf("%.*s " PROJECT_VERSION "\n", (int) strcspn(help, " "), help);
                        return EXIT_SUCCESS;
                case 'r':
                        *runtime_dir = optarg;
                        break;
                default:
                        return EXIT_USAGE;
                }
        return -1;
}

int arguments_usage(const char *help, const char *what)
{
        (void) fprintf(stderr, "%.*s: %s\n%s", (int) strcspn(help, " "), help, what, help);
        return EXIT_USAGE;
}
