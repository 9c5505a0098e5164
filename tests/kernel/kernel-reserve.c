/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reserve layer on a real event loop and a real list: apply, release, drift, what cannot be
 * written. Each as root and as the daemon. Crashes are in kernel-reserve-crash.c. */

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "reserve-util.h"

static void test_apply_and_release(void **state)
{
        Fixture *f = *state;
        PortSet foreign, ours, want;

        srandom(1);
        for (unsigned i = 0; i < 60; i++) {
                random_ports(&foreign, i % 3 ? 20 : 1200, 2);
                list_set(&foreign);
                fixture_start(f);
                for (unsigned k = 0; k < 3; k++) {
                        random_ports(&ours, k % 2 ? 10 : 900, 3);
                        portset_subtract(&ours, &foreign);
                        assert_int_equal(reserve_apply(f->reserve, &ours), 0);
                        want = foreign;
                        portset_unite(&want, &ours);
                        assert_list_is(&want);
                        for (unsigned port = 0; port < PORTSET_PORTS; port++)
                                assert_true(reserve_has(f->reserve, (uint16_t) port) ==
                                            portset_has(&want, (uint16_t) port));
                        assert_true(portset_equal(reserve_foreign(f->reserve), &foreign));
                        /* A restart changes nothing. */
                        if (k == 1) {
                                fixture_stop(f);
                                assert_list_is(&want);
                                fixture_start(f);
                                assert_int_equal(reserve_apply(f->reserve, &ours), 0);
                                assert_list_is(&want);
                        }
                }
                fixture_stop(f);
                assert_int_equal(reserve_release(f->directory), 0);
                assert_list_is(&foreign);
                assert_false(fixture_has(f, RUNTIME_OURS));
                assert_false(fixture_has(f, RUNTIME_REWRITE));
        }
        assert_int_equal(f->drifts, 0);
        assert_int_equal(f->writables, 0);
}

static void test_release_nothing(void **state)
{
        Fixture *f = *state;

        list_replace("1");
        assert_int_equal(reserve_release(f->directory), 0);
        assert_list("1\n");
}

/* Cannot be told apart, and goes with ours. */
static void test_foreign_and_ours(void **state)
{
        Fixture *f = *state;

        list_replace("8079,8080");
        fixture_start(f);
        fixture_apply(f, "8080-8081");
        assert_list("8079-8081\n");
        assert_false(portset_has(reserve_foreign(f->reserve), 8080));
        assert_true(reserve_has(f->reserve, 8080));
        assert_false(reserve_has(f->reserve, 8082));
        fixture_stop(f);
        assert_int_equal(reserve_release(f->directory), 0);
        assert_list("8079\n");
}

static bool foreign_is_one(Fixture *f)
{
        return portset_has(reserve_foreign(f->reserve), 1);
}

static void test_clobber(void **state)
{
        Fixture *f = *state;

        list_replace("665-1023");
        fixture_start(f);
        fixture_apply(f, "8080,9000-9009");
        list_replace("1");
        fixture_run_until(f, foreign_is_one);
        assert_list("1,8080,9000-9009\n");
        assert_int_equal(f->drifts, 1);
        assert_int_equal(f->drift_error, 0);
        assert_int_equal(portset_count(&f->missing), 11);
        assert_int_equal(portset_count(&f->found), 1);
        assert_true(portset_has(&f->found, 1));
        assert_int_equal(reserve_drifts(f->reserve), 1);

        /* What they wrote is theirs now, and stays. */
        fixture_stop(f);
        assert_int_equal(reserve_release(f->directory), 0);
        assert_list("1\n");
}

static void test_others_add(void **state)
{
        Fixture *f = *state;

        fixture_start(f);
        fixture_apply(f, "8080");
        list_or("1");
        fixture_run_until(f, foreign_is_one);
        assert_list("1,8080\n");
        assert_int_equal(f->drifts, 0);
        assert_int_equal(reserve_drifts(f->reserve), 0);
}

