/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Placeholders bound, and adopted again, through a HoldSet, against a bare loop of socket() and
 * bind(); and their memory. Each figure is the best of a few rounds, both sides in the same
 * process. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/hold/hold.h"
#include "tests/bench/report.h"

#define FIRST  20000u
#define ROUNDS 5

static const HoldOps ops = {}; /* no watch to ask, no fd store */

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static long resident_kib(void)
{
        _cleanup_(fclosep) FILE *f = fopen("/proc/self/statm", "re");
        long pages = 0;

        if (!f || fscanf(f, "%*d %ld", &pages) != 1)
                return 0;
        return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void must(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(1);
}

static int no_service(const char *name, int protocol, uint16_t *ret)
{
        return -ENOENT;
}

static int no_user(const char *name, uid_t *ret)
{
        return -ENOENT;
}

static Config *config_of(unsigned n)
{
        static const ConfigOps config_ops = { no_service, no_user };
        char ports[32];
        Config *c = NULL;

        snprintf(ports, sizeof(ports), "%u-%u/tcp", FIRST, FIRST + n - 1);
        must(config_new(&config_ops, &c), "config");
        must(config_section(c, "bench", 1, "bench"), "config");
        must(config_set(c, "bench", 2, "Ports", ports), "config");
        must(config_set(c, "bench", 3, "Hold", "bound"), "config");
        must(config_finish(c), "config");
        return c;
}

/* As little as any program can do to have n ports. */
static double bare(int *fds, unsigned n)
{
        double start = now(), took;

        for (unsigned i = 0; i < n; i++) {
                struct sockaddr_in6 a = { .sin6_family = AF_INET6 };

                a.sin6_port = htons((uint16_t) (FIRST + i));
                fds[i] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (fds[i] < 0 || bind(fds[i], (struct sockaddr *) &a, sizeof(a)) < 0)
                        must(-errno, "bare bind");
        }
        took = now() - start;
        for (unsigned i = 0; i < n; i++)
                close(fds[i]);
        return took;
}

/* What the fd store would give back. */
static void prepare(int *fds, const Config *c, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                must(-placeholder_bind(&c->reservations[0]->endpoints[0], (uint16_t) (FIRST + i),
                                       false, &fds[i]),
                     "placeholder");
}

/* fds: adopted first; NULL: all are bound. */
static double through_set(sd_event *event, const Config *c, unsigned n, const int *fds,
                          double *ret_bytes_each)
{
        _cleanup_(hold_set_freep) HoldSet *s = NULL;
        long before = resident_kib();
        char name[24];
        double start, took;

        must(hold_set_new(event, false, &ops, NULL, &s), "hold set");
        start = now();
        for (unsigned i = 0; fds && i < n; i++) {
                snprintf(name, sizeof(name), "%x", i);
                must(hold_set_adopt_consume_fd(s, fds[i], name), "adopt");
        }
        must(hold_set_apply(s, c), "apply");
        took = now() - start;
        if (hold_set_count(s) != n || hold_set_pending(s) != 0)
                must(-EADDRINUSE, "not all are held");
        *ret_bytes_each = (double) (resident_kib() - before) * 1024 / n;
        return took;
}

static void compare(sd_event *event, unsigned n)
{
        _cleanup_(config_freep) Config *c = config_of(n);
        _cleanup_(freep) int *fds = calloc(n, sizeof(*fds));
        double floor = 1e9, bound = 1e9, adopted = 1e9, bytes = 0, ignored, t;

        if (!fds)
                must(-ENOMEM, "descriptors");
        for (int i = 0; i < ROUNDS; i++) {
                t = bare(fds, n);
                floor = MIN_OF(floor, t);
                t = through_set(event, c, n, NULL, i == 0 ? &bytes : &ignored);
                bound = MIN_OF(bound, t);
                prepare(fds, c, n);
                t = through_set(event, c, n, fds, &ignored);
                adopted = MIN_OF(adopted, t);
        }
        report("bind", n, "ms", bound, floor, "socket and bind");
        report("adopt", n, "ms", adopted, floor, "socket and bind");
        /* The floor is what the bare loop keeps of each: the number of its descriptor. */
        report("memory", n, "bytes a hold", bytes, sizeof(int), "a descriptor's number");
}

int main(void)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        static const unsigned sizes[] = { 1000, 10000 };
        struct rlimit limit;

        /* Beyond the hard limit where root may; else up to it. */
        limit = (struct rlimit){ .rlim_cur = 65536, .rlim_max = 65536 };
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
                (void) getrlimit(RLIMIT_NOFILE, &limit);
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        must(sd_event_new(&event), "event loop");
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                if (limit.rlim_cur < sizes[i] + 64) {
                        printf("bind-%u: left out, RLIMIT_NOFILE is %lu\n", sizes[i],
                               (unsigned long) limit.rlim_cur);
                        continue;
                }
                compare(event, sizes[i]);
        }
        return 0;
}
