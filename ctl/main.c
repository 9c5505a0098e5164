/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl: the operator's face. */

#include <locale.h>
#include <stdio.h>

#include "ctl/options.h"
#include "ctl/output.h"

const Verb verbs[] = {
        { "status", "[NAME…]", 0, -1, 0, verb_status, "how it all stands, and what is wrong" },
        { "list", "", 0, 0, 0, verb_list, "a row for each run of reserved ports" },
        { "show", "NAME", 1, 1, 0, verb_show, "everything about one reservation" },
        { "why", "PORT[/PROTO]", 1, 1, TAKES_CONFIG, verb_why,
          "who has a port, why a server cannot have it, and what to do" },
        { "evict", "PORT[/PROTO]", 1, 1, TAKES_DRY_RUN, verb_evict,
          "close the sockets of others on a port" },
        { "check", "[FILE]", 0, 1, TAKES_CONFIG, verb_check, "all mistakes of a configuration" },
        { "ephemeral", "", 0, 0, 0, verb_ephemeral,
          "the ports that the kernel chooses from: left for whom" },
        { "watch", "", 0, 0, 0, verb_watch, "a line for each event, as it happens" },
        { "reload", "", 0, 0, 0, verb_reload, "apply the configuration" },
        {},
};

int main(int argc, char *argv[])
{
        CommandLine line;
        Exit e;

        /* For the width of characters in tables; nothing is translated, numbers and dates stay. */
        (void) setlocale(LC_CTYPE, "");

        e = command_line_parse(argc, argv, &line);
        if (e == EXIT_OK && line.verb)
                e = line.verb->run(&line.ctl, line.args);
        if (fflush(stdout) != 0 && e == EXIT_OK) {
                perror("portreservectl: standard output");
                return EXIT_FAILED;
        }
        return (int) e;
}