static bool repaired_once(Fixture *f)
{
        return reserve_drifts(f->reserve) == 1 && reserve_has(f->reserve, 8080);
}

static bool repaired_twice(Fixture *f)
{
        return reserve_drifts(f->reserve) == 2 && reserve_has(f->reserve, 8080);
}

static void test_told_once(void **state)
{
        Fixture *f = *state;

        fixture_start(f);
        fixture_apply(f, "8080-8081");
        list_replace("1");
        fixture_run_until(f, repaired_once);
        list_replace("1");
        fixture_run_until(f, repaired_twice);
        assert_int_equal(f->drifts, 1);
        assert_list("1,8080-8081\n");
}

/* Ports that are not wanted any more are missed by nobody. */
static void test_dropped_is_no_drift(void **state)
{
        Fixture *f = *state;

        fixture_start(f);
        fixture_apply(f, "8080-8081");
        fixture_apply(f, "8080");
        list_replace("1,8080");
        fixture_run_until(f, foreign_is_one);
        assert_int_equal(f->drifts, 0);
}

static void test_drift_while_away(void **state)
{
        Fixture *f = *state;

        fixture_start(f);
        fixture_apply(f, "8080-8081");
        fixture_stop(f);
        list_replace("1,8081");
        fixture_start(f);
        fixture_apply(f, "8080-8081");
        assert_list("1,8080-8081\n");
        assert_int_equal(f->drifts, 1);
        assert_int_equal(portset_count(&f->missing), 1);
}

static _Noreturn void fights(void *userdata)
{
        unsigned *clobbers = userdata;

        for (;;) {
                int fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);

                child_require(fd >= 0);
                child_require(write(fd, "1", 1) == 1);
                close(fd);
                __atomic_add_fetch(clobbers, 1, __ATOMIC_RELAXED);
                usleep(10000);
        }
}

static bool fought_long_enough(Fixture *f)
{
        return __atomic_load_n(f->clobbers, __ATOMIC_RELAXED) >= 150;
}

/* By the list itself: what was read last may be from before the last clobber. */
static bool is_back(Fixture *f)
{
        char now[PORTSET_TEXT_MAX];

        list_text(now);
        return strcmp(now, "1,8080\n") == 0;
}

static void test_fight(void **state)
{
        Fixture *f = *state;
        pid_t pid;

        fixture_start(f);
        fixture_apply(f, "8080");
        pid = child_start(fights, f->clobbers);
        fixture_run_until(f, fought_long_enough);
        child_kill(pid);
        assert_true(reserve_drifts(f->reserve) >= 2);
        assert_int_equal(f->drifts, 1);
        fixture_run_until(f, is_back);
        assert_list("1,8080\n");
        assert_int_equal(f->drifts, 1);
        assert_int_equal(f->writables, 0);
}

/* Who writes as fast as he can is answered each 5 ms, and does not keep us busy. */
static _Noreturn void fights_hard(void *userdata)
{
        for (;;) {
                int fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);

                child_require(fd >= 0);
                child_require(write(fd, "1", 1) == 1);
                close(fd);
                __atomic_add_fetch((unsigned *) userdata, 1, __ATOMIC_RELAXED);
        }
}

static void test_hard_fight(void **state)
{
        uint64_t begin = now_usec(CLOCK_MONOTONIC), passed;
        Fixture *f = *state;
        unsigned drifts;
        pid_t pid;

        fixture_start(f);
        fixture_apply(f, "8080");
        pid = child_start(fights_hard, f->clobbers);
        do {
                assert_true(sd_event_run(f->event, 10000) >= 0);
                passed = now_usec(CLOCK_MONOTONIC) - begin;
        } while (passed < USEC_PER_SEC / 2 || reserve_drifts(f->reserve) < 10);
        child_kill(pid);
        drifts = reserve_drifts(f->reserve);
        assert_true(drifts <= passed / (5 * USEC_PER_MSEC) + 20);
        assert_int_equal(f->drifts, 1);
        fixture_run_until(f, is_back);
}

