/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lib/kernel/kernel-list.c against the kernel's list of a fresh network namespace, as root and as
 * the daemon. */

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/inotify.h>

#include <cmocka.h>

#include "list-util.h"

/* Adds ours to foreign and takes it out again: in between the union, afterwards foreign, byte for
 * byte. */
static void round_trip(const PortSet *foreign, const PortSet *ours)
{
        PortSet both = *foreign, rest = *foreign, now;
        char before[PORTSET_TEXT_MAX];

        list_set(foreign);
        list_text(before);
        assert_int_equal(kernel_list_add(ours), 0);
        portset_unite(&both, ours);
        assert_list_is(&both);
        assert_int_equal(kernel_list_read(&now), 0);
        assert_true(portset_equal(&now, &both));

        assert_int_equal(kernel_list_remove(ours, NULL), 0);
        portset_subtract(&rest, ours);
        assert_list_is(&rest);
        if (portset_equal(&rest, foreign))
                assert_list(before);
}

static void test_random_sets(void **state)
{
        PortSet foreign, ours;

        srandom(19691029);
        for (unsigned i = 0; i < 220; i++) {
                /* Every third is scattered over more text than one write takes; half of them are
                 * apart. */
                random_ports(&foreign, (unsigned) random() % 40, 1 + (unsigned) random() % 300);
                random_ports(&ours, i % 3 ? (unsigned) random() % 60 : 1500,
                             1 + (unsigned) random() % (i % 3 ? 100 : 2));
                if (i % 2)
                        portset_subtract(&ours, &foreign);
                round_trip(&foreign, &ours);
        }
}

static void test_extremes(void **state)
{
        PortSet none = {}, all = {}, odd = {}, even = {}, few = {};

        portset_add_run(&all, 1, 65535);
        for (unsigned p = 1; p < 65536; p += 2) {
                portset_add(&odd, (uint16_t) p);
                portset_add(&even, (uint16_t) (p - 1));
        }
        portset_add_run(&few, 665, 1023);
        portset_add(&few, 65535);

        round_trip(&none, &all);
        round_trip(&none, &odd);
        round_trip(&few, &all);
        round_trip(&few, &odd);
        /* What stays is as long as it gets: sixty writes. */
        round_trip(&odd, &even);
        round_trip(&even, &odd);
        round_trip(&odd, &few);
        round_trip(&all, &all);
}

static void test_nothing_to_do(void **state)
{
        PortSet none = {}, some = {};

        portset_add_run(&some, 10, 20);
        list_replace("10-20,30");
        assert_int_equal(kernel_list_add(&none), 0);
        assert_int_equal(kernel_list_add(&some), 0);
        assert_int_equal(kernel_list_remove(&none, NULL), 0);
        assert_list("10-20,30\n");
        list_replace("30");
        assert_int_equal(kernel_list_remove(&some, NULL), 0);
        assert_list("30\n");
}

static void test_to_empty(void **state)
{
        PortSet s = {};

        portset_add(&s, 8080);
        list_replace("8080");
        assert_int_equal(kernel_list_remove(&s, NULL), 0);
        assert_list("\n");
}

/* Another program that adds its own ports, one each write, as fast as it can. */

#define RIVAL_FIRST 30000
#define RIVAL_LAST  49999

static void rival_adds(void *userdata)
{
        for (unsigned p = RIVAL_FIRST; p <= RIVAL_LAST; p++) {
                int fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);
                char text[8];
                int n = sprintf(text, "%u", p);

                child_require(fd >= 0);
                child_require(pwrite(fd, text, (size_t) n, 1) == n);
                close(fd);
        }
}

