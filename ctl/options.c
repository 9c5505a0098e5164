/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "ctl/output.h"
#include "kernel/runtime.h"

typedef enum OptionId {
        OPTION_CONFIG = 256, /* above all characters, which are short options */
        OPTION_DRY_RUN,
        OPTION_JSON,
        OPTION_NO_LEGEND,
        OPTION_RUNTIME_DIR,
        OPTION_VERSION,
        OPTION_HELP = 'h',
        OPTION_QUIET = 'q',
} OptionId;

static const struct {
        const char *name;
        const char *value; /* NULL: takes none */
        OptionId id;
        const char *summary;
        unsigned only; /* for verbs that take it; 0: for all */
} options[] = {
        { "json", "short|pretty", OPTION_JSON, "print JSON, errors too" },
        { "no-legend", NULL, OPTION_NO_LEGEND, "no headings above tables" },
        { "quiet", NULL, OPTION_QUIET, "print nothing: the exit code tells" },
        { "runtime-dir", "DIR", OPTION_RUNTIME_DIR, "of the daemon, " RUNTIME_DIR_DEFAULT },
        { "config", "FILE", OPTION_CONFIG, "the configuration that check and why read",
          TAKES_CONFIG },
        { "dry-run", NULL, OPTION_DRY_RUN, "evict: only say what would be closed", TAKES_DRY_RUN },
        { "help", NULL, OPTION_HELP, "this, or more about the verb given" },
        { "version", NULL, OPTION_VERSION, "the version" },
};

/* The first mistake is kept until all options are read: it may have to be said as JSON. */
typedef struct Parse {
        Ctl ctl;
        bool help, version;
        char *error;
} Parse;

static void _printf_(2, 3) mistake(Parse *p, const char *format, ...)
{
        va_list ap;

        if (p->error)
                return;
        va_start(ap, format);
        if (vasprintf(&p->error, format, ap) < 0)
                p->error = NULL;
        va_end(ap);
}

static void print_help(const Verb *one)
{
        if (one)
                printf("portreservectl [OPTION…] %s%s%s\n\n    %s\n\nOptions:\n", one->name,
                       *one->arguments ? " " : "", one->arguments, one->summary);
        else {
                printf("portreservectl [OPTION…] VERB\n\nVerbs:\n");
                for (const Verb *v = verbs; v->name; v++)
                        /* "…" is three bytes and one column. */
                        printf("  %-10s%-*s%s\n", v->name, strstr(v->arguments, "…") ? 17 : 15,
                               v->arguments, v->summary);
                printf("\nOptions:\n");
        }
        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                char text[48];

                if (one && options[i].only && !(one->takes & options[i].only))
                        continue;
                (void) snprintf(text, sizeof(text), "--%s%s%s", options[i].name,
                                options[i].value ? "=" : "", options[i].value ?: "");
                if (options[i].id < OPTION_CONFIG)
                        printf("  -%c  %-20s%s\n", (char) options[i].id, text, options[i].summary);
                else
                        printf("      %-20s%s\n", text, options[i].summary);
        }
        printf("\nportreservectl(1) tells more.\n");
}

static const Verb *find_verb(Parse *p, const char *name)
{
        const char *best = NULL;
        unsigned distance = 4;

        for (const Verb *v = verbs; v->name; v++) {
                if (strcmp(name, v->name) == 0)
                        return v;
                nearest(name, v->name, &best, &distance);
        }
        if (best)
                mistake(p, "unknown verb '%s'; did you mean '%s'?", name, best);
        else
                mistake(p, "unknown verb '%s'; portreservectl --help names all", name);
        return NULL;
}

static void set_option(Parse *p, int id, char *value)
{
        switch (id) {
        case OPTION_JSON:
                if (strcmp(value, "short") == 0)
                        p->ctl.json = JSON_SHORT;
                else if (strcmp(value, "pretty") == 0)
                        p->ctl.json = JSON_PRETTY;
                else
                        mistake(p, "--json=%s: write --json=short or --json=pretty", value);
                break;
        case OPTION_NO_LEGEND:
                p->ctl.no_legend = true;
                break;
        case OPTION_QUIET:
                p->ctl.quiet = true;
                break;
        case OPTION_RUNTIME_DIR:
                if (!*value)
                        mistake(p, "--runtime-dir= needs a directory");
                p->ctl.runtime_dir = value;
                break;
        case OPTION_CONFIG:
                if (!*value)
                        mistake(p, "--config= needs a file");
                p->ctl.config = value;
                break;
        case OPTION_DRY_RUN:
                p->ctl.dry_run = true;
                break;
        case OPTION_HELP:
                p->help = true;
                break;
        case OPTION_VERSION:
                p->version = true;
                break;
        }
}

static void parse_options(Parse *p, int argc, char *argv[])
{
        struct option table[ELEMENTSOF(options) + 1] = {};
        int id;

        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                table[i].name = options[i].name;
                table[i].has_arg = options[i].value ? required_argument : no_argument;
                table[i].val = options[i].id;
        }
        opterr = 0;
        while ((id = getopt_long(argc, argv, ":hq", table, NULL)) >= 0) {
                if (id == ':')
                        mistake(p, "%s needs a value", argv[optind - 1]);
                else if (id != '?')
                        set_option(p, id, optarg);
                else if (optopt == 0)
                        mistake(p, "unknown option '%s'; portreservectl --help names all",
                                argv[optind - 1]);
                else if (strncmp(argv[optind - 1], "--", 2) == 0)
                        mistake(p, "'%s': this option takes no value", argv[optind - 1]);
                else
                        mistake(p, "unknown option '-%c'; portreservectl --help names all", optopt);
        }
}

/* What the options and words together must satisfy. */
static const Verb *choose_verb(Parse *p, int n, char *words[])
{
        const Verb *v;

        if (n == 0) {
                if (!p->help && !p->version)
                        mistake(p, "a verb is missing; portreservectl --help names all");
                return NULL;
        }
        v = find_verb(p, words[0]);
        if (!v || p->help || p->version)
                return v;
        if (n - 1 < v->min)
                mistake(p, "%s needs %s", v->name, v->arguments);
        else if (v->max >= 0 && n - 1 > v->max)
                mistake(p, "%s takes %s; '%s' is too much", v->name,
                        v->max == 0 ? "no argument" : v->arguments, words[v->max + 1]);
        if (p->ctl.config && !(v->takes & TAKES_CONFIG))
                mistake(p, "--config= is for check and why, not for %s", v->name);
        if (p->ctl.dry_run && !(v->takes & TAKES_DRY_RUN))
                mistake(p, "--dry-run is for evict; %s closes nothing", v->name);
        return v;
}

Exit command_line_parse(int argc, char *argv[], CommandLine *ret)
{
        Parse p = { .ctl.runtime_dir = RUNTIME_DIR_DEFAULT };
        const Verb *verb;

        parse_options(&p, argc, argv);
        verb = choose_verb(&p, argc - optind, argv + optind);

        if (p.error) {
                Exit e = fail(&p.ctl, EXIT_USAGE, "%s", p.error);

                free(p.error);
                return e;
        }
        *ret = (CommandLine){ .ctl = p.ctl };
        if (p.help)
                print_help(verb);
        else if (p.version)
                printf("portreservectl " PROJECT_VERSION "\n");
        else {
                ret->verb = verb;
                ret->args = argv + optind + 1;
        }
        return EXIT_OK;
}