/* Who has another mount of procfs is not seen by inotify. */
static _Noreturn void clobbers_elsewhere(void *userdata)
{
        int fd;

        child_require(seteuid(0) == 0);
        child_require(unshare(CLONE_NEWNS) == 0);
        child_require(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        child_require(mount("proc", "/proc", "proc", 0, NULL) == 0);
        fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);
        child_require(fd >= 0);
        child_require(write(fd, "1", 1) == 1);
        _exit(0);
}

static void test_other_procfs(void **state)
{
        Fixture *f = *state;

        fixture_start(f);
        fixture_apply(f, "8080");
        child_wait(child_start(clobbers_elsewhere, NULL));
        fixture_run_until(f, repaired_once);
        assert_list("1,8080\n");
        assert_int_equal(f->drifts, 1);
}

/* Removing waits until nobody has the file open; adding does not, and releasing does not either. */

static bool is_gone(Fixture *f)
{
        return !reserve_has(f->reserve, 8080);
}

static void test_open_elsewhere(void **state)
{
        Fixture *f = *state;
        int other;

        list_replace("1");
        fixture_start(f);
        fixture_apply(f, "8080");
        other = open(KERNEL_LIST_PATH, O_RDONLY | O_CLOEXEC);
        fixture_apply(f, "8081");
        assert_list("1,8080-8081\n");
        close(other);
        fixture_run_until(f, is_gone);
        assert_list("1,8081\n");
        assert_int_equal(f->writables, 0);
        fixture_stop(f);

        other = open(KERNEL_LIST_PATH, O_RDONLY | O_CLOEXEC);
        assert_int_equal(reserve_release(f->directory), 0);
        assert_list("1\n");
        close(other);
}

static bool dir_is_back(Fixture *f)
{
        return fixture_has(f, RUNTIME_OURS);
}

static void test_directory_deleted(void **state)
{
        Fixture *f = *state;

        list_replace("1");
        fixture_start(f);
        fixture_apply(f, "8080");
        fixture_remove(f);
        fixture_run_until(f, dir_is_back);
        /* Again: the new one is watched too. */
        fixture_remove(f);
        fixture_run_until(f, dir_is_back);
        fixture_stop(f);
        assert_int_equal(reserve_release(f->directory), 0);
        assert_list("1\n");
}

/* Without a record nothing is ours but what is configured. */
static void test_bad_record(void **state)
{
        static const char *const bad[] = { "", "8080\n", "8080", "8080\nnamespace ",
                                           "x\nnamespace 1 2\n" };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                list_replace("1,8080");
                fixture_write(f, RUNTIME_OURS, bad[i]);
                assert_int_equal(reserve_release(f->directory), -EBADMSG);
                assert_list("1,8080\n");

                fixture_start(f);
                fixture_apply(f, "9000");
                assert_list("1,8080,9000\n");
                fixture_stop(f);
                assert_int_equal(reserve_release(f->directory), 0);
                assert_list("1,8080\n");
        }
}

/* A runtime directory that outlives its namespace, as in a container. */
static void works_in_new_namespace(void *userdata)
{
        Fixture *f = userdata;
        int fd;

        child_require(seteuid(0) == 0 && unshare(CLONE_NEWNET) == 0);
        fd = open(KERNEL_LIST_PATH, O_WRONLY | O_CLOEXEC);
        child_require(write(fd, "1,8080", 6) == 6);
        close(fd);
        child_require(reserve_release(f->directory) == 0);
        fixture_start(f);
        fixture_apply(f, "9000");
        assert_list("1,8080,9000\n");
        fixture_stop(f);
        child_require(reserve_release(f->directory) == 0);
        assert_list("1,8080\n");
        child_require(f->drifts == 0);
}

