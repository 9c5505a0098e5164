/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* storm-thief PORT PEER REPORT [KEEP-USEC]: tries to get PORT in every way there is, each way in a
 * thread of its own, until SIGTERM, and writes into REPORT what became of it. A thief that got the
 * port lets it go at once, or after KEEP-USEC.
 *
 * REPORT has a line "tried WAY ATTEMPTS WINS ODD" for each way (ODD: refused with another error
 * than is expected), and a line "won WAY BEFORE AFTER" for each win: CLOCK_MONOTONIC in
 * nanoseconds, right before and right after the call that succeeded. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* So many attempts in a row, then a rest, so that a server still starts on a machine with two CPUs;
 * and a longer one after a win, so that it finds a moment to bind where thieves are let in. */
#define BURST         4
#define REST_USEC     500
#define WON_REST_USEC 2000

#define WINS_MAX 20000

typedef enum Deed {
        BIND,        /* is enough to keep the port from others */
        BIND_LISTEN, /* and takes its clients */
        CONNECT,     /* the kernel chooses the port */
        BIND_ANY,    /* as well */
} Deed;

typedef struct Win {
        int64_t before, after;
} Win;

typedef struct Way {
        const char *name;
        int family;
        Deed deed;
        bool reuseaddr, reuseport;

        pthread_t thread;
        uint64_t attempts, odd;
        size_t n_wins;
        Win *wins;
} Way;

static Way ways[] = {
        { "plain-v4", AF_INET, BIND },
        { "plain-v6", AF_INET6, BIND },
        { "reuseaddr-v4", AF_INET, BIND, true },
        { "reuseaddr-v6", AF_INET6, BIND, true },
        { "reuseaddr-listen-v4", AF_INET, BIND_LISTEN, true },
        { "reuseaddr-listen-v6", AF_INET6, BIND_LISTEN, true },
        { "reuseport-v4", AF_INET, BIND, false, true },
        { "reuseport-v6", AF_INET6, BIND, false, true },
        { "both-v4", AF_INET, BIND, true, true },
        { "both-v6", AF_INET6, BIND, true, true },
        { "bind-any", AF_INET, BIND_ANY },
        { "connect-v4", AF_INET, CONNECT },
        { "connect-v6", AF_INET6, CONNECT },
};

static uint16_t port, peer;
static useconds_t keep;
static int peers[2] = { -1, -1 }; /* what the connections go to: IPv4, IPv6 */
static atomic_bool stop;

static int64_t now_nsec(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int flag(int fd, int level, int option)
{
        return setsockopt(fd, level, option, &(int){ 1 }, sizeof(int));
}

/* everywhere: the wildcard address, else loopback. */
static socklen_t address(int family, bool everywhere, uint16_t number, struct sockaddr_storage *ret)
{
        *ret = (struct sockaddr_storage){ .ss_family = (sa_family_t) family };
        if (family == AF_INET) {
                struct sockaddr_in *in = (struct sockaddr_in *) ret;

                in->sin_port = htons(number);
                in->sin_addr.s_addr = htonl(everywhere ? INADDR_ANY : INADDR_LOOPBACK);
                return sizeof(*in);
        } else {
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) ret;

                in6->sin6_port = htons(number);
                in6->sin6_addr = everywhere ? in6addr_any : in6addr_loopback;
                return sizeof(*in6);
        }
}

