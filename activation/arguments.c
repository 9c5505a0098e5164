/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static int name_length(const char *help)
{
        return (int) strcspn(help, " \n");
}

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
                        (void) printf("%.*s " PROJECT_VERSION "\n", name_length(help), help);
                        return EXIT_SUCCESS;
                case 'r':
                        *runtime_dir = optarg;
                        break;
                default:
                        (void) fprintf(stderr, "Try '%.*s --help'.\n", name_length(help), help);
                        return EXIT_USAGE;
                }
        return -1;
}

int arguments_usage(const char *help, const char *what)
{
        (void) fprintf(stderr, "%.*s: %s\n%s", name_length(help), help, what, help);
        return EXIT_USAGE;
}
