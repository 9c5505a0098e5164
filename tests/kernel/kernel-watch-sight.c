/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the watch sees late, or not at all: events that are lost, rows that a dump misses, what costs too
 * much. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "watch-util.h"

/* More events than the buffer holds: noticed, looked again, and the end is told all the same. */
static void test_lost_events(void **state)
{
        _cleanup_(closep) int squatter = -1;
        Fixture *f = start_with_squatter(state, &squatter);

        assert_int_equal(watch_stats(f->watch)->diag->overruns, 0);
        set_option(f->watch->events_fd, SOL_SOCKET, SO_RCVBUF, 1);
        for (unsigned i = 0; i < 2000; i++) {
                int fd = socket_for("127.0.0.1", SOCK_DGRAM);

                assert_int_equal(try_bind(fd, "127.0.0.1", 31000), 0);
                close(fd);
        }
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, watch_stats(f->watch)->diag->overruns > 0);
        LOOP_UNTIL(f, f->n_end == 1 && f->n_well == 1);
        assert_int_equal(f->n_degraded, 1);
}

#define STEADY 900
#define CHURN  60

/* Sockets that come and go before the steady ones in their bucket of the kernel's table, at an
 * address that is nobody's business. */
static pid_t start_churn(void)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
                int fds[CHURN];

                for (unsigned i = 0; i < CHURN; i++) {
                        fds[i] = socket_for("127.0.0.2", SOCK_DGRAM);
                        set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
                        assert_int_equal(try_bind(fds[i], "127.0.0.2", 31000), 0);
                }
                for (unsigned i = 0; i < CHURN; i++)
                        close(fds[i]);
        }
}

/* Dumps miss rows while others come and go: that ends no collision, however often. */
static void test_churn(void **state)
{
        time_t end = time(NULL) + 20;
        struct rlimit limit;
        int fds[STEADY];
        const WatchStats *s;
        unsigned freed;
        pid_t churn;
        Fixture *f;

        need_cgroups();
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        f = start(state, "[web]\nListenDatagram=127.0.0.1:31000\nHold=none\n[Daemon]\n"
                         "ScanIntervalSec=50ms\nScanBudgetPercent=100\n");
        enter("thief.service");
        for (unsigned i = 0; i < STEADY; i++) {
                fds[i] = socket_for("127.0.0.1", SOCK_DGRAM);
                set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
                assert_int_equal(try_bind(fds[i], "127.0.0.1", 31000), 0);
        }
        enter(NULL);
        assert_int_equal(watch_sweep(f->watch), 0);
        s = watch_stats(f->watch);
        LOOP_UNTIL(f, f->n_begin == STEADY);

        churn = start_churn();
        for (unsigned i = 0; i < 200 || (s->missed < 20 && time(NULL) < end); i++)
                assert_true(sd_event_run(f->event, 100000) >= 0);
        assert_int_equal(kill(churn, SIGKILL), 0);
        assert_int_equal(waitpid(churn, NULL, 0), churn);
        s = watch_stats(f->watch);
        print_message("%u of %u rows missed and found again\n", (unsigned) s->missed,
                      (unsigned) s->diag->rows);
        assert_int_equal(f->n_begin, STEADY);
        assert_int_equal(f->n_end, 0);

        /* What has gone ends all the same, without the churn's help. */
        freed = f->n_freed;
        for (unsigned i = 0; i < STEADY; i++)
                close(fds[i]);
        LOOP_UNTIL(f, f->n_end == STEADY && f->n_freed > freed);
        assert_int_equal(watch_count(f->watch), 0);
}

/* A dump without the row, and none of it is told: whoever is not told by an event either is there
 * until several dumps in a row agree. */
