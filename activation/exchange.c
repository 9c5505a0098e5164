/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/exchange.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define RETRY_USEC 20000u

int exchange_address(const char *runtime_dir, const char *name, struct sockaddr_un *ret)
{
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        if ((size_t) snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", runtime_dir, name) >=
            sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        return 0;
}

int exchange_append(char request[static HANDOVER_MESSAGE_MAX], size_t *n, const char *word)
{
        size_t l = strlen(word) + 1;

        if (l > HANDOVER_MESSAGE_MAX - *n)
                return -E2BIG;
        memcpy(request + *n, word, l);
        *n += l;
        return 0;
}

static int wait_for(int fd, short events, uint64_t deadline)
{
        for (;;) {
                struct pollfd p = { .fd = fd, .events = events };
                uint64_t n = now_usec(CLOCK_MONOTONIC);
                int r;

                if (n >= deadline)
                        return -ETIMEDOUT;
                r = poll(&p, 1, (int) ((deadline - n + 999u) / 1000u));
                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return -errno;
        }
}

static ssize_t receive(int fd, char *buf, size_t size, ExchangeSockets *sockets)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * OPEN_SOCKETS_MAX)];
        } control;
        struct iovec iov = { .iov_base = buf, .iov_len = size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (!sockets)
                return recv(fd, buf, size, 0);
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        if (n >= 0 && m.msg_flags & MSG_CTRUNC) { /* not all of them fit below our RLIMIT_NOFILE */
                errno = EMFILE;
                return -1;
        }
        for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                        sockets->n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(sockets->fds, CMSG_DATA(c), sockets->n * sizeof(int));
                }
        return n;
}

int exchange(const struct sockaddr_un *sa, const char *request, size_t size, char *buf,
             size_t buf_size, ExchangeSockets *sockets, uint64_t deadline)
{
        _cleanup_(closep) int fd = -1;
        ssize_t n;
        int r;

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        while (connect(fd, (const struct sockaddr *) sa, sizeof(*sa)) < 0) {
                /* A full backlog; nothing tells when there is room. */
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (now_usec(CLOCK_MONOTONIC) >= deadline)
                        return -ETIMEDOUT;
                (void) usleep(RETRY_USEC);
        }

        r = wait_for(fd, POLLOUT, deadline);
        if (r < 0)
                return r;
        if (send(fd, request, size, MSG_NOSIGNAL) < 0)
                return errno == EPIPE ? -ECONNRESET : -errno;

        r = wait_for(fd, POLLIN, deadline);
        if (r < 0)
                return r;
        n = receive(fd, buf, buf_size - 1, sockets);
        if (n < 0)
                return -errno;
        if (n == 0)
                return -ECONNRESET;
        buf[n] = 0;
        return (int) n;
}
