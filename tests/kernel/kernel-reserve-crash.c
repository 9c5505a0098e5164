/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reserve layer killed at every instant: before and after each system call of an apply and of a
 * release, by ptrace(2), and at random. Whoever comes next must find others' entries, byte for
 * byte, and ours to be ours. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ptrace.h>

#include <cmocka.h>

#include "reserve-util.h"

/* Others' entries: more text than one write takes, so that each removal is a rewrite in pieces. */
static void foreign_ports(PortSet *s)
{
        portset_clear(s);
        portset_add_run(s, 665, 1023);
        for (unsigned p = 30000; p < 32000; p += 2)
                portset_add(s, (uint16_t) p);
}

static void some_ports(PortSet *s, unsigned first, unsigned step)
{
        portset_clear(s);
        for (unsigned p = first; p < first + 2000; p += step)
                portset_add(s, (uint16_t) p);
}

/* Runs work in a child for so many stops at system calls, then kills it. False: it came to its end
 * before. */
static bool run_for(unsigned stops, void (*work)(void *), void *userdata)
{
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                child_require(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
                raise(SIGSTOP);
                work(userdata);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        for (unsigned i = 0; i < stops; i++) {
                assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (WIFEXITED(status)) {
                        assert_int_equal(WEXITSTATUS(status), 0);
                        return false;
                }
                assert_true(WIFSTOPPED(status));
        }
        child_kill(pid);
        return true;
}

static void apply_other(void *userdata)
{
        PortSet ours;

        /* Drops most of what was ours, adds some. */
        some_ports(&ours, 11000, 7);
        fixture_start(userdata);
        child_require(reserve_apply(((Fixture *) userdata)->reserve, &ours) == 0);
}

static void release(void *userdata)
{
        child_require(reserve_release(((Fixture *) userdata)->directory) == 0);
}

/* Counts in *cut the crashes that left others' entries out of the list: without any, this tested
 * nothing. */
static bool crash_once(Fixture *f, unsigned stops, void (*work)(void *), unsigned *cut)
{
        PortSet foreign, ours, now, want;
        bool killed;

        foreign_ports(&foreign);
        list_set(&foreign);
        some_ports(&ours, 10000, 3);
        fixture_start(f);
        assert_int_equal(reserve_apply(f->reserve, &ours), 0);
        fixture_stop(f);

        killed = run_for(stops, work, f);
        assert_int_equal(kernel_list_read(&now), 0);
        *cut += !portset_contains(&now, &foreign);

        if (stops % 2) {
                some_ports(&ours, 11500, 5);
                want = foreign;
                portset_unite(&want, &ours);
                fixture_start(f);
                assert_int_equal(reserve_apply(f->reserve, &ours), 0);
                assert_list_is(&want);
                fixture_stop(f);
        }
        assert_int_equal(reserve_release(f->directory), 0);
        assert_list_is(&foreign);
        assert_false(fixture_has(f, RUNTIME_OURS));
        assert_false(fixture_has(f, RUNTIME_REWRITE));
        return killed;
}

static void crash_everywhere(Fixture *f, void (*work)(void *))
{
        unsigned stops, cut = 0;

        /* Nothing happens between the end of one call and the start of the next, so each state is
         * met twice: at an even stop and at an odd one, which are taken up differently. */
        for (stops = 0; crash_once(f, stops, work, &cut); stops++)
                assert_true(stops < 5000);
        assert_true(stops > 20);
        assert_true(cut > 0);
        print_message("# %u instants, %u of them with others' entries out\n", stops, cut);
}

static void test_apply(void **state)
{
        crash_everywhere(*state, apply_other);
}

static void test_release(void **state)
{
        crash_everywhere(*state, release);
}

static _Noreturn void applies_for_ever(void *userdata)
{
        Fixture *f = userdata;
        PortSet ours;

        srandom((unsigned) getpid());
        for (;;) {
                fixture_start(f);
                for (unsigned i = 0; i < 3; i++) {
                        some_ports(&ours, 10000 + (unsigned) random() % 2000,
                                   2 + (unsigned) random() % 50);
                        child_require(reserve_apply(f->reserve, &ours) == 0);
                }
                fixture_stop(f);
        }
}

static void test_random_kills(void **state)
{
        PortSet foreign, ours, want;
        Fixture *f = *state;

        srandom(1969);
        foreign_ports(&foreign);
        list_set(&foreign);
        for (unsigned i = 0; i < 60; i++) {
                pid_t pid = child_start(applies_for_ever, f);

                usleep((useconds_t) (random() % 20000));
                child_kill(pid);
                if (i % 4 == 0) {
                        assert_int_equal(reserve_release(f->directory), 0);
                        assert_list_is(&foreign);
                } else {
                        some_ports(&ours, 10000 + (unsigned) random() % 2000, 3);
                        want = foreign;
                        portset_unite(&want, &ours);
                        fixture_start(f);
                        assert_int_equal(reserve_apply(f->reserve, &ours), 0);
                        assert_list_is(&want);
                        fixture_stop(f);
                }
        }
        assert_int_equal(reserve_release(f->directory), 0);
        assert_list_is(&foreign);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                FIXTURE_TEST_AS_DAEMON(test_apply),
                FIXTURE_TEST_AS_DAEMON(test_release),
                FIXTURE_TEST_AS_DAEMON(test_random_kills),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
