/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What lib/kernel/kernel-list.c and daemon/reserve take for granted about the kernel's list. A
 * kernel that behaves otherwise fails here first. */

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/inotify.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "list-util.h"

static int open_list(int flags)
{
        int fd = open(KERNEL_LIST_PATH, flags | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void test_starts_empty(void **state)
{
        assert_list("\n");
}

static void test_offset_decides(void **state)
{
        list_replace("1,2,3");
        list_or("300");
        assert_list("1-3,300\n");
        list_write_at("65535", 4096);
        assert_list("1-3,300,65535\n");
        list_replace("7");
        assert_list("7\n");
        list_replace("\n");
        assert_list("\n");
}

/* 1000 single ports, 5999 bytes. */
static size_t long_text(char buf[static 8192])
{
        size_t n = 0;

        for (unsigned i = 0; i < 1000; i++)
                n += (size_t) sprintf(buf + n, "%s%u", i ? "," : "", 10000 + 2 * i);
        return n;
}

static void test_short_write(void **state)
{
        _cleanup_(closep) int fd = -1;
        char text[8192], now[PORTSET_TEXT_MAX];
        size_t size = long_text(text);
        ssize_t n;
        PortSet s;

        list_replace("5,7");
        fd = open_list(O_WRONLY);
        n = write(fd, text, size);
        assert_in_range(n, 4000, 4095);

        /* The prefix has replaced the list already. */
        list_text(now);
        assert_int_equal(portset_parse(now, strlen(now), &s), 0);
        assert_false(portset_has(&s, 5));
        assert_true(portset_has(&s, 10000));
        assert_in_range(portset_count(&s), 660, 690);

        /* The rest, where it left off, is ORed. */
        assert_int_equal(write(fd, text + n, size - (size_t) n), size - (size_t) n);
        strcat(text, "\n");
        assert_list(text);
}

/* What the code cuts: 4095 bytes that end before a comma go in whole, which list_write_at()
 * asserts. */
static void test_full_chunk(void **state)
{
        char text[8192];

        long_text(text);
        text[4095] = 0; /* cuts "11364" short to "113" */
        list_replace("1");
        list_or(text);
        list_replace(text);
}

static void test_one_read(void **state)
{
        _cleanup_(closep) int fd = -1;
        char text[8192], got[16384];
        size_t size = long_text(text);

        list_replace("\n");
        for (size_t at = 0; at < size; at += 6) {
                text[at + 5] = 0;
                list_or(text + at);
        }

        fd = open_list(O_RDONLY);
        assert_int_equal(read(fd, got, sizeof(got)), size + 1);
        assert_int_equal(read(fd, got, sizeof(got)), 0);
        /* From offset 0 it answers again. */
        assert_int_equal(pread(fd, got, sizeof(got), 0), size + 1);
        assert_int_equal(pread(fd, got, sizeof(got), 1), 0);

        /* A small buffer gets a part, and never the rest. */
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(read(fd, got, 4096), 4096);
        assert_int_equal(read(fd, got, 4096), 0);
}

static void test_rejected(void **state)
{
        static const char *const bad[] = { "1 2",   " 1",    "1 ",  "1, 2", "1,,2",
                                           "65536", "20-10", "080", "1;2",  "a" };
        static const char *const good[][2] = {
                { "0", "0\n" }, { "0x10", "16\n" }, { "3,1,2", "1-3\n" }, { "9,9", "9\n" }
        };

        list_replace("4711");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                for (off_t offset = 0; offset < 2; offset++) {
                        _cleanup_(closep) int fd = open_list(O_WRONLY);

                        assert_int_equal(pwrite(fd, bad[i], strlen(bad[i]), offset), -1);
                        assert_int_equal(errno, EINVAL);
                        assert_list("4711\n");
                }
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                list_replace(good[i][0]);
                assert_list(good[i][1]);
        }
}

static void test_empty_write(void **state)
{
        _cleanup_(closep) int fd = -1;

        list_replace("4711");
        fd = open_list(O_WRONLY);
        assert_int_equal(write(fd, "", 0), 0);
        assert_list("4711\n");
        assert_int_equal(write(fd, "\n", 1), 1);
        assert_list("\n");
}

static bool has_event(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        char buf[4096];

        if (poll(&p, 1, 0) <= 0)
                return false;
        assert_true(read(fd, buf, sizeof(buf)) > 0);
        return true;
}

static void test_inotify(void **state)
{
        _cleanup_(closep) int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        char now[PORTSET_TEXT_MAX];

        assert_true(fd >= 0);
        assert_true(inotify_add_watch(fd, KERNEL_LIST_PATH, IN_MODIFY) >= 0);
        list_text(now);
        assert_false(has_event(fd));
        list_replace("1");
        assert_true(has_event(fd));
        list_or("2");
        assert_true(has_event(fd));
        /* To be truncated, as echo and sysctl open it: nothing happens to it, and it is told. */
        close(open_list(O_WRONLY | O_TRUNC));
        assert_list("1-2\n");
        assert_true(has_event(fd));
}

static void write_port(void *userdata)
{
        int fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);

        child_require(fd >= 0);
        child_require(pwrite(fd, "300", 3, 1) == 3);
}

