/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* storm-witness PORT DAEMON UID LOG NOW [GREETING]: writes down, until its standard input ends, when
 * the door of DAEMON's placeholder on PORT is open (SO_REUSEADDR of that very socket, a copy of
 * which it takes from process DAEMON; 0: there is none), and how many sockets listen on PORT, but
 * for those of user UID.
 *
 * LOG gets a line "BEFORE SEEN DOOR LISTENERS" for each change: CLOCK_MONOTONIC in nanoseconds of
 * the last look that saw what was before, and of the one that saw this. NOW is mapped, five 64-bit
 * numbers: when looked last, door (-1: none), listeners, how often the last one has gone, visits.
 *
 * With GREETING it also is a client: it connects now and then, from a port that it binds, says
 * GREETING, and waits until the server has closed: so there are the remains of connections that a
 * server leaves. */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/sock-diag.h"

#define LOOK_USEC  300
#define VISIT_USEC 20000
/* Clients bind one of these after the other: there is no ephemeral port for them. */
#define CLIENT_FIRST 20000
#define CLIENT_LAST  29999

typedef struct Seen {
        int64_t when, door, listeners, gone, visits;
} Seen;

typedef struct Count {
        uid_t thief;
        int64_t listeners;
} Count;

static uint16_t port;
static const char *greeting;
static Seen *now;
static atomic_bool stop;

/* Whoever started it wants the report. */
static bool is_over(void)
{
        struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

        return poll(&p, 1, 0) != 0;
}

static int64_t now_nsec(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool is_placeholder(int fd)
{
        struct sockaddr_in6 in6 = {};
        socklen_t size = sizeof(in6), int_size = sizeof(int);
        int protocol = 0;

        return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &int_size) == 0 &&
               protocol == IPPROTO_TCP && getsockname(fd, (struct sockaddr *) &in6, &size) == 0 &&
               ntohs(in6.sin6_port) == port;
}

/* A copy of the daemon's socket; -1: it has none there. */
static int find_placeholder(pid_t daemon_pid)
{
        _cleanup_(closep) int process = pidfd_open(daemon_pid, 0);
        char path[64];
        struct dirent *entry;
        int found = -1;
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) daemon_pid);
        d = opendir(path);
        if (process < 0 || !d) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        while (found < 0 && (entry = readdir(d))) {
                _cleanup_(closep) int fd =
                        entry->d_name[0] == '.' ? -1 : pidfd_getfd(process, atoi(entry->d_name), 0);

                if (fd >= 0 && is_placeholder(fd))
                        found = TAKE_FD(fd);
        }
        (void) closedir(d);
        return found;
}

static int on_row(const Socket *s, void *userdata)
{
        Count *c = userdata;

        c->listeners += s->local_port == port && s->uid != c->thief;
        return 0;
}

static int64_t door_of(int fd)
{
        socklen_t size = sizeof(int);
        int value;

        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &size) < 0)
                return -1;
        return value != 0;
}

static int look(SockDiag *diag, int placeholder, uid_t thief, FILE *f)
{
        Seen last = {};

        while (!is_over()) {
                Count count = { .thief = thief };
                Seen seen;
                int r;

                /* What it was before the look, not after it: a door seen closed was closed at that
                 * time or later. */
                seen.when = now_nsec();
                seen.door = door_of(placeholder);
                r = sock_diag_dump(diag, IPPROTO_TCP, SOCK_DIAG_STATE(SOCKET_LISTEN), NULL, on_row,
                                   &count);
                if (r < 0)
                        return r;
                seen.listeners = count.listeners;
                if (last.when == 0 || seen.door != last.door || seen.listeners != last.listeners)
                        fprintf(f, "%lld %lld %lld %lld\n", (long long) last.when,
                                (long long) now_nsec(), (long long) seen.door,
                                (long long) seen.listeners);
                now->door = seen.door;
                now->gone += last.listeners > 0 && seen.listeners == 0;
                now->listeners = seen.listeners;
                now->when = seen.when;
                last = seen;
                (void) usleep(LOOK_USEC);
        }
        return 0;
}

static bool visit(uint16_t from)
{
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons(from),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const struct timeval patience = { .tv_sec = 1 };
        char buf[4096];
        size_t answered = 0;
        ssize_t n;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            bind(fd, (const struct sockaddr *) &in, sizeof(in)) < 0)
                return false;
        in.sin_port = htons(port);
        if (connect(fd, (const struct sockaddr *) &in, sizeof(in)) < 0 ||
            send(fd, greeting, strlen(greeting), MSG_NOSIGNAL) < 0)
                return false;
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
                answered += (size_t) n;
        return n == 0 && answered > 0;
}

static void *visit_all(void *userdata)
{
        for (uint16_t from = CLIENT_FIRST; !stop;
             from = from == CLIENT_LAST ? CLIENT_FIRST : (uint16_t) (from + 1)) {
                now->visits += visit(from);
                (void) usleep(VISIT_USEC);
        }
        return NULL;
}

int main(int argc, char *argv[])
{
        _cleanup_(sock_diag_freep) SockDiag *diag = NULL;
        _cleanup_(closep) int placeholder = -1, fd = -1;
        pthread_t visitor = 0;
        FILE *f;
        int r;

        if (argc < 6) {
                (void) fprintf(stderr, "storm-witness PORT DAEMON UID LOG NOW [GREETING]\n");
                return 2;
        }
        port = (uint16_t) atoi(argv[1]);
        greeting = argv[6];
        (void) prctl(PR_SET_TIMERSLACK, 1);
        (void) setpriority(PRIO_PROCESS, 0, -10); /* it must not miss much */

        if (atoi(argv[2]) > 0) {
                placeholder = find_placeholder(atoi(argv[2]));
                if (placeholder < 0) {
                        (void) fprintf(stderr, "process %s has no socket on port %u\n", argv[2],
                                       port);
                        return EXIT_FAILURE;
                }
        }
        f = fopen(argv[4], "we");
        fd = open(argv[5], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (!f || fd < 0 || ftruncate(fd, sizeof(*now)) < 0) {
                perror("storm-witness");
                return EXIT_FAILURE;
        }
        now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (now == MAP_FAILED || sock_diag_new(&diag) < 0 ||
            (greeting && pthread_create(&visitor, NULL, visit_all, NULL) != 0)) {
                perror("storm-witness");
                return EXIT_FAILURE;
        }

        r = look(diag, placeholder, (uid_t) atoi(argv[3]), f);
        stop = true;
        if (greeting)
                (void) pthread_join(visitor, NULL);
        if (r < 0 || fclose(f) != 0) {
                (void) fprintf(stderr, "storm-witness: %s\n", strerror(r < 0 ? -r : errno));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
