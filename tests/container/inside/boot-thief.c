/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* boot-thief FIRST LAST AUTO-FIRST AUTO-LAST: from its start to SIGTERM, binds each TCP port from
 * FIRST to LAST in turn, plainly and with SO_REUSEADDR and SO_REUSEPORT, for IPv4 and IPv6, and in
 * between lets the kernel choose a port. Then it prints "began NSEC" (CLOCK_MONOTONIC), "rounds N",
 * "chosen N" (how often the kernel gave one), and "won PORT NSEC" for each port from FIRST to LAST
 * that it could bind and each from AUTO-FIRST to AUTO-LAST that it was given: when it last did. */

#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CHOICES 50 /* in each round */

static volatile sig_atomic_t stop;
static int64_t won[65536];

static void on_term(int number)
{
        stop = 1;
}

static int64_t now_nsec(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The port that it got, or 0. */
static uint16_t try_bind(int family, uint16_t port, bool sharing)
{
        _cleanup_(closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        socklen_t size = sizeof(in6);
        int one = 1, r;

        if (fd < 0)
                return 0;
        if (sharing && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
                        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0))
                return 0;
        if (family == AF_INET6) {
                (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
                r = bind(fd, (const struct sockaddr *) &in6, sizeof(in6));
        } else
                r = bind(fd, (const struct sockaddr *) &in, sizeof(in));
        if (r < 0 || getsockname(fd, (struct sockaddr *) &in6, &size) < 0)
                return 0;
        return ntohs(in6.sin6_port);
}

int main(int argc, char *argv[])
{
        uint64_t rounds = 0, chosen = 0;
        int numbers[4];
        int64_t began;

        if (argc != 5) {
                (void) fprintf(stderr, "boot-thief FIRST LAST AUTO-FIRST AUTO-LAST\n");
                return 2;
        }
        for (int i = 0; i < 4; i++)
                numbers[i] = atoi(argv[i + 1]);
        (void) signal(SIGTERM, on_term);

        began = now_nsec();
        (void) sd_notify(0, "READY=1");
        for (; !stop; rounds++) {
                for (int port = numbers[0]; port <= numbers[1]; port++)
                        for (int k = 0; k < 4; k++)
                                if (try_bind(k & 1 ? AF_INET6 : AF_INET, (uint16_t) port, k & 2))
                                        won[port] = now_nsec();
                for (int k = 0; k < CHOICES; k++) {
                        uint16_t port = try_bind(k & 1 ? AF_INET6 : AF_INET, 0, k & 2);

                        chosen += port > 0;
                        if (port >= numbers[2] && port <= numbers[3])
                                won[port] = now_nsec();
                }
        }

        printf("began %lld\nrounds %llu\nchosen %llu\n", (long long) began,
               (unsigned long long) rounds, (unsigned long long) chosen);
        for (int port = 1; port < 65536; port++)
                if (won[port])
                        printf("won %d %lld\n", port, (long long) won[port]);
        return EXIT_SUCCESS;
}
