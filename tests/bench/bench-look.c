/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A look of the watch (listeners, UDP), one with bound sockets, and a sweep, each against the bare
 * dumps of the same states that read each datagram and look at nothing: in an empty namespace, and
 * among as many connections as the machine's limits allow, at most 200,000 or
 * PORTRESERVED_BENCH_SOCKETS. */

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/watch/watch-internal.h"
#include "kernel/netlink.h"
#include "tests/bench/report.h"

#define ROUNDS         11
#define PORT_FIRST     50000u /* of the listeners that the connections go to */
#define N_LISTENERS    64u    /* each has room for 4,096 that nobody accepts */
#define SOCKETS_WANTED 200000ul
#define N_RESERVED     1000u

static double now_precise(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double) ts.tv_sec * 1e6 + (double) ts.tv_nsec / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static double median(double v[static ROUNDS])
{
        qsort(v, ROUNDS, sizeof(*v), compare_doubles);
        return v[ROUNDS / 2];
}

static void bare_dump(int fd, int family, int protocol, uint32_t states)
{
        static uint64_t buf[8192];
        struct {
                struct nlmsghdr h;
                struct inet_diag_req_v2 r;
        } request = {
                .h = { .nlmsg_len = sizeof(request),
                       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
                .r = { .sdiag_family = (uint8_t) family,
                       .sdiag_protocol = (uint8_t) protocol,
                       .idiag_states = states },
        };

        if (netlink_send(fd, &request, sizeof(request)) < 0)
                exit(1);
        for (;;) {
                ssize_t n = netlink_receive(fd, buf, sizeof(buf));
                const struct nlmsghdr *h = (const struct nlmsghdr *) buf;

                if (n < (ssize_t) sizeof(*h) || h->nlmsg_type == NLMSG_ERROR)
                        exit(1);
                if (h->nlmsg_type == NLMSG_DONE)
                        return;
                /* Most end with a datagram of their own; one that is appended is found at the last
                 * place. */
                for (int rest = (int) n; NLMSG_OK(h, (unsigned) rest); h = NLMSG_NEXT(h, rest))
                        if (h->nlmsg_type == NLMSG_DONE)
                                return;
        }
}

static double bare(int fd, uint32_t tcp_states)
{
        static const int families[] = { AF_INET, AF_INET6 };
        double begin = now_precise();

        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                bare_dump(fd, families[i], IPPROTO_TCP, tcp_states);
                bare_dump(fd, families[i], IPPROTO_UDP, SOCK_DIAG_ALL);
        }
        return now_precise() - begin;
}

typedef struct Scan {
        const char *name;
        uint32_t states; /* of TCP */
        bool bound, sweep;
} Scan;

static double ours(Watch *w, const Scan *s)
{
        double begin = now_precise();

        /* Else they are asked for as the budget allows only. */
        w->bound_due = s->bound ? 0 : UINT64_MAX;
        (void) (s->sweep ? watch_sweep(w) : watch_look(w));
        return now_precise() - begin;
}

static void measure(Watch *w, unsigned long n_sockets)
{
        static const Scan scans[] = {
                { "look", SOCK_DIAG_STATE(SOCKET_LISTEN), false, false },
                { "look-bound", SOCK_DIAG_LISTENERS, true, false },
                { "sweep", SOCK_DIAG_ALL, true, true },
        };
        int fd;

        if (netlink_open(0, 0, 0, &fd, NULL) < 0)
                exit(1);
        for (size_t k = 0; k < ELEMENTSOF(scans); k++) {
                double mine[ROUNDS], floor[ROUNDS], a, b;

                for (unsigned i = 0; i < ROUNDS; i++) {
                        mine[i] = ours(w, scans + k);
                        floor[i] = bare(fd, scans[k].states);
                }
                a = median(mine);
                b = median(floor);
                report(scans[k].name, n_sockets, "us", a, b, "the kernel's dump, thrown away");
        }
        close(fd);
}

static bool make_listeners(void)
{
        for (unsigned i = 0; i < N_LISTENERS; i++) {
                struct sockaddr_in a = { .sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                         .sin_port = htons((uint16_t) (PORT_FIRST + i)) };
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 ||
                    listen(fd, 4096) < 0)
                        return false;
        }
        return true;
}

