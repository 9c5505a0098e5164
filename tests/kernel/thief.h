/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Other programs' sockets: every way to ask for a port, and which addresses each of them means. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Where a socket sits, by family: NULL nowhere, "*" everywhere, else that address. An oracle of its
 * own: the product's rule of which addresses meet is not used to test the product. */
typedef struct Place {
        const char *name;
        int family;
        const char *bind_to;
        int v6only;
        const char *v4, *v6;
} Place;

static const Place places[] = {
        { "0.0.0.0", AF_INET, "0.0.0.0", 0, "*", NULL },
        { "127.0.0.1", AF_INET, "127.0.0.1", 0, "127.0.0.1", NULL },
        { "127.0.0.2", AF_INET, "127.0.0.2", 0, "127.0.0.2", NULL },
        { "[::]", AF_INET6, "::", 0, "*", "*" },
        { "[::] v6only", AF_INET6, "::", 1, NULL, "*" },
        { "[::1]", AF_INET6, "::1", 0, NULL, "::1" },
        { "[::ffff:127.0.0.1]", AF_INET6, "::ffff:127.0.0.1", 0, "127.0.0.1", NULL },
        { "[::ffff:0.0.0.0]", AF_INET6, "::ffff:0.0.0.0", 0, "*", NULL },
};

static inline bool meets_one(const char *a, const char *b)
{
        return a && b && (strcmp(a, "*") == 0 || strcmp(b, "*") == 0 || strcmp(a, b) == 0);
}

static inline bool place_meets(const Place *a, const Place *b)
{
        return meets_one(a->v4, b->v4) || meets_one(a->v6, b->v6);
}

enum {
        PLAIN = 0,
        REUSEADDR = 1,
        REUSEPORT = 2,
        BOTH = 3,
};

static const char *const flag_names[] = { "plain", "SO_REUSEADDR", "SO_REUSEPORT", "both" };

static inline void set_flag(int fd, int option, int value)
{
        if (setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) < 0)
                perror("setsockopt");
}

static inline socklen_t place_address(const Place *p, uint16_t port, struct sockaddr_storage *ss)
{
        memset(ss, 0, sizeof(*ss));
        ss->ss_family = (sa_family_t) p->family;
        if (p->family == AF_INET) {
                struct sockaddr_in *in = (struct sockaddr_in *) ss;

                in->sin_port = htons(port);
                inet_pton(AF_INET, p->bind_to, &in->sin_addr);
                return sizeof(*in);
        } else {
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) ss;

                in6->sin6_port = htons(port);
                inet_pton(AF_INET6, p->bind_to, &in6->sin6_addr);
                return sizeof(*in6);
        }
}

/* An fd, or -errno. */
static inline int open_at(int protocol, const Place *p, uint16_t port, int flags)
{
        int type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, fd, r;
        struct sockaddr_storage ss;
        socklen_t size;

        fd = socket(p->family, type | SOCK_CLOEXEC, protocol);
        if (fd < 0)
                return -errno;
        if (p->family == AF_INET6)
                (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &p->v6only, sizeof(p->v6only));
        if (flags & REUSEADDR)
                set_flag(fd, SO_REUSEADDR, 1);
        if (flags & REUSEPORT)
                set_flag(fd, SO_REUSEPORT, 1);
        size = place_address(p, port, &ss);
        if (bind(fd, (const struct sockaddr *) &ss, size) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

/* 0: it got the port (and gave it back), or -errno. uid: as whom. */
static inline int steal_as(uid_t uid, int protocol, const Place *p, uint16_t port, int flags)
{
        int fd;

        if (seteuid(uid) < 0)
                return -errno;
        fd = open_at(protocol, p, port, flags);
        if (seteuid(0) < 0)
                return -errno;
        if (fd < 0)
                return fd;
        close(fd);
        return 0;
}

static inline int write_text(const char *path, const char *text)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* In the test's own network namespace, which starts with everything down. */
static inline int loopback_up(void)
{
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq ifr = { .ifr_name = "lo" };

        if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
                return -errno;
        ifr.ifr_flags |= IFF_UP;
        return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

static inline int readable(int fd, int milliseconds)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, milliseconds) == 1;
}

/* A client's connection to a local port; -errno. */
static inline int connect_to(int family, uint16_t port)
{
        const Place p = { "client", family, family == AF_INET ? "127.0.0.1" : "::1", 0, "", "" };
        _cleanup_(closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage ss;
        socklen_t size = place_address(&p, port, &ss);

        if (fd < 0 || connect(fd, (const struct sockaddr *) &ss, size) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* Does a datagram to that port arrive at fd? */
static inline bool datagram_arrives(int fd, int family, uint16_t port)
{
        const Place p = { "client", family, family == AF_INET ? "127.0.0.1" : "::1", 0, "", "" };
        _cleanup_(closep) int client = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage ss;
        socklen_t size = place_address(&p, port, &ss);
        char buf[8];

        if (client < 0 || sendto(client, "x", 1, 0, (const struct sockaddr *) &ss, size) != 1)
                return false;
        return readable(fd, 200) && recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 1;
}
