/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/fd-page.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* A message has a label for each of its fds as its data, in their order. */
#define DATA_MAX    (FD_PAGE_MAX * FD_PAGE_LABEL)
#define CONTROL_MAX CMSG_SPACE(FD_PAGE_MAX * sizeof(int))

/* A message costs some 800 bytes of it, and one of FD_PAGE_MAX labels 2,300 (skb->truesize). */
#define SEND_BUFFER (128 * 1024)

typedef union Control {
        char buf[CONTROL_MAX];
        struct cmsghdr align;
} Control;

int fd_page_init(FdPage *p)
{
        int size = SEND_BUFFER, fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        /* Whatever net.core.wmem_default is; the latter, if we may, whatever wmem_max is. */
        (void) setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        (void) setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
        *p = (FdPage){ .in = fds[0], .out = fds[1] };
        return 0;
}

void fd_page_deinit(FdPage *p)
{
        closep(&p->in);
        closep(&p->out);
        *p = (FdPage){ .in = -1, .out = -1 };
}

static bool has_message(int fd)
{
        char c;

        return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static int set_peek_offset(int fd, int offset)
{
        return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) < 0 ? -errno : 0;
}

int fd_page_init_consume_fds(FdPage *p, int a, int b)
{
        struct {
                int fd, type, domain;
        } end[] = { { .fd = a }, { .fd = b } };
        FdPage page;
        int r;

        page = (FdPage){ .in = a, .out = b };
        for (size_t i = 0; i < ELEMENTSOF(end); i++) {
                socklen_t size = sizeof(int);

                if (getsockopt(end[i].fd, SOL_SOCKET, SO_TYPE, &end[i].type, &size) < 0 ||
                    getsockopt(end[i].fd, SOL_SOCKET, SO_DOMAIN, &end[i].domain, &size) < 0)
                        r = -errno;
                else
                        r = end[i].type == SOCK_SEQPACKET && end[i].domain == AF_UNIX ? 0
                                                                                      : -ENOTCONN;
                /* The offset is the socket's, not ours: who died while looking has left it behind. */
                if (r == 0)
                        r = set_peek_offset(end[i].fd, -1);
                if (r < 0)
                        goto fail;
        }
        /* Only one of them is ever read from. */
        if (has_message(a))
                page = (FdPage){ .in = b, .out = a };
        r = set_peek_offset(page.out, 0);
        if (r < 0)
                goto fail;
        *p = page;
        return 0;
fail:
        fd_page_deinit(&page);
        return r;
}

static size_t take_fds(struct msghdr *h, FdPageEntry *ret)
{
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++, n++) {
                        memcpy(&ret[n].fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        ret[n].label[0] = '\0';
                }
        }
        return n;
}

int fd_page_peek(FdPage *p, FdPageEntry ret[static FD_PAGE_MAX])
{
        char data[DATA_MAX];
        Control control;
        struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
        struct msghdr h = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control) };
        ssize_t size;
        size_t n;

        size = recvmsg(p->out, &h, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size < 0 && errno != EAGAIN)
                return -errno;
        if (size <= 0) {
                (void) set_peek_offset(p->out, -1);
                return 0;
        }
        p->n_messages++;
        n = take_fds(&h, ret);
        if (h.msg_flags & MSG_CTRUNC) {
                for (size_t i = 0; i < n; i++)
                        close(ret[i].fd);
                return -EMFILE;
        }
        for (size_t i = 0; i < n && (i + 1) * FD_PAGE_LABEL <= (size_t) size; i++) {
                const char *label = data + i * FD_PAGE_LABEL;

                if (memchr(label, '\0', FD_PAGE_LABEL))
                        (void) stpcpy(ret[i].label, label);
        }
        return (int) n;
}

static int send_entries(FdPage *p, const FdPageEntry *entries, size_t n)
{
        char data[DATA_MAX];
        Control control = {};
        struct iovec iov = { .iov_base = data, .iov_len = n * FD_PAGE_LABEL };
        struct msghdr h = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        for (size_t i = 0; i < n; i++) {
                memcpy(data + i * FD_PAGE_LABEL, entries[i].label, FD_PAGE_LABEL);
                memcpy(CMSG_DATA(c) + i * sizeof(int), &entries[i].fd, sizeof(int));
        }
        if (sendmsg(p->in, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return -errno;
        p->n_messages++;
        return 0;
}

int fd_page_add(FdPage *p, const FdPageEntry *e)
{
        return send_entries(p, e, 1);
}

/* Without room for control data the kernel closes the descriptors itself. */
static int discard(FdPage *p, unsigned n)
{
        for (char c; n > 0; n--, p->n_messages--)
                if (recv(p->out, &c, sizeof(c), MSG_DONTWAIT) < 0)
                        return -errno;
        return 0;
}

int fd_page_replace(FdPage *p, const FdPageEntry *entries, size_t n)
{
        unsigned old = p->n_messages;
        int r;

        if (n > 0) {
                r = send_entries(p, entries, n);
                if (r < 0)
                        return r;
        }
        return discard(p, old);
}

int fd_page_clear(FdPage *p)
{
        char c;

        while (recv(p->out, &c, sizeof(c), MSG_DONTWAIT) > 0)
                ;
        p->n_messages = 0;
        return errno == EAGAIN ? 0 : -errno;
}
