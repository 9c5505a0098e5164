/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* So many TCP sockets in this network namespace, from several processes: connections from many
 * loopback addresses, over IPv4 and IPv6, both ends counted. Nobody accepts them: the kernel has
 * them all the same. Prints how many came about, then waits for the end of its input.
 *
 * usage: bench-crowd SOCKETS */

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PORT_FIRST    61000u /* of the listeners that the connections go to */
#define N_PORTS       64u
#define BACKLOG       65535
#define A_PROCESS     25000ul
#define FDS_SPARED    (2 * N_PORTS + 64)
#define PROCESSES_MAX 256u

static _Noreturn void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static void write_setting(const char *path, const char *text)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                die(path);
}

static socklen_t make_address(int family, uint32_t host, unsigned port,
                              struct sockaddr_storage *ret)
{
        struct sockaddr_in6 *six = (struct sockaddr_in6 *) ret;
        struct sockaddr_in *four = (struct sockaddr_in *) ret;

        *ret = (struct sockaddr_storage){ .ss_family = (sa_family_t) family };
        if (family == AF_INET6) {
                six->sin6_addr = in6addr_loopback;
                six->sin6_port = htons((uint16_t) port);
                return sizeof(*six);
        }
        four->sin_addr.s_addr = htonl(host);
        four->sin_port = htons((uint16_t) port);
        return sizeof(*four);
}

static void make_listener(int family, unsigned port)
{
        struct sockaddr_storage a;
        socklen_t size = make_address(family, INADDR_LOOPBACK, port, &a);
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &a, size) < 0 || listen(fd, BACKLOG) < 0)
                die("listen");
}

/* The kernel chooses the ports, as for any client; crowds have addresses of their own, so that it
 * does not run out of them. Every fourth crowd speaks IPv6. */
static bool connect_one(unsigned crowd, unsigned long i)
{
        static const struct timeval patience = { .tv_sec = 5 };
        int family = crowd % 4 == 3 ? AF_INET6 : AF_INET;
        struct sockaddr_storage from, to;
        socklen_t size;
        int fd;

        size = make_address(family, 0x7f010000 + crowd * 16 + (uint32_t) (i % 8), 0, &from);
        (void) make_address(family, INADDR_LOOPBACK, PORT_FIRST + (unsigned) (i % N_PORTS), &to);
        fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return fd >= 0 &&
               /* A full backlog is an end, not a wait. */
               setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
               setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int)) == 0 &&
               bind(fd, (struct sockaddr *) &from, size) == 0 &&
               connect(fd, (struct sockaddr *) &to, size) == 0;
}

static _Noreturn void be_crowd(unsigned crowd, unsigned long n, int report)
{
        unsigned long made = 0;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (made < n && connect_one(crowd, made))
                made++;
        if (made < n)
                fprintf(stderr, "crowd %u: %lu of %lu: %s\n", crowd, made, n, strerror(errno));
        if (write(report, &made, sizeof(made)) != sizeof(made))
                _exit(EXIT_FAILURE);
        for (;;)
                (void) pause();
}

/* Returns how many sockets a process may have. */
static unsigned long raise_limits(void)
{
        struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct rlimit limit;

        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
                die("lo");
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                die("RLIMIT_NOFILE");
        limit.rlim_cur = limit.rlim_max;
        if (limit.rlim_cur < 2 * FDS_SPARED || setrlimit(RLIMIT_NOFILE, &limit) < 0)
                die("RLIMIT_NOFILE");
        write_setting("/proc/sys/net/core/somaxconn", "65535");
        return MIN_OF((unsigned long) limit.rlim_cur - FDS_SPARED, A_PROCESS);
}

int main(int argc, char *argv[])
{
        unsigned long wanted, a_process, total = 0, made;
        unsigned n = 0;
        int p[2];

        if (argc != 2) {
                fprintf(stderr, "usage: %s SOCKETS\n", argv[0]);
                return 2;
        }
        wanted = strtoul(argv[1], NULL, 10) / 2;
        a_process = raise_limits();
        for (unsigned i = 0; i < N_PORTS; i++) {
                make_listener(AF_INET, PORT_FIRST + i);
                make_listener(AF_INET6, PORT_FIRST + i);
        }
        if (pipe2(p, O_CLOEXEC) < 0)
                die("pipe");
        for (; wanted > 0 && n < PROCESSES_MAX; n++) {
                unsigned long share = MIN_OF(a_process, wanted);
                pid_t pid = fork();

                if (pid < 0)
                        die("fork");
                if (pid == 0)
                        be_crowd(n, share, p[1]);
                wanted -= share;
        }
        for (; n > 0; n--) {
                if (read(p[0], &made, sizeof(made)) != sizeof(made))
                        die("a crowd");
                total += 2 * made;
        }
        printf("%lu\n", total);
        (void) fflush(stdout);
        while (read(STDIN_FILENO, &made, sizeof(made)) > 0)
                ;
        return EXIT_SUCCESS;
}
