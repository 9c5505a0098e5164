/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options that every program here has: --help, --version, --runtime-dir. Nothing but libc. */

/* help: the text, which begins with the program's name and a blank or the end of the line.
 * *runtime_dir stays as it is without the option. optind is then at the first word that is no
 * option; what comes after it is not looked at. -1, or the status to exit with. */
int arguments_parse(int argc, char *argv[], const char *help, const char **runtime_dir);

/* Says what is wrong, and the help; returns the status to exit with, 2. */
int arguments_usage(const char *help, const char *what);