static void test_rival(void **state)
{
        PortSet rival = {}, fixed = {}, ours, now;
        unsigned changes = 0;
        int status;
        pid_t pid;

        srandom(4711);
        portset_add_run(&rival, RIVAL_FIRST, RIVAL_LAST);
        portset_add_run(&fixed, 665, 1023);
        list_set(&fixed);

        pid = child_start(rival_adds, NULL);
        while (waitpid(pid, &status, WNOHANG) == 0) {
                /* Now a few ports, now more than a write takes, so that what stays does too. */
                random_ports(&ours, changes % 2 ? 10 : 1200, 2);
                portset_subtract(&ours, &rival);
                portset_subtract(&ours, &fixed);

                assert_int_equal(kernel_list_add(&ours), 0);
                assert_int_equal(kernel_list_read(&now), 0);
                assert_true(portset_contains(&now, &ours));
                assert_true(portset_contains(&now, &fixed));
                assert_int_equal(kernel_list_remove(&ours, NULL), 0);
                assert_int_equal(kernel_list_read(&now), 0);
                portset_intersect(&ours, &now);
                assert_true(portset_empty(&ours));
                assert_true(portset_contains(&now, &fixed));
                changes++;
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_true(changes >= 3);

        /* None of theirs was lost, none of ours is left. */
        portset_unite(&rival, &fixed);
        assert_list_is(&rival);
}

/* Two of us: neither may starve or undo the other. */
static void peer_changes(void *userdata)
{
        PortSet ours = {};

        for (unsigned p = 20001; p < 23000; p += 2)
                portset_add(&ours, (uint16_t) p);
        for (unsigned i = 0; i < 100; i++) {
                int r;

                while ((r = kernel_list_add(&ours)) == -EAGAIN)
                        ;
                child_require(r == 0);
                while ((r = kernel_list_remove(&ours, NULL)) == -EAGAIN)
                        ;
                child_require(r == 0);
        }
}

static void test_two_of_us(void **state)
{
        PortSet fixed = {}, ours = {}, now;
        int status, r;
        pid_t pid;

        for (unsigned p = 20000; p < 23000; p += 2)
                portset_add(&ours, (uint16_t) p);
        portset_add_run(&fixed, 1, 10);
        list_set(&fixed);

        pid = child_start(peer_changes, NULL);
        while (waitpid(pid, &status, WNOHANG) == 0) {
                while ((r = kernel_list_add(&ours)) == -EAGAIN)
                        ;
                assert_int_equal(r, 0);
                while ((r = kernel_list_read(&now)) == -EAGAIN)
                        ;
                assert_int_equal(r, 0);
                assert_true(portset_contains(&now, &ours));
                while ((r = kernel_list_remove(&ours, NULL)) == -EAGAIN)
                        ;
                assert_int_equal(r, 0);
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_list_is(&fixed);
}

/* Somebody keeps the file open: adding goes ahead, removing says so and touches nothing. */
static void test_open_elsewhere(void **state)
{
        const KernelListRemove force = { .force = true };
        PortSet ours = {};
        int other;

        portset_add_run(&ours, 5000, 5010);
        list_replace("1");
        other = open(KERNEL_LIST_PATH, O_RDONLY | O_CLOEXEC);
        assert_true(other >= 0);

        assert_int_equal(kernel_list_add(&ours), 0);
        assert_list("1,5000-5010\n");
        assert_int_equal(kernel_list_remove(&ours, NULL), -EAGAIN);
        assert_list("1,5000-5010\n");
        assert_int_equal(kernel_list_remove(&ours, &force), 0);
        assert_list("1\n");

        assert_int_equal(kernel_list_add(&ours), 0);
        close(other);
        assert_int_equal(kernel_list_remove(&ours, NULL), 0);
        assert_list("1\n");
}

/* Somebody has a lease: nothing may hang until it is broken, 45 s later. */
static void test_lease_elsewhere(void **state)
{
        PortSet ours = {}, now;
        int other;

        portset_add(&ours, 5000);
        list_replace("1");
        other = open(KERNEL_LIST_PATH, O_RDWR | O_CLOEXEC);
        assert_true(other >= 0);
        assert_int_equal(fcntl(other, F_SETSIG, SIGURG), 0);
        assert_int_equal(fcntl(other, F_SETLEASE, F_WRLCK), 0);

        assert_int_equal(kernel_list_read(&now), -EAGAIN);
        assert_int_equal(kernel_list_add(&ours), -EAGAIN);
        assert_int_equal(kernel_list_remove(&ours, NULL), -EAGAIN);

        close(other);
        assert_int_equal(kernel_list_add(&ours), 0);
        assert_list("1,5000\n");
        assert_int_equal(kernel_list_remove(&ours, NULL), 0);
        assert_list("1\n");
}

/* Who opens the file while we hold the lease must not kill us with a signal. */
static _Noreturn void opens_all_the_while(void *userdata)
{
        for (;;) {
                int fd = open(KERNEL_LIST_PATH, O_RDONLY | O_CLOEXEC);

                child_require(fd >= 0);
                close(fd);
        }
}

static void test_signals(void **state)
{
        PortSet ours = {};
        pid_t pid;

        for (unsigned p = 1; p < 20000; p += 2)
                portset_add(&ours, (uint16_t) p);
        list_replace("2");
        pid = child_start(opens_all_the_while, NULL);
        for (unsigned i = 0; i < 50; i++) {
                int r;

                assert_int_equal(kernel_list_add(&ours), 0);
                while ((r = kernel_list_remove(&ours, NULL)) == -EAGAIN)
                        ;
                assert_int_equal(r, 0);
        }
        child_kill(pid);
        assert_list("2\n");
}

/* Told before a rewrite that takes more than one write, and before no other. */

typedef struct Prepared {
        unsigned calls;
        PortSet keep;
        int result;
} Prepared;

static int prepare(const PortSet *keep, void *userdata)
{
        Prepared *p = userdata;

        p->calls++;
        p->keep = *keep;
        return p->result;
}

static void test_prepare(void **state)
{
        Prepared p = { .result = -ENOSPC };
        const KernelListRemove how = { .prepare = prepare, .userdata = &p };
        PortSet keep = {}, ours = {}, both;

        portset_add(&ours, 5000);
        list_replace("1,5000");
        assert_int_equal(kernel_list_remove(&ours, &how), 0);
        assert_int_equal(p.calls, 0);
        assert_list("1\n");

        for (unsigned i = 10000; i < 12000; i += 2)
                portset_add(&keep, (uint16_t) i);
        both = keep;
        portset_unite(&both, &ours);
        list_set(&both);
        assert_int_equal(kernel_list_remove(&ours, &how), -ENOSPC);
        assert_int_equal(p.calls, 1);
        assert_list_is(&both);
        p.result = 0;
        assert_int_equal(kernel_list_remove(&ours, &how), 0);
        assert_int_equal(p.calls, 2);
        assert_true(portset_equal(&p.keep, &keep));
        assert_list_is(&keep);
}

static void test_not_allowed(void **state)
{
        PortSet ours = {}, there = {}, now;

        portset_add(&ours, 5000);
        portset_add(&there, 1);
        assert_int_equal(as_root(NULL), 0);
        list_replace("1");
        assert_int_equal(as_nobody(NULL), 0);

        assert_int_equal(kernel_list_add(&ours), -EACCES);
        assert_int_equal(kernel_list_remove(&there, NULL), -EACCES);
        assert_int_equal(kernel_list_read(&now), 0);
        assert_true(portset_equal(&now, &there));
}

static void own_mounts(void)
{
        child_require(unshare(CLONE_NEWNS) >= 0);
        child_require(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) >= 0);
}

static void works_read_only(void *userdata)
{
        PortSet ours = {}, there = {}, now;

        own_mounts();
        child_require(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) >= 0);
        child_require(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) >= 0);
        portset_add(&ours, 5000);
        portset_add(&there, 1);
        child_require(kernel_list_add(&ours) == -EROFS);
        child_require(kernel_list_remove(&there, NULL) == -EROFS);
        child_require(kernel_list_read(&now) == 0);
        child_require(portset_equal(&now, &there));
}

