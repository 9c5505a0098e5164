/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/config-read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"

#define FILE_SIZE_MAX (10u << 20)

int config_read_file(Config *c, const char *path, const char *what, int flags, char **ret,
                     size_t *ret_size)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;
        int k;

        /* Not blocking: a FIFO without a writer must not keep the boot waiting. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
        if (fd < 0 || fstat(fd, &st) < 0) {
                if (errno == ENOENT)
                        return -ENOENT;
                return config_error(c, what, 0,
                                    "cannot be read: %s; correct its permissions, or remove it",
                                    strerror(errno));
        }
        /* /dev/null is the empty file of choice. */
        if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
                return 0;
        if (!S_ISREG(st.st_mode))
                return config_error(c, what, 0, "is %s; put a file in its place",
                                    S_ISDIR(st.st_mode) ? "a directory" : "no file");

        k = file_read_fd(fd, FILE_SIZE_MAX, ret, ret_size);
        if (k == -ENOMEM)
                return k;
        if (k == -EFBIG)
                return config_error(
                        c, what, 0,
                        "is larger than %u MiB, and left out whole; is it a configuration file?",
                        FILE_SIZE_MAX >> 20);
        if (k < 0)
                return config_error(c, what, 0, "cannot be read: %s", strerror(-k));
        return 1;
}
