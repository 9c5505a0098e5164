/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests that make sockets and want to know what the kernel says of them. To be included after
 * cmocka.h. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/cgroup.h"
#include "model/address.h"

static inline int loopback_up(void **state)
{
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

        return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0 ? 0 : -1;
}

static inline int write_file(const char *path, const char *text)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
                return -errno;
        return 0;
}

/* Ephemeral ports come from this range. The kernel takes odd or even ones first, so that a single
 * port is a range as well. */
static inline void ephemeral_range(unsigned first, unsigned last)
{
        char text[32];

        (void) snprintf(text, sizeof(text), "%u %u", first, last);
        assert_int_equal(write_file("/proc/sys/net/ipv4/ip_local_port_range", text), 0);
}

static inline int socket_for(const char *address, int type)
{
        int fd = socket(strchr(address, ':') ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        return fd;
}

static inline socklen_t sockaddr_for(const char *address, unsigned port,
                                     struct sockaddr_storage *ret)
{
        Address a;

        assert_int_equal(address_parse(address, &a), 0);
        return address_to_sockaddr(&a, (uint16_t) port, ret);
}

static inline int try_bind(int fd, const char *address, unsigned port)
{
        struct sockaddr_storage ss;
        socklen_t size = sockaddr_for(address, port, &ss);

        return bind(fd, (struct sockaddr *) &ss, size) < 0 ? -errno : 0;
}

static inline int try_connect(int fd, const char *address, unsigned port)
{
        struct sockaddr_storage ss;
        socklen_t size = sockaddr_for(address, port, &ss);

        return connect(fd, (struct sockaddr *) &ss, size) < 0 ? -errno : 0;
}

static inline void set_option(int fd, int level, int option, int value)
{
        assert_int_equal(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

/* Bound; port 0: the kernel's choice. */
static inline int bound_on(const char *address, int type, unsigned port)
{
        int fd = socket_for(address, type);

        assert_int_equal(try_bind(fd, address, port), 0);
        return fd;
}

static inline int listener_on(const char *address, unsigned port)
{
        int fd = socket_for(address, SOCK_STREAM);

        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        assert_int_equal(try_bind(fd, address, port), 0);
        assert_int_equal(listen(fd, 64), 0);
        return fd;
}

static inline int connected_to(const char *address, int type, unsigned port)
{
        int fd = socket_for(address, type);

        assert_int_equal(try_connect(fd, address, port), 0);
        return fd;
}

static inline uint16_t port_of(int fd)
{
        struct sockaddr_storage ss = {};
        socklen_t size = sizeof(ss);
        uint16_t port;
        Address a;

        assert_int_equal(getsockname(fd, (struct sockaddr *) &ss, &size), 0);
        assert_int_equal(address_from_sockaddr(&ss, &a, &port), 0);
        return port;
}

static inline uint64_t cookie_of(int fd)
{
        uint64_t cookie = 0;
        socklen_t size = sizeof(cookie);

        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
        return cookie;
}

static inline uint32_t inode_of(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return (uint32_t) st.st_ino;
}

/* Waits until the other end's goodbye is in, so that what happens next is not a race. */
static inline void wait_readable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        assert_int_equal(poll(&p, 1, 10000), 1);
}

/* Closes both ends of a connection, first's first: that one stays in TIME_WAIT. */
static inline void close_in_order(int *first, int *second)
{
        assert_int_equal(shutdown(*first, SHUT_WR), 0);
        wait_readable(*second);
        close(*second);
        wait_readable(*first);
        close(*first);
        *first = *second = -1;
}

/* Cgroups of the tests' own, to play units. The tree is that of the host: each program has a folder
 * there. */

typedef struct Cgroups {
        char root[512]; /* "": no cgroup v2 to be had */
        char folder[600];
        char home[4096]; /* where the test itself lives */
} Cgroups;

/* Mounts one in a mount namespace of our own where there is none. */
static inline void cgroups_init(Cgroups *c)
{
        _cleanup_(cgroup_map_freep) CgroupMap *map = NULL;
        _cleanup_(freep) char *home = NULL;

        *c = (Cgroups){};
        assert_int_equal(cgroup_map_new(NULL, &map), 0);
        if (!cgroup_map_available(map)) {
                if (unshare(CLONE_NEWNS) < 0 ||
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0)
                        return;
                cgroup_map_freep(&map);
                map = NULL;
                assert_int_equal(cgroup_map_new(NULL, &map), 0);
                if (!cgroup_map_available(map))
                        return;
        }
        if (cgroup_of_pid(0, &home) < 0)
                return;
        (void) snprintf(c->home, sizeof(c->home), "%s%s", cgroup_map_root(map), home);
        (void) snprintf(c->root, sizeof(c->root), "%s", cgroup_map_root(map));
        (void) snprintf(c->folder, sizeof(c->folder), "%s/test%d.slice", c->root, (int) getpid());
        if (mkdir(c->folder, 0755) < 0)
                c->root[0] = 0;
}

static inline bool cgroups_available(const Cgroups *c)
{
        return c->root[0];
}

/* Moves this process; sockets keep the cgroup in which they are made. */
static inline void cgroups_enter(const Cgroups *c, const char *unit)
{
        char path[5000];

        if (unit) {
                (void) snprintf(path, sizeof(path), "%s/%s", c->folder, unit);
                assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
                (void) snprintf(path, sizeof(path), "%s/%s/cgroup.procs", c->folder, unit);
        } else
                (void) snprintf(path, sizeof(path), "%s/cgroup.procs", c->home);
        assert_int_equal(write_file(path, "0"), 0);
}

static inline void cgroups_remove(const Cgroups *c, const char *unit)
{
        char path[5000];

        (void) snprintf(path, sizeof(path), "%s/%s", c->folder, unit);
        (void) rmdir(path);
}

static inline uint64_t cgroups_id(const Cgroups *c, const char *unit)
{
        char path[5000];
        struct stat st;

        (void) snprintf(path, sizeof(path), "%s/%s", c->folder, unit);
        assert_int_equal(stat(path, &st), 0);
        return st.st_ino;
}

/* units: NULL-terminated. A test that failed may have left us in one of them. */
static inline void cgroups_done(const Cgroups *c, const char *const *units)
{
        if (!cgroups_available(c))
                return;
        cgroups_enter(c, NULL);
        for (; *units; units++)
                cgroups_remove(c, *units);
        (void) rmdir(c->folder);
}
