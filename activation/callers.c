/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/callers.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"

#define PEER_USER    "portreserved"
#define IDLE_MSEC    10000
#define REQUEST_MSEC 1000
/* Before the next try where there were no descriptors, or no memory: who asks waits. */
#define SHORTAGE_MSEC 100

static bool peer_admitted(const Callers *c, int fd, struct ucred *ret)
{
        socklen_t l = sizeof(*ret);
        const struct passwd *pw = getpwnam(PEER_USER);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &l) < 0)
                return false;
        if ((pw && ret->uid == pw->pw_uid) || (c->admit_root && ret->uid == 0))
                return true;
        say_asked(ret, LOG_WARNING, "A request was refused: only user " PEER_USER "%s may ask.",
                  c->admit_root ? " and root" : "");
        return false;
}

static int accept_one(const Callers *c, int listener)
{
        _cleanup_(closep) int fd = -1;
        struct ucred peer;

        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
                switch (errno) {
                case EAGAIN:
                case EINTR:
                case ECONNABORTED:
                        return 0;
                case EMFILE:
                case ENFILE:
                case ENOBUFS:
                case ENOMEM:
                        (void) poll(NULL, 0, SHORTAGE_MSEC);
                        return 0;
                default:
                        return -errno;
                }
        }
        if (peer_admitted(c, fd, &peer))
                c->serve(fd, &peer);
        return 0;
}

size_t callers_receive(int fd, const struct ucred *peer, void *buf, size_t max)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (poll(&p, 1, REQUEST_MSEC) <= 0)
                return 0;
        n = recv(fd, buf, max + 1, 0);
        if (n <= 0)
                return 0;
        if ((size_t) n > max) {
                say_asked(peer, LOG_WARNING, "A request of more than %zu bytes was dropped.", max);
                return 0;
        }
        return (size_t) n;
}

int callers_serve(const Callers *c)
{
        struct pollfd p = { .fd = SD_LISTEN_FDS_START, .events = POLLIN };
        int r;

        if (sd_listen_fds(1) != 1) {
                say(LOG_ERR, "%s is started by %s.socket only.", c->program, c->program);
                return EXIT_FAILURE;
        }
        for (;;) {
                r = poll(&p, 1, IDLE_MSEC);
                if (r == 0)
                        return EXIT_SUCCESS;
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        r = -errno;
                else
                        r = accept_one(c, p.fd);
                if (r < 0) {
                        say(LOG_ERR, "Cannot take requests: %s", strerror(-r));
                        return EXIT_FAILURE;
                }
        }
}