static void test_lease(void **state)
{
        int fd, other;
        pid_t pid;

        list_replace("1");

        /* Not while anybody else has the file open. */
        other = open_list(O_RDONLY);
        fd = open_list(O_RDWR);
        assert_int_equal(fcntl(fd, F_SETSIG, SIGURG), 0);
        assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), -1);
        assert_int_equal(errno, EAGAIN);
        close(other);
        assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);

        /* Then others' open() says so, or waits; we are told by a signal that nobody heeds. */
        other = open(KERNEL_LIST_PATH, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        assert_int_equal(other, -1);
        assert_int_equal(errno, EAGAIN);
        pid = child_start(write_port, NULL);
        usleep(20000);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);

        /* We write as we like meanwhile. */
        assert_int_equal(pwrite(fd, "2", 1, 0), 1);
        /* The child has a copy of fd, so closing ours would not end it. */
        assert_int_equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
        close(fd);
        child_wait(pid);
        assert_list("2,300\n");
}

static void test_lease_needs_capability(void **state)
{
        _cleanup_(closep) int fd = -1;

        assert_int_equal(as_daemon_without_lease(NULL), 0);
        fd = open_list(O_RDWR);
        assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), -1);
        assert_int_equal(errno, EACCES);
        assert_int_equal(as_daemon(NULL), 0);
        assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
}

static void test_writing_needs_capability(void **state)
{
        assert_int_equal(as_nobody(NULL), 0);
        assert_int_equal(open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC), -1);
        assert_int_equal(errno, EACCES);
        assert_int_equal(as_daemon(NULL), 0);
        list_replace("1");
}

static void writes_through_other_mount(void *userdata)
{
        char directory[] = "/tmp/proc-test.XXXXXX", path[128];
        int fd;

        child_require(unshare(CLONE_NEWNS) == 0);
        child_require(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        child_require(mkdtemp(directory));
        child_require(mount("proc", directory, "proc", 0, NULL) == 0);
        snprintf(path, sizeof(path), "%s/sys/net/ipv4/ip_local_reserved_ports", directory);
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        child_require(fd >= 0);
        child_require(pwrite(fd, "300", 3, 1) == 3);
        close(fd);
        child_require(umount(directory) == 0);
        child_require(rmdir(directory) == 0);
}

/* The list is one, the file is not: neither inotify nor a lease knows of it. Hence the slow
 * re-read. */
static void test_other_mount(void **state)
{
        _cleanup_(closep) int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), lease = -1;

        list_replace("1");
        assert_true(inotify_add_watch(fd, KERNEL_LIST_PATH, IN_MODIFY) >= 0);
        lease = open_list(O_RDWR);
        assert_int_equal(fcntl(lease, F_SETSIG, SIGURG), 0);
        assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
        child_wait(child_start(writes_through_other_mount, NULL));
        assert_int_equal(fcntl(lease, F_GETLEASE), F_WRLCK);
        assert_int_equal(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
        assert_false(has_event(fd));
        close(TAKE_FD(lease));
        assert_list("1,300\n");
}

/* Returns the port that bind() gave, or -errno. */
static int try_bind(int type, uint16_t port)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
        _cleanup_(closep) int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof(in);

        assert_true(fd >= 0);
        if (bind(fd, (struct sockaddr *) &in, sizeof(in)) < 0)
                return -errno;
        assert_int_equal(getsockname(fd, (struct sockaddr *) &in, &size), 0);
        return ntohs(in.sin_port);
}

/* The point of the list, and its limit. */
static void test_what_it_does(void **state)
{
        const int types[] = { SOCK_STREAM, SOCK_DGRAM };
        uint16_t first, last;

        {
                _cleanup_(closep) int fd = open(EPHEMERAL_RANGE_PATH, O_WRONLY | O_CLOEXEC);

                assert_true(write(fd, "40000 40003", 11) == 11);
        }
        assert_int_equal(ephemeral_range_read(&first, &last), 0);
        assert_int_equal(first, 40000);
        assert_int_equal(last, 40003);

        list_replace("40000-40001,40003");
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                for (unsigned k = 0; k < 20; k++)
                        assert_int_equal(try_bind(types[i], 0), 40002);
                assert_int_equal(try_bind(types[i], 40001), 40001);
        }
        list_replace("40000-40003");
        assert_int_equal(try_bind(SOCK_STREAM, 0), -EADDRINUSE);
        list_replace("\n");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_starts_empty),
                cmocka_unit_test(test_offset_decides),
                cmocka_unit_test(test_short_write),
                cmocka_unit_test(test_full_chunk),
                cmocka_unit_test(test_one_read),
                cmocka_unit_test(test_rejected),
                cmocka_unit_test(test_empty_write),
                cmocka_unit_test(test_inotify),
                cmocka_unit_test(test_lease),
                cmocka_unit_test(test_other_mount),
                cmocka_unit_test_teardown(test_lease_needs_capability, as_root),
                cmocka_unit_test_teardown(test_writing_needs_capability, as_root),
                cmocka_unit_test(test_what_it_does),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