/* A process connects n sockets and waits. Both ends count; nobody accepts: the kernel has them all
 * the same. Reports by a byte. */
static pid_t spawn_crowd(unsigned crowd, unsigned long n, int *ret_pipe, unsigned long *ret_made)
{
        unsigned long made = 0;
        int p[2];
        pid_t pid;

        if (pipe(p) < 0)
                exit(1);
        pid = fork();
        if (pid < 0)
                exit(1);
        if (pid == 0) {
                close(p[0]);
                for (; made < n; made++) {
                        /* Each crowd has source addresses of its own, so that ports do not run
                         * out. */
                        struct sockaddr_in from = { .sin_family = AF_INET,
                                                    .sin_addr.s_addr =
                                                            htonl(0x7f010000 + crowd * 16 +
                                                                  (uint32_t) (made % 8)) };
                        struct sockaddr_in to = {
                                .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t) (PORT_FIRST + made % N_LISTENERS))
                        };
                        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                        if (fd < 0)
                                break;
                        /* A full backlog is an end, not a wait. */
                        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO,
                                       &(struct timeval){ .tv_sec = 1 },
                                       sizeof(struct timeval)) < 0 ||
                            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 },
                                       sizeof(int)) < 0 ||
                            bind(fd, (struct sockaddr *) &from, sizeof(from)) < 0 ||
                            connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
                                break;
                }
                if (write(p[1], &made, sizeof(made)) != sizeof(made))
                        _exit(1);
                for (;;)
                        (void) pause();
        }
        close(p[1]);
        if (read(p[0], &made, sizeof(made)) != sizeof(made))
                made = 0;
        *ret_pipe = p[0];
        *ret_made = made;
        return pid;
}

static Config *make_config(void)
{
        static const ConfigOps ops = {};
        Config *c = NULL;

        if (config_new(&ops, &c) < 0 || config_section(c, "bench", 1, "bench") < 0)
                exit(1);
        for (unsigned i = 0; i < N_RESERVED; i++) {
                char text[32];

                /* Scattered over the ephemeral range, as a worst case. */
                (void) snprintf(text, sizeof(text), "%u", 20000 + 13 * i);
                if (config_set(c, "bench", 2 + i, "Ports", text) < 0)
                        exit(1);
        }
        if (config_finish(c) < 0 || c->n_errors > 0)
                exit(1);
        return c;
}

static bool raise_limits(void)
{
        struct rlimit limit;
        struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return false;
        limit.rlim_cur = limit.rlim_max;
        return up && setrlimit(RLIMIT_NOFILE, &limit) >= 0;
}

int main(void)
{
        static const WatchOps ops = {};
        const char *wanted_text = getenv("PORTRESERVED_BENCH_SOCKETS");
        unsigned long wanted = wanted_text ? strtoul(wanted_text, NULL, 10) : SOCKETS_WANTED;
        _cleanup_(watch_freep) Watch *w = NULL;
        _cleanup_(config_freep) Config *c = NULL;
        unsigned long total = 0, a_process;
        sd_event *event = NULL;
        struct rlimit limit;
        pid_t pids[256];
        unsigned n = 0;

        c = make_config();
        if (!raise_limits() || getrlimit(RLIMIT_NOFILE, &limit) < 0 || sd_event_new(&event) < 0 ||
            watch_new(event, &ops, NULL, &w) < 0 || watch_apply(w, c) < 0)
                return 1;
        measure(w, 0);

        if (!make_listeners())
                return 1;
        a_process = MIN_OF((unsigned long) limit.rlim_cur - 64, 20000ul);
        while (total < wanted && n < ELEMENTSOF(pids)) {
                unsigned long made;
                int p;

                pids[n] = spawn_crowd(n, MIN_OF(a_process, (wanted - total + 1) / 2), &p, &made);
                close(p);
                n++;
                total += 2 * made;
                if (made == 0)
                        break;
        }
        measure(w, total);
        for (unsigned i = 0; i < n; i++) {
                (void) kill(pids[i], SIGKILL);
                (void) waitpid(pids[i], NULL, 0);
        }
        sd_event_unref(event);
        return 0;
}
