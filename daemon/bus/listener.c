/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "daemon/alert/log.h"

/* A full fd table leaves the connection in the queue and the socket readable: trying again at once
 * would spin. */
#define PAUSE_USEC 1000000u

struct Listener {
        sd_event *event;
        char *directory;
        const char *name;
        int type;
        mode_t mode;
        ListenerAccept accept;
        void *userdata;

        int fd;
        dev_t dev; /* of the path, to know it again */
        ino_t ino;
        sd_event_source *io, *resume;
};

/* Binds under a temporary name, listens, and renames: a client meets the old socket or the new one,
 * which answers. Through /proc/self/fd, since sun_path has 108 bytes and directories are longer. */
static int make_socket(const Listener *l, int directory_fd, struct stat *ret_st, int *ret_fd)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = -1;
        char temporary[64];
        mode_t mask;
        int r;

        (void) snprintf(temporary, sizeof(temporary), ".%s.%d", l->name, (int) getpid());
        if ((size_t) snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", directory_fd,
                              temporary) >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        if (unlinkat(directory_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;

        fd = socket(AF_UNIX, l->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        mask = umask(0777);
        r = bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? -errno : 0;
        (void) umask(mask);
        if (r < 0)
                return r;

        if (listen(fd, SOMAXCONN) < 0 || fchmodat(directory_fd, temporary, l->mode, 0) < 0 ||
            fstatat(directory_fd, temporary, ret_st, AT_SYMLINK_NOFOLLOW) < 0 ||
            renameat(directory_fd, temporary, directory_fd, l->name) < 0) {
                r = -errno;
                (void) unlinkat(directory_fd, temporary, 0);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int on_resume(sd_event_source *s, uint64_t usec, void *userdata)
{
        Listener *l = userdata;
        int r;

        r = sd_event_source_set_enabled(l->io, SD_EVENT_ON);
        if (r < 0)
                log_error("Cannot accept on %s/%s any more: %s", l->directory, l->name,
                          strerror(-r));
        return 0;
}

static void pause_accept(Listener *l)
{
        int r;

        /* Without the timer nobody would switch it on again. */
        r = sd_event_source_set_time_relative(l->resume, PAUSE_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->resume, SD_EVENT_ONESHOT);
        if (r >= 0)
                (void) sd_event_source_set_enabled(l->io, SD_EVENT_OFF);
}

static int on_connection(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        _cleanup_(closep) int connection = -1;
        struct ucred peer;
        socklen_t length = sizeof(peer);
        Listener *l = userdata;

        connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connection < 0) {
                switch (errno) {
                case EAGAIN:
                case EINTR:
                case ECONNABORTED:
                        return 0;
                default:
                        log_warning("Cannot accept on %s/%s, trying again in a second: %s",
                                    l->directory, l->name, strerror(errno));
                        pause_accept(l);
                        return 0;
                }
        }
        /* Who cannot be known is not served. */
        if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ||
            length != sizeof(peer))
                return 0;
        l->accept(TAKE_FD(connection), &peer, l->userdata);
        return 0;
}

static int listener_open(Listener *l)
{
        sd_event_source *io = NULL;
        _cleanup_(closep) int directory_fd = -1, fd = -1;
        struct stat st;
        int r;

        directory_fd = open(l->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory_fd < 0)
                return -errno;
        r = make_socket(l, directory_fd, &st, &fd);
        if (r < 0)
                return r;
        r = sd_event_add_io(l->event, &io, fd, EPOLLIN, on_connection, l);
        if (r < 0)
                return r;

        sd_event_source_disable_unref(l->io);
        if (l->fd >= 0)
                close(l->fd);
        l->io = io;
        l->fd = TAKE_FD(fd);
        l->dev = st.st_dev;
        l->ino = st.st_ino;
        return 0;
}

/* Is the path the socket that we have? */
static bool listener_in_place(const Listener *l)
{
        _cleanup_(closep) int directory_fd = -1;
        struct stat st;

        directory_fd = open(l->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return l->fd >= 0 && directory_fd >= 0 &&
               fstatat(directory_fd, l->name, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
               st.st_dev == l->dev && st.st_ino == l->ino;
}

int listener_restore(Listener *l)
{
        return listener_in_place(l) ? 0 : listener_open(l);
}

int listener_new(sd_event *event, const char *directory, const char *name, int type, mode_t mode,
                 ListenerAccept accept, void *userdata, Listener **ret)
{
        _cleanup_(listener_freep) Listener *l = NULL;
        int r;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->event = sd_event_ref(event);
        l->fd = -1;
        l->name = name;
        l->type = type;
        l->mode = mode;
        l->accept = accept;
        l->userdata = userdata;
        l->directory = strdup(directory);
        if (!l->directory)
                return -ENOMEM;

        r = sd_event_add_time(event, &l->resume, CLOCK_MONOTONIC, 0, 0, on_resume, l);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(l->resume, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = listener_open(l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

Listener *listener_free(Listener *l)
{
        if (!l)
                return NULL;
        if (l->fd >= 0) {
                char path[PATH_MAX];

                if (listener_in_place(l) &&
                    path_join(path, sizeof(path), l->directory, l->name) >= 0)
                        (void) unlink(path);
                sd_event_source_disable_unref(l->io);
                close(l->fd);
        }
        sd_event_source_disable_unref(l->resume);
        sd_event_unref(l->event);
        free(l->directory);
        free(l);
        return NULL;
}