static void test_missed_row(void **state)
{
        _cleanup_(closep) int squatter = -1;
        Fixture *f = start_with_squatter(state, &squatter);
        CollisionEntry *x = collision_set_first(f->watch->set);

        for (unsigned i = 0; i < 2; i++) {
                /* A pass that saw all states, and nobody. */
                Pass p = { .generation = ++f->watch->generation, .saw_rest = true };

                assert_true(watch_conclude(f->watch, &p));
                assert_ptr_equal(collision_set_first(f->watch->set), x);
        }
        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(watch_stats(f->watch)->missed, 1);
        assert_int_equal(f->n_told, 1);
        for (unsigned i = 0; f->n_end == 0; i++) {
                Pass p = { .generation = ++f->watch->generation, .saw_rest = true };

                assert_true(i < 10);
                (void) watch_conclude(f->watch, &p);
        }
}

/* A look that does not ask for bound sockets says nothing of those who only bound. */
static void test_bound_out_of_sight(void **state)
{
        _cleanup_(closep) int owner = -1, squatter = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, "[web]\nPorts=31000/tcp\n[other]\nPorts=31001/tcp\n");
        if (!watch_stats(f->watch)->bound_inactive) {
                print_message("kernel without TCP_BOUND_INACTIVE (6.8)\n");
                skip();
        }
        enter("web.service");
        owner = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_STREAM, 31001);
        enter(NULL);
        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(f->n_owner_bound, 1);
        assert_int_equal(f->n_begin, 1);

        close(owner);
        owner = -1;
        close(squatter);
        squatter = -1;
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(watch_look(f->watch), 0);
        assert_int_equal(f->n_owner_bound, 4);
        assert_int_equal(f->n_owner_gone, 0);
        assert_int_equal(f->n_end, 0);

        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(f->n_owner_gone, 1);
        LOOP_UNTIL(f, f->n_end == 1);
}

/* Nobody makes us remember more than so many. */
static void test_cap(void **state)
{
        struct rlimit limit;
        int fds[1500];
        Fixture *f;

        need_cgroups();
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        f = start(state, CONFIG_31000);
        enter("thief.service");
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = socket_for("127.0.0.1", SOCK_DGRAM);
                set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
                assert_int_equal(try_bind(fds[i], "127.0.0.1", 31000), 0);
        }
        enter(NULL);
        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(watch_count(f->watch), COLLISIONS_PER_RESERVATION_MAX);
        assert_int_equal(watch_stats(f->watch)->dropped, 500);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
        LOOP_UNTIL(f, watch_count(f->watch) == 0);
        assert_int_equal(f->n_begin, f->n_end);
}

static uint64_t cpu_usec(void)
{
        struct timespec ts;

        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts), 0);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* Full sweeps cost at most ScanBudgetPercent= of a CPU, however short the interval is. */
static void test_budget(void **state)
{
        Fixture *f = start(state, "[web]\nPorts=31000\n[Daemon]\nScanIntervalSec=50ms\n"
                                  "ScanBudgetPercent=1\n");
        const WatchStats *s = watch_stats(f->watch);
        uint64_t begin, cost, looks, least = UINT64_MAX, its_interval = 0;

        for (int i = 0; i < 20; i++) {
                begin = cpu_usec();
                assert_int_equal(watch_sweep(f->watch), 0);
                cost = cpu_usec() - begin;
                assert_true(s->sweep_interval_usec >= 50000);
                assert_true(s->sweep_interval_usec <= MAX_OF(100 * cost, UINT64_C(50000)));
                if (cost < least) {
                        least = cost;
                        its_interval = s->sweep_interval_usec;
                }
        }
        /* Ours includes what theirs does not, and interrupts besides: a half for that, in the round
         * that had the fewest. */
        assert_true(its_interval >= 50 * least);

        /* And it is heeded: meanwhile there are looks only. */
        f->watch->pace.sweep = UINT64_MAX / 2;
        begin = s->sweeps;
        looks = s->looks;
        LOOP_UNTIL(f, s->looks >= looks + 3);
        assert_int_equal(s->sweeps, begin);
        f->watch->pace.sweep = 0;
        LOOP_UNTIL(f, s->sweeps > begin);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WATCH_TEST(test_lost_events), WATCH_TEST(test_churn),
                WATCH_TEST(test_missed_row),  WATCH_TEST(test_bound_out_of_sight),
                WATCH_TEST(test_cap),         WATCH_TEST(test_budget),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
