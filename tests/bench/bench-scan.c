/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A part of bench_watch.py: a sweep and a look of the watch among the sockets of this network
 * namespace, each against a floor, in turn in one process. Medians.
 *
 * usage: bench-scan CONFIG SOCKETS     SOCKETS: how many there are, for the names of the lines */

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/watch/watch-internal.h"
#include "kernel/config-file.h"
#include "kernel/netlink.h"
#include "tests/bench/report.h"

#define ROUNDS    11
#define ROUNDS_SS 3

static double read_clock(clockid_t id)
{
        struct timespec ts;

        (void) clock_gettime(id, &ts);
        return (double) ts.tv_sec * 1e3 + (double) ts.tv_nsec / 1e6;
}

static _Noreturn void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static int compare_doubles(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static double median(double *v, size_t n)
{
        qsort(v, n, sizeof(*v), compare_doubles);
        return v[n / 2];
}

static bool is_end(const uint64_t *buf, ssize_t n)
{
        const struct nlmsghdr *h = (const struct nlmsghdr *) buf;

        if (n < (ssize_t) sizeof(*h) || h->nlmsg_type == NLMSG_ERROR)
                die("dump");
        for (int rest = (int) n; NLMSG_OK(h, (unsigned) rest); h = NLMSG_NEXT(h, rest))
                if (h->nlmsg_type == NLMSG_DONE)
                        return true;
        return false;
}

static void bare_dump(int fd, const void *request, size_t size)
{
        static uint64_t buf[8192];

        if (netlink_send(fd, request, size) < 0)
                die("dump");
        while (!is_end(buf, netlink_receive(fd, buf, sizeof(buf))))
                ;
}

/* All TCP sockets in the one walk that brings both families, each rejected by one comparison. */
static void reject_all(int fd)
{
        struct {
                struct nlmsghdr h;
                struct inet_diag_req r;
                struct nlattr a;
                struct inet_diag_bc_op code[2];
        } request = {
                .h = { .nlmsg_len = sizeof(request),
                       .nlmsg_type = TCPDIAG_GETSOCK,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
                .r = { .idiag_states = SOCK_DIAG_ALL },
                .a = { .nla_len = sizeof(request.a) + sizeof(request.code),
                       .nla_type = INET_DIAG_REQ_BYTECODE },
                .code = { { INET_DIAG_BC_S_LE, sizeof(request.code), sizeof(request.code) + 4 } },
        };

        bare_dump(fd, &request, sizeof(request));
}

/* What a look asks for, without a filter and thrown away. */
static void throw_away(int fd)
{
        struct {
                struct nlmsghdr h;
                struct inet_diag_req_v2 r;
        } request = {
                .h = { .nlmsg_len = sizeof(request),
                       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
        };

        for (unsigned i = 0; i < 4; i++) {
                request.r.sdiag_family = i % 2 ? AF_INET6 : AF_INET;
                request.r.sdiag_protocol = i < 2 ? IPPROTO_TCP : IPPROTO_UDP;
                request.r.idiag_states = i < 2 ? SOCK_DIAG_STATE(SOCKET_LISTEN) : SOCK_DIAG_ALL;
                bare_dump(fd, &request, sizeof(request));
        }
}

static double run_ss(void)
{
        static char *const argv[] = { (char *) "ss", (char *) "-Htan", NULL };
        double begin = read_clock(CLOCK_MONOTONIC);
        posix_spawn_file_actions_t actions;
        int status;
        pid_t pid;

        if (posix_spawn_file_actions_init(&actions) != 0 ||
            posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) !=
                    0 ||
            posix_spawnp(&pid, "ss", &actions, NULL, argv, environ) != 0)
                return 0;
        if (waitpid(pid, &status, 0) < 0 || status != 0)
                die("ss");
        (void) posix_spawn_file_actions_destroy(&actions);
        return read_clock(CLOCK_MONOTONIC) - begin;
}

static double sweep(Watch *w, clockid_t clock)
{
        double begin = read_clock(clock);

        if (watch_sweep(w) < 0)
                die("sweep");
        return read_clock(clock) - begin;
}

static void bench_sweep(Watch *w, int fd, unsigned long n)
{
        double ours[ROUNDS], floor[ROUNDS], peer[ROUNDS_SS], middle, begin;

        for (unsigned i = 0; i < ROUNDS; i++) {
                ours[i] = sweep(w, CLOCK_MONOTONIC);
                begin = read_clock(CLOCK_MONOTONIC);
                reject_all(fd);
                floor[i] = read_clock(CLOCK_MONOTONIC) - begin;
        }
        middle = median(ours, ROUNDS);
        report("sweep", n, "ms", middle, median(floor, ROUNDS),
               "a dump that rejects every row with one comparison");

        for (unsigned i = 0; i < ROUNDS_SS; i++)
                peer[i] = run_ss();
        report("sweep-ss", n, "ms", middle, median(peer, ROUNDS_SS), "ss -Htan >/dev/null");
}

static void bench_look(Watch *w, int fd, unsigned long n)
{
        double ours[ROUNDS], floor[ROUNDS], begin;

        for (unsigned i = 0; i < ROUNDS; i++) {
                begin = read_clock(CLOCK_THREAD_CPUTIME_ID);
                if (watch_look(w) < 0)
                        die("look");
                ours[i] = read_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
                begin = read_clock(CLOCK_THREAD_CPUTIME_ID);
                throw_away(fd);
                floor[i] = read_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
        }
        report("look-cpu", n, "ms", median(ours, ROUNDS), median(floor, ROUNDS),
               "the same dumps, thrown away");
}

int main(int argc, char *argv[])
{
        static const WatchOps ops = {};
        _cleanup_(watch_freep) Watch *w = NULL;
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_(closep) int fd = -1;
        sd_event *event = NULL;
        unsigned long n;

        if (argc != 3) {
                fprintf(stderr, "usage: %s CONFIG SOCKETS\n", argv[0]);
                return 2;
        }
        n = strtoul(argv[2], NULL, 10);
        if (config_load(&(ConfigPaths){ argv[1], "" }, &c) < 0 || c->n_errors > 0 ||
            sd_event_new(&event) < 0 || watch_new(event, &ops, NULL, &w) < 0 ||
            watch_apply(w, c) < 0 || netlink_open(0, 0, 0, &fd, NULL) < 0)
                die("setup");
        bench_sweep(w, fd, n);
        bench_look(w, fd, n);
        if (watch_count(w) > 0)
                printf("%zu collisions\n", watch_count(w));
        sd_event_unref(event);
        return 0;
}
