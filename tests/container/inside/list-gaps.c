/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* list-gaps PORTS: reads the kernel's list some ten thousand times a second, until SIGTERM, and then
 * prints
 *
 *     looks N          how often it was read
 *     gap USEC LIST    one for each time that ports of PORTS (as the list has them: 80,90-99) were missing: from the
 *                      last look that saw all to the first that does so again, at most that long; the list as it was
 *                      in between, cut
 *
 * Through a procfs of its own, since whoever opens the other's file keeps leases from being granted. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "model/portset.h"

#define LIST      "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define TEXT_MAX  65536
#define SHOWN_MAX 60
/* Without it this would take a whole CPU from those who are to put the ports back. */
#define NAP_NSEC 20000

typedef struct Gap {
        uint64_t nsec;
        char list[SHOWN_MAX + 1];
} Gap;

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
        stop = 1;
}

static uint64_t now_nsec(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static int open_list(void)
{
        int fd;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, NULL) < 0) {
                perror("a procfs of its own");
                exit(EXIT_FAILURE);
        }
        fd = open(LIST, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                perror(LIST);
                exit(EXIT_FAILURE);
        }
        return fd;
}

/* Has the list all of them? A text that is the same as before is not parsed again. */
static bool has_all(int fd, const PortSet *want, char shown[static SHOWN_MAX + 1])
{
        static char text[TEXT_MAX], last[TEXT_MAX];
        static ssize_t last_size = -1;
        static bool all;
        ssize_t n = pread(fd, text, sizeof(text), 0);
        PortSet now;

        if (n < 0 || n == TEXT_MAX) {
                fprintf(stderr, "%s: %s\n", LIST, n < 0 ? strerror(errno) : "too long");
                exit(EXIT_FAILURE);
        }
        if (n == last_size && memcmp(text, last, (size_t) n) == 0)
                return all;
        if (portset_parse(text, (size_t) n, &now) < 0) {
                fprintf(stderr, "%s: not understood\n", LIST);
                exit(EXIT_FAILURE);
        }
        memcpy(last, text, (size_t) n);
        last_size = n;
        all = portset_contains(&now, want);
        if (!all)
                (void) snprintf(shown, SHOWN_MAX + 1, "%.*s", (int) strcspn(text, "\n"), text);
        return all;
}

int main(int argc, char *argv[])
{
        const struct sigaction action = { .sa_handler = on_signal };
        _cleanup_(freep) Gap *gaps = NULL;
        size_t n = 0, allocated = 0;
        uint64_t good, looks = 0;
        bool missing = false;
        PortSet want;
        int fd;

        if (argc != 2 || portset_parse(argv[1], strlen(argv[1]), &want) < 0) {
                fputs("usage: list-gaps PORTS\n", stderr);
                return EXIT_FAILURE;
        }
        (void) sigaction(SIGTERM, &action, NULL);
        (void) sigaction(SIGINT, &action, NULL);
        fd = open_list();
        (void) prctl(PR_SET_TIMERSLACK, 1UL);
        (void) sd_notify(0, "READY=1");
        puts("ready");
        (void) fflush(stdout);

        good = now_nsec();
        while (!stop) {
                uint64_t before = now_nsec();
                char shown[SHOWN_MAX + 1] = "";
                bool all = has_all(fd, &want, shown);

                looks++;
                if (!all && !missing) {
                        if (!GROW(gaps, allocated, n + 1))
                                return EXIT_FAILURE;
                        gaps[n] = (Gap){};
                        memcpy(gaps[n].list, shown, sizeof(shown));
                }
                if (all && missing)
                        gaps[n++].nsec = now_nsec() - good;
                if (all)
                        good = before;
                missing = !all;
                (void) nanosleep(&(struct timespec){ .tv_nsec = NAP_NSEC }, NULL);
        }
        if (missing)
                gaps[n++].nsec = now_nsec() - good;

        printf("looks %llu\n", (unsigned long long) looks);
        for (size_t i = 0; i < n; i++)
                printf("gap %llu %s\n", (unsigned long long) gaps[i].nsec / 1000, gaps[i].list);
        close(fd);
        return EXIT_SUCCESS;
}