static void test_other_namespace(void **state)
{
        Fixture *f = *state;

        fixture_start(f);
        fixture_apply(f, "8080");
        fixture_stop(f);
        child_wait(child_start(works_in_new_namespace, f));
        assert_list("8080\n");
}

/* What cannot be written now, and then can. */

static bool is_writable(Fixture *f)
{
        return f->writable_error == 0;
}

static void own_mounts(void)
{
        child_require(seteuid(0) == 0 && unshare(CLONE_NEWNS) == 0);
        child_require(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static void works_read_only(void *userdata)
{
        Fixture *f = userdata;

        own_mounts();
        child_require(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) == 0);
        child_require(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
        fixture_start(f);
        fixture_apply(f, "8080");
        child_require(f->writables == 1 && f->writable_error == -EROFS);
        child_require(reserve_error(f->reserve) == -EROFS);
        child_require(!reserve_has(f->reserve, 8080));
        fixture_apply(f, "8081");
        child_require(f->writables == 1);

        /* Nothing that never got in is recorded as ours. */
        fixture_stop(f);
        child_require(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
        list_or("8080-8081");
        child_require(reserve_release(f->directory) == 0);
        assert_list("1,8080-8081\n");
        list_replace("1");

        child_require(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
        fixture_start(f);
        f->writables = 0;
        fixture_apply(f, "8081");
        child_require(f->writables == 1);
        child_require(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
        fixture_run_until(f, is_writable);
        child_require(f->writables == 2);
        assert_list("1,8081\n");
        child_require(f->drifts == 0);
        fixture_stop(f);
        child_require(reserve_release(f->directory) == 0);
}

static void test_read_only(void **state)
{
        list_replace("1");
        child_wait(child_start(works_read_only, *state));
        assert_list("1\n");
}

static void works_without_list(void *userdata)
{
        Fixture *f = userdata;

        own_mounts();
        child_require(mount("none", "/proc/sys/net", "tmpfs", 0, NULL) == 0);
        fixture_start(f);
        fixture_apply(f, "8080");
        child_require(f->writables == 1 && f->writable_error == -ENOENT);
        child_require(umount("/proc/sys/net") == 0);
        fixture_run_until(f, is_writable);
        assert_list("1,8080\n");
        fixture_stop(f);
        child_require(reserve_release(f->directory) == 0);
}

static void test_no_list(void **state)
{
        list_replace("1");
        child_wait(child_start(works_without_list, *state));
        assert_list("1\n");
}

/* As in a user namespace. */
static void test_not_allowed(void **state)
{
        Fixture *f = *state;

        assert_int_equal(as_nobody(NULL), 0);
        fixture_start(f);
        fixture_apply(f, "8080");
        assert_int_equal(f->writables, 1);
        assert_int_equal(f->writable_error, -EACCES);
        assert_int_equal(as_root(NULL), 0);
        assert_int_equal(as_daemon(NULL), 0);
        fixture_run_until(f, is_writable);
        assert_true(reserve_has(f->reserve, 8080));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                FIXTURE_TEST(test_apply_and_release),
                FIXTURE_TEST(test_release_nothing),
                FIXTURE_TEST(test_foreign_and_ours),
                FIXTURE_TEST(test_clobber),
                FIXTURE_TEST(test_others_add),
                FIXTURE_TEST(test_told_once),
                FIXTURE_TEST(test_dropped_is_no_drift),
                FIXTURE_TEST(test_drift_while_away),
                FIXTURE_TEST(test_fight),
                FIXTURE_TEST(test_hard_fight),
                FIXTURE_TEST(test_other_procfs),
                FIXTURE_TEST(test_open_elsewhere),
                FIXTURE_TEST(test_directory_deleted),
                FIXTURE_TEST(test_bad_record),
                FIXTURE_TEST(test_other_namespace),
                FIXTURE_TEST(test_read_only),
                FIXTURE_TEST(test_no_list),
                FIXTURE_TEST_AS_DAEMON(test_not_allowed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
