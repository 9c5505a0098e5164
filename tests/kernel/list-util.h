/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests that handle the kernel's list: plain access to the file, by other means than the code
 * under test, and the daemon's privileges. To be included after cmocka.h. */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/kernel-list.h"
#include "model/portset.h"

#define NOBODY 65534

/* The list as the kernel prints it. */
static inline void list_text(char buf[static PORTSET_TEXT_MAX])
{
        _cleanup_(closep) int fd = open(KERNEL_LIST_PATH, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        assert_true(fd >= 0);
        n = read(fd, buf, PORTSET_TEXT_MAX - 1);
        assert_true(n > 0);
        buf[n] = 0;
}

static inline void list_write_at(const char *text, off_t offset)
{
        _cleanup_(closep) int fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, text, strlen(text), offset), strlen(text));
}

/* As echo does: replaces the list. */
static inline void list_replace(const char *text)
{
        list_write_at(text, 0);
}

static inline void list_or(const char *text)
{
        list_write_at(text, 1);
}

/* Any set, in as many writes as it takes. */
static inline void list_set(const PortSet *s)
{
        _cleanup_(closep) int fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);
        char text[32];

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "\n", 1, 0), 1);
        PORTSET_FOREACH_RUN(s, first, last) {
                int n = snprintf(text, sizeof(text), "%u-%u", first, last);

                assert_int_equal(pwrite(fd, text, (size_t) n, 1), n);
        }
}

static inline void assert_list(const char *text)
{
        char now[PORTSET_TEXT_MAX];

        list_text(now);
        assert_string_equal(now, text);
}

static inline void assert_list_is(const PortSet *s)
{
        char now[PORTSET_TEXT_MAX], want[PORTSET_TEXT_MAX];

        assert_true(portset_format(s, want, sizeof(want) - 1) >= 0);
        strcat(want, "\n");
        list_text(now);
        assert_string_equal(now, want);
}

static inline void random_ports(PortSet *s, unsigned runs, unsigned longest)
{
        portset_clear(s);
        for (unsigned i = 0; i < runs; i++) {
                unsigned first = 1 + (unsigned) random() % 65535;
                unsigned last = first + (unsigned) random() % longest;

                portset_add_run(s, (uint16_t) first, (uint16_t) MIN_OF(last, 65535u));
        }
}

/* Privileges. A test runs as somebody else from its setup to its teardown: the effective uid
 * changes, the permitted set stays. */

static inline int become(uid_t uid, uint32_t capabilities)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = {};

        if (seteuid(uid) < 0 || syscall(SYS_capget, &header, data) < 0)
                return -1;
        data[0].effective = capabilities;
        data[1].effective = 0;
        return (int) syscall(SYS_capset, &header, data);
}

/* The daemon: nobody, with the capabilities of portreserved.service. */
static inline int as_daemon(void **state)
{
        return become(NOBODY, 1u << CAP_NET_ADMIN | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_LEASE);
}

/* In a container's user namespace CAP_LEASE counts for nothing. */
static inline int as_daemon_without_lease(void **state)
{
        return become(NOBODY, 1u << CAP_NET_ADMIN);
}

static inline int as_nobody(void **state)
{
        return become(NOBODY, 0);
}

static inline int as_root(void **state)
{
        return seteuid(0); /* the effective set becomes the permitted one */
}

#define TEST_AS(test, who)                                                                         \
        {                                                                                          \
#test " " #who, test, who, as_root, NULL                                           \
        }

/* A child process that does its work and leaves with 0. */
static inline pid_t child_start(void (*work)(void *), void *userdata)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                work(userdata);
                _exit(0);
        }
        return pid;
}

static inline void child_wait(pid_t pid)
{
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static inline void child_kill(pid_t pid)
{
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* For children, where assert would run the rest of the tests twice. */
#define child_require(condition)                                                                   \
        ({                                                                                         \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: %s: %m\n", __FILE__, __LINE__, #condition);        \
                        _exit(1);                                                                  \
                }                                                                                  \
        })
