/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int file_read_fd(int fd, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_(freep) char *buf = NULL;
        char *shrunk;
        size_t n = 0;

        /* One byte more than allowed, to tell "exactly max" from "too long". */
        buf = malloc(max + 2);
        if (!buf)
                return -ENOMEM;

        for (;;) {
                ssize_t l = read(fd, buf + n, max + 1 - n);

                if (l < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                n += (size_t) l;
                if (n > max)
                        return -EFBIG;
                if (l == 0)
                        break;
        }

        buf[n] = 0;
        shrunk = realloc(buf, n + 1);
        if (shrunk)
                buf = shrunk;
        *ret = TAKE_PTR(buf);
        if (ret_size)
                *ret_size = n;
        return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_(closep) int fd = -1;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        return file_read_fd(fd, max, ret, ret_size);
}

static int write_all(int fd, const char *p, size_t size)
{
        while (size > 0) {
                ssize_t l = write(fd, p, size);

                if (l < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += l;
                size -= (size_t) l;
        }
        return 0;
}

int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode)
{
        _cleanup_(closep) int fd = -1;
        char tmp[PATH_MAX];
        int r;

        if ((size_t) snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= sizeof(tmp))
                return -ENAMETOOLONG;

        fd = mkostemp(tmp, O_CLOEXEC);
        if (fd < 0)
                return -errno;

        r = write_all(fd, data, size);
        if (r >= 0 && fchmod(fd, mode) < 0)
                r = -errno;
        if (r >= 0 && rename(tmp, path) < 0)
                r = -errno;
        if (r < 0)
                (void) unlink(tmp);
        return r;
}

int path_join(char *buf, size_t size, const char *directory, const char *name)
{
        if ((size_t) snprintf(buf, size, "%s/%s", directory, name) >= size)
                return -ENAMETOOLONG;
        return 0;
}
