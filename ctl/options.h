/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line: options and verbs by table. */

#include "ctl/ctl.h"

/* Options that mean something to some verbs only. */
enum {
        TAKES_CONFIG = 1 << 0,
        TAKES_DRY_RUN = 1 << 1,
};

typedef struct Verb {
        const char *name;
        const char *arguments; /* for the help */
        int min, max;          /* how many arguments; max -1: any */
        unsigned takes;        /* TAKES_… */
        Exit (*run)(const Ctl *c, char **args);
        const char *summary;
} Verb;

/* Ends with an all-zero row; in main.c. */
extern const Verb verbs[];

typedef struct CommandLine {
        Ctl ctl;
        const Verb *verb; /* NULL: --help or --version was asked for and answered */
        char **args;      /* behind the verb, in argv */
} CommandLine;

/* EXIT_OK with *ret filled, or the exit code of a mistake that has been said. */
Exit command_line_parse(int argc, char *argv[], CommandLine *ret);