static int open_socket(const Way *w)
{
        static const struct linger reset = { .l_onoff = 1 };
        int fd = socket(w->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        /* Only IPv6, as IPv4 has thieves of its own; and no remains that would be in the way of
         * those who come next. */
        if (fd < 0 || (w->family == AF_INET6 && flag(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0) ||
            (w->reuseaddr && flag(fd, SOL_SOCKET, SO_REUSEADDR) < 0) ||
            (w->reuseport && flag(fd, SOL_SOCKET, SO_REUSEPORT) < 0) ||
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0) {
                perror("socket");
                exit(EXIT_FAILURE);
        }
        return fd;
}

/* 0 or an errno. */
static int attempt(const Way *w, int fd, bool everywhere)
{
        struct sockaddr_storage ss;
        socklen_t size;
        int r;

        if (w->deed == CONNECT) {
                size = address(w->family, false, peer, &ss);
                return connect(fd, (const struct sockaddr *) &ss, size) < 0 ? errno : 0;
        }
        size = address(w->family, everywhere, w->deed == BIND_ANY ? 0 : port, &ss);
        r = bind(fd, (const struct sockaddr *) &ss, size) < 0 ? errno : 0;
        if (r == 0 && w->deed == BIND_LISTEN)
                (void) listen(fd, 1);
        return r;
}

/* With the ephemeral range narrowed to the port, the kernel says so where it has none to give. */
static bool is_refusal(const Way *w, int error)
{
        return error == (w->deed == CONNECT ? EADDRNOTAVAIL : EADDRINUSE);
}

static bool has_port(int fd)
{
        struct sockaddr_in6 in6 = {};
        socklen_t size = sizeof(in6);

        return getsockname(fd, (struct sockaddr *) &in6, &size) == 0 &&
               ntohs(in6.sin6_port) == port;
}

static void *steal(void *userdata)
{
        Way *w = userdata;
        int fd = open_socket(w);

        (void) prctl(PR_SET_TIMERSLACK, 1);
        while (!stop) {
                int64_t before = now_nsec();
                int r = attempt(w, fd, w->attempts % 2 == 0);

                w->attempts++;
                if (r != 0) {
                        w->odd += !is_refusal(w, r);
                        if (w->attempts % BURST == 0)
                                (void) usleep(REST_USEC);
                        continue;
                }

                if (!has_port(fd))
                        w->odd++;
                else if (w->n_wins++ < WINS_MAX)
                        w->wins[w->n_wins - 1] = (Win){ before, now_nsec() };
                if (keep > 0)
                        (void) usleep(keep);
                if (w->deed == CONNECT)
                        close(accept(peers[w->family == AF_INET6], NULL, NULL));
                close(fd);
                fd = open_socket(w);
                (void) usleep(WON_REST_USEC);
        }
        close(fd);
        return NULL;
}

static int listen_as_peer(int family)
{
        static const Way server = { .reuseaddr = true };
        struct sockaddr_storage ss;
        socklen_t size = address(family, false, peer, &ss);
        Way w = server;
        int fd;

        w.family = family;
        fd = open_socket(&w);
        if (bind(fd, (const struct sockaddr *) &ss, size) < 0 || listen(fd, 16) < 0) {
                perror("peer");
                exit(EXIT_FAILURE);
        }
        return fd;
}

static int report(const char *path)
{
        FILE *f = fopen(path, "we");

        if (!f) {
                perror(path);
                return EXIT_FAILURE;
        }
        for (size_t i = 0; i < ELEMENTSOF(ways); i++) {
                const Way *w = &ways[i];

                fprintf(f, "tried %s %llu %zu %llu\n", w->name, (unsigned long long) w->attempts,
                        w->n_wins, (unsigned long long) w->odd);
                for (size_t k = 0; k < w->n_wins && k < WINS_MAX; k++)
                        fprintf(f, "won %s %lld %lld\n", w->name, (long long) w->wins[k].before,
                                (long long) w->wins[k].after);
        }
        return fclose(f) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
        sigset_t term;
        int number;

        if (argc < 4) {
                (void) fprintf(stderr, "storm-thief PORT PEER REPORT [KEEP-USEC]\n");
                return 2;
        }
        port = (uint16_t) atoi(argv[1]);
        peer = (uint16_t) atoi(argv[2]);
        keep = argc > 4 ? (useconds_t) atoi(argv[4]) : 0;
        peers[0] = listen_as_peer(AF_INET);
        peers[1] = listen_as_peer(AF_INET6);

        /* Blocked before there are threads: it is waited for here. */
        (void) sigemptyset(&term);
        (void) sigaddset(&term, SIGTERM);
        (void) pthread_sigmask(SIG_BLOCK, &term, NULL);
        for (size_t i = 0; i < ELEMENTSOF(ways); i++) {
                ways[i].wins = calloc(WINS_MAX, sizeof(Win));
                if (!ways[i].wins || pthread_create(&ways[i].thread, NULL, steal, &ways[i]) != 0) {
                        (void) fprintf(stderr, "cannot make a thread\n");
                        return EXIT_FAILURE;
                }
        }
        (void) sd_notify(0, "READY=1");
        (void) sigwait(&term, &number);
        stop = true;
        for (size_t i = 0; i < ELEMENTSOF(ways); i++)
                (void) pthread_join(ways[i].thread, NULL);
        return report(argv[3]);
}
