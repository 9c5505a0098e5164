/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs another program and waits for it. Its standard output goes to our standard error: ours is
 * for results. Its exit status; -errno; -EINTR where a signal ended it. argv[0] without "/" is
 * searched in PATH. */
int child_run(char *const argv[]);

/* Its standard output instead, malloc'ed, at most 1 MiB. */
int child_read(char *const argv[], char **ret);
