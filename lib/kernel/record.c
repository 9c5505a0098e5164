/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/record.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define TAG_MAX      128u

/* Inode numbers of namespaces are used again at once; a cookie is not until the next boot. */
static uint64_t namespace_cookie(void)
{
        _cleanup_(closep) int fd = -1;
        uint64_t cookie;
        socklen_t size = sizeof(cookie);
        struct stat st;

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) >= 0)
                return cookie;
        return stat("/proc/self/ns/net", &st) >= 0 ? st.st_ino : 0;
}

static void make_tag(char buf[static TAG_MAX])
{
        _cleanup_(freep) char *boot = NULL;

        if (file_read(BOOT_ID_PATH, 64, &boot, NULL) >= 0)
                boot[strcspn(boot, "\n")] = 0;
        snprintf(buf, TAG_MAX, "namespace %" PRIu64 " %s\n", namespace_cookie(),
                 boot && boot[0] ? boot : "-");
}

int record_read(const char *directory, const char *name, PortSet *ret)
{
        _cleanup_(freep) char *text = NULL;
        char path[PATH_MAX], tag[TAG_MAX], *end;
        size_t size;
        PortSet s;
        int r;

        r = path_join(path, sizeof(path), directory, name);
        if (r < 0)
                return r;
        r = file_read(path, PORTSET_TEXT_MAX + TAG_MAX, &text, &size);
        if (r == -EFBIG)
                return -EBADMSG;
        if (r < 0)
                return r;

        end = memchr(text, '\n', size);
        if (!end || text[size - 1] != '\n' || strlen(text) != size)
                return -EBADMSG;
        end++;
        if (portset_parse(text, (size_t) (end - text), &s) < 0 ||
            strncmp(end, "namespace ", strlen("namespace ")) != 0)
                return -EBADMSG;
        make_tag(tag);
        /* What a newer version may have written below is not ours to read. */
        if (strncmp(end, tag, strlen(tag)) != 0)
                return -ENOENT;
        *ret = s;
        return 0;
}

int record_write(const char *directory, const char *name, const PortSet *s)
{
        _cleanup_(freep) char *text = NULL;
        char path[PATH_MAX];
        int n, r;

        r = path_join(path, sizeof(path), directory, name);
        if (r < 0)
                return r;
        text = malloc(PORTSET_TEXT_MAX + 1 + TAG_MAX);
        if (!text)
                return -ENOMEM;
        n = portset_format(s, text, PORTSET_TEXT_MAX);
        if (n < 0)
                return n;
        text[n++] = '\n';
        make_tag(text + n);

        r = file_write_atomic(path, text, strlen(text), 0644);
        if (r == -ENOENT && mkdir(directory, 0755) >= 0)
                r = file_write_atomic(path, text, strlen(text), 0644);
        return r;
}

int record_remove(const char *directory, const char *name)
{
        char path[PATH_MAX];
        int r;

        r = path_join(path, sizeof(path), directory, name);
        if (r < 0)
                return r;
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