static void test_read_only(void **state)
{
        list_replace("1");
        child_wait(child_start(works_read_only, NULL));
        assert_list("1\n");
}

static void works_without(void *userdata)
{
        PortSet ours = {}, now;

        own_mounts();
        child_require(mount("none", "/proc/sys/net", "tmpfs", 0, NULL) >= 0);
        portset_add(&ours, 5000);
        child_require(kernel_list_add(&ours) == -ENOENT);
        child_require(kernel_list_remove(&ours, NULL) == -ENOENT);
        child_require(kernel_list_read(&now) == -ENOENT);
}

static void test_no_list(void **state)
{
        child_wait(child_start(works_without, NULL));
}

static void test_ephemeral_range(void **state)
{
        _cleanup_(closep) int fd = open(EPHEMERAL_RANGE_PATH, O_WRONLY | O_CLOEXEC);
        uint16_t first, last;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, "32768 60999", 11), 11);
        assert_int_equal(ephemeral_range_read(&first, &last), 0);
        assert_int_equal(first, 32768);
        assert_int_equal(last, 60999);
}

/* Standard input that is the list: that file is meant then, a lease is granted beside it, and
 * inotify sees who writes there. */
static void test_adopt(void **state)
{
        PortSet ours = {}, none = {};
        int fd, saved;

        saved = dup(STDIN_FILENO);
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
        close(fd);
        assert_int_equal(kernel_list_adopt(), 0);
        fd = open(EPHEMERAL_RANGE_PATH, O_RDONLY | O_CLOEXEC);
        assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
        close(fd);
        assert_int_equal(kernel_list_adopt(), 0);
        assert_string_equal(kernel_list_path(), KERNEL_LIST_PATH);

        fd = open(KERNEL_LIST_PATH, O_RDONLY | O_CLOEXEC);
        assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
        close(fd);
        assert_int_equal(kernel_list_adopt(), 1);
        assert_string_not_equal(kernel_list_path(), KERNEL_LIST_PATH);

        portset_add_run(&ours, 48121, 48123);
        list_set(&none);
        assert_int_equal(kernel_list_add(&ours), 0);
        assert_list_is(&ours);
        /* Refused with -EAGAIN, were standard input still open on it. */
        assert_int_equal(kernel_list_remove(&ours, NULL), 0);
        assert_list_is(&none);

        fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        assert_true(inotify_add_watch(fd, kernel_list_path(), IN_MODIFY) >= 0);
        list_set(&ours);
        assert_true(read(fd, (char[4096]){}, 4096) > 0);
        close(fd);
        assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
        close(saved);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_sets),
                TEST_AS(test_random_sets, as_daemon),
                TEST_AS(test_random_sets, as_daemon_without_lease),
                cmocka_unit_test(test_extremes),
                TEST_AS(test_extremes, as_daemon),
                TEST_AS(test_extremes, as_daemon_without_lease),
                TEST_AS(test_nothing_to_do, as_daemon),
                cmocka_unit_test(test_to_empty),
                TEST_AS(test_to_empty, as_daemon),
                cmocka_unit_test(test_rival),
                TEST_AS(test_rival, as_daemon),
                TEST_AS(test_two_of_us, as_daemon),
                TEST_AS(test_open_elsewhere, as_daemon),
                TEST_AS(test_lease_elsewhere, as_daemon),
                TEST_AS(test_signals, as_daemon),
                TEST_AS(test_prepare, as_daemon),
                TEST_AS(test_not_allowed, as_nobody),
                cmocka_unit_test(test_read_only),
                cmocka_unit_test(test_no_list),
                cmocka_unit_test(test_ephemeral_range),
                cmocka_unit_test(test_adopt), /* last: it stays so */
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
