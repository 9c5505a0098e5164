/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/process.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int process_exe(pid_t pid, char **ret)
{
        char path[64], target[PATH_MAX];
        ssize_t n;
        char *copy;

        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = 0;
        copy = strdup(target);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}
