/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* load [OPTION]... EXCHANGE PORT ADDRESS...: one exchange a connection, and the next connection as
 * soon as that has ended, as fast as it can, until SIGTERM. Then prints one "WHAT NUMBER" a line:
 *
 *   ok         a full answer
 *   refused    nobody listened
 *   lost       connected, and then reset or closed without a full answer
 *   timeouts   no answer for as long as a patient client waits
 *   errors     of our own (no port left, …): the figures are worth nothing
 *   slowest    full answer, in milliseconds
 *
 * It waits for the server: what was begun before the first full answer does not count. Then it says
 * READY=1. Connections end with a reset (SO_LINGER 0), so that neither ports nor TIME_WAIT pile up. */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/address.h"

#define THREADS_MAX 64
#define SLOTS_MAX   1024
#define ANSWER_MAX  4096
#define LOOK_AFTER  (100 * USEC_PER_MSEC) /* for SIGTERM and what is overdue */

typedef enum Answer {
        ANSWER_PART,
        ANSWER_FULL,
        ANSWER_OTHER, /* not what was asked for: counted as lost */
} Answer;

typedef struct Exchange {
        const char *name;
        int type;
        uint64_t patience;
        const char *request;
        size_t size;
        Answer (*judge)(const char *answer, size_t size); /* NUL-terminated beyond its size */
} Exchange;

typedef struct Slot {
        int fd; /* -1: to be connected */
        bool connected;
        uint64_t started;
        size_t size;
        char answer[ANSWER_MAX];
} Slot;

enum { OK, REFUSED, LOST, TIMEOUTS, ERRORS, N_COUNTS };
static const char *const count_names[] = { "ok", "refused", "lost", "timeouts", "errors" };

typedef struct Client {
        pthread_t thread;
        struct sockaddr_storage address;
        socklen_t address_size;
        int epoll;
        uint64_t counts[N_COUNTS], slowest;
        Slot *slots;
} Client;

static const Exchange *exchange;
static unsigned n_slots = 16;
static uint64_t least; /* for each client */
static volatile sig_atomic_t stopping;
static atomic_ullong begun; /* when the first full answer came, 0: not yet */
static atomic_int last_error;

static Answer judge_http(const char *answer, size_t size)
{
        const char *body = strstr(answer, "\r\n\r\n"), *length;

        if (!body)
                return ANSWER_PART;
        length = strcasestr(answer, "\r\nContent-Length: ");
        if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, " 200", 4) != 0 || !length)
                return ANSWER_OTHER;
        return size - (size_t) (body + 4 - answer) >= strtoul(length + 18, NULL, 10) ? ANSWER_FULL
                                                                                     : ANSWER_PART;
}

static Answer judge_banner(const char *answer, size_t size)
{
        if (!strchr(answer, '\n'))
                return ANSWER_PART;
        return strncmp(answer, "SSH-2.0-", 8) == 0 ? ANSWER_FULL : ANSWER_OTHER;
}

/* https://www.postgresql.org/docs/15/protocol-message-formats.html: a byte that says what it is,
 * four for its length. R: who are you? */
static Answer judge_postgresql(const char *answer, size_t size)
{
        uint32_t length;

        if (size < 5)
                return ANSWER_PART;
        memcpy(&length, answer + 1, sizeof(length));
        if (answer[0] != 'R')
                return ANSWER_OTHER;
        return size > ntohl(length) ? ANSWER_FULL : ANSWER_PART;
}

static Answer judge_redis(const char *answer, size_t size)
{
        if (!strchr(answer, '\n'))
                return ANSWER_PART;
        return strncmp(answer, "+PONG", 5) == 0 ? ANSWER_FULL : ANSWER_OTHER;
}

/* The question's id, and a response without an error. */
static Answer judge_dns(const char *answer, size_t size)
{
        return size > 12 && memcmp(answer, "ld", 2) == 0 && (answer[2] & 0x80) &&
                               (answer[3] & 0x0f) == 0
                       ? ANSWER_FULL
                       : ANSWER_OTHER;
}

#define TEXT(x) (x), sizeof(x) - 1

static const Exchange exchanges[] = {
        { "http", SOCK_STREAM, 30 * USEC_PER_SEC, TEXT("GET / HTTP/1.0\r\nHost: load\r\n\r\n"),
          judge_http },
        { "ssh", SOCK_STREAM, 30 * USEC_PER_SEC, TEXT(""), judge_banner },
        { "postgresql", SOCK_STREAM, 30 * USEC_PER_SEC,
          TEXT("\0\0\0\x17\0\3\0\0user\0postgres\0\0"), judge_postgresql },
        { "redis", SOCK_STREAM, 30 * USEC_PER_SEC, TEXT("PING\r\n"), judge_redis },
        { "dns", SOCK_DGRAM, 5 * USEC_PER_SEC, TEXT("ld\1\0\0\1\0\0\0\0\0\0\4load\4test\0\0\1\0\1"),
          judge_dns },
};

static void on_signal(int number)
{
        stopping = 1;
}

static bool finished(const Client *c)
{
        uint64_t n = 0;

        for (size_t i = 0; i < N_COUNTS; i++)
                n += c->counts[i];
        return stopping && (n >= least || begun == 0);
}

static void end_exchange(Client *c, Slot *s, int what)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        unsigned long long never = 0;

        close(s->fd);
        s->fd = -1;
        if (what == OK && atomic_compare_exchange_strong(&begun, &never, now))
                (void) sd_notify(0, "READY=1");
        if (begun == 0 || s->started < begun)
                return;
        c->counts[what]++;
        if (what == OK)
                c->slowest = MAX_OF(c->slowest, now - s->started);
}

static void fail_exchange(Client *c, Slot *s, int error)
{
        int what = ERRORS;

        if (error == ECONNREFUSED)
                what = REFUSED;
        else if (error == ETIMEDOUT)
                what = TIMEOUTS;
        else if (s->connected || error == ECONNRESET)
                what = LOST;
        else
                last_error = error;
        end_exchange(c, s, what);
}

static void begin_exchange(Client *c, Slot *s)
{
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s };
        struct linger reset = { .l_onoff = 1 };

        s->size = 0;
        s->connected = false;
        s->started = now_usec(CLOCK_MONOTONIC);
        s->fd = socket(c->address.ss_family, exchange->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0 ||
            (connect(s->fd, (struct sockaddr *) &c->address, c->address_size) < 0 &&
             errno != EINPROGRESS) ||
            epoll_ctl(c->epoll, EPOLL_CTL_ADD, s->fd, &event) < 0)
                fail_exchange(c, s, errno);
}

static void read_answer(Client *c, Slot *s)
{
        for (;;) {
                ssize_t n = recv(s->fd, s->answer + s->size, ANSWER_MAX - 1 - s->size, 0);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        fail_exchange(c, s, errno);
                        return;
                }
                s->size += (size_t) n;
                s->answer[s->size] = '\0';
                switch (n == 0 ? ANSWER_OTHER : exchange->judge(s->answer, s->size)) {
                case ANSWER_FULL:
                        end_exchange(c, s, OK);
                        return;
                case ANSWER_OTHER:
                        end_exchange(c, s, LOST);
                        return;
                case ANSWER_PART:
                        break;
                }
        }
}

static void on_event(Client *c, Slot *s, uint32_t events)
{
        socklen_t size = sizeof(int);
        int error = 0;

        if (events & EPOLLERR) {
                (void) getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
                if (error != 0) {
                        fail_exchange(c, s, error);
                        return;
                }
        }
        if (!s->connected && (events & EPOLLOUT)) {
                s->connected = true;
                if (send(s->fd, exchange->request, exchange->size, MSG_NOSIGNAL) < 0) {
                        fail_exchange(c, s, errno);
                        return;
                }
        }
        if (events & (EPOLLIN | EPOLLHUP))
                read_answer(c, s);
}

static void give_up_overdue(Client *c, uint64_t now)
{
        for (Slot *s = c->slots; s < c->slots + n_slots; s++)
                if (s->fd >= 0 && now > s->started + exchange->patience)
                        end_exchange(c, s, TIMEOUTS);
}

static void *run_client(void *userdata)
{
        struct epoll_event events[64];
        Client *c = userdata;
        uint64_t look = 0;

        while (!finished(c)) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);
                bool idle = false;
                int n;

                if (now > look) {
                        give_up_overdue(c, now);
                        look = now + LOOK_AFTER;
                }
                for (Slot *s = c->slots; s < c->slots + n_slots; s++)
                        if (s->fd < 0) {
                                begin_exchange(c, s);
                                idle = idle || s->fd < 0;
                        }
                n = epoll_wait(c->epoll, events, ELEMENTSOF(events),
                               idle ? 0 : (int) (LOOK_AFTER / USEC_PER_MSEC));
                for (int i = 0; i < n; i++)
                        on_event(c, events[i].data.ptr, events[i].events);
        }
        return NULL;
}

static int start_client(Client *c, const char *address, uint16_t port)
{
        Address a;
        int r;

        r = address_parse(address, &a);
        if (r < 0)
                return r;
        c->address_size = address_to_sockaddr(&a, port, &c->address);
        c->epoll = epoll_create1(EPOLL_CLOEXEC);
        c->slots = calloc(n_slots, sizeof(Slot));
        if (c->epoll < 0 || !c->slots)
                return -errno;
        for (Slot *s = c->slots; s < c->slots + n_slots; s++)
                s->fd = -1;
        return -pthread_create(&c->thread, NULL, run_client, c);
}

static void print_counts(const Client *clients, unsigned n)
{
        uint64_t slowest = 0;

        for (size_t what = 0; what < N_COUNTS; what++) {
                uint64_t sum = 0;

                for (unsigned i = 0; i < n; i++)
                        sum += clients[i].counts[what];
                printf("%s %llu\n", count_names[what], (unsigned long long) sum);
        }
        for (unsigned i = 0; i < n; i++)
                slowest = MAX_OF(slowest, clients[i].slowest);
        printf("slowest %llu\n", (unsigned long long) (slowest / USEC_PER_MSEC));
        if (last_error != 0)
                fprintf(stderr, "load: %s\n", strerror(last_error));
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "threads", required_argument, NULL, 't' },
                { "slots", required_argument, NULL, 's' }, /* connections at a time, a thread */
                { "least", required_argument, NULL, 'l' }, /* go on after SIGTERM until so many */
                {},
        };
        static Client clients[THREADS_MAX];
        unsigned n_threads = 2;
        unsigned long port;
        int o, r;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (o) {
                case 't':
                        n_threads = (unsigned) atoi(optarg);
                        break;
                case 's':
                        n_slots = (unsigned) atoi(optarg);
                        break;
                case 'l':
                        least = strtoull(optarg, NULL, 10);
                        break;
                default:
                        return 2;
                }
        if (argc - optind < 3 || n_threads < 1 || n_threads > THREADS_MAX || n_slots < 1 ||
            n_slots > SLOTS_MAX)
                return 2;
        for (size_t i = 0; i < ELEMENTSOF(exchanges); i++)
                if (strcmp(argv[optind], exchanges[i].name) == 0)
                        exchange = &exchanges[i];
        port = strtoul(argv[optind + 1], NULL, 10);
        if (!exchange || port < 1 || port > UINT16_MAX)
                return 2;
        least = (least + n_threads - 1) / n_threads;

        (void) signal(SIGTERM, on_signal);
        (void) signal(SIGINT, on_signal);
        for (unsigned i = 0; i < n_threads; i++) {
                const char *address = argv[optind + 2 + (int) i % (argc - optind - 2)];

                r = start_client(&clients[i], address, (uint16_t) port);
                if (r < 0) {
                        fprintf(stderr, "load: %s: %s\n", address, strerror(-r));
                        return 1;
                }
        }
        for (unsigned i = 0; i < n_threads; i++)
                (void) pthread_join(clients[i].thread, NULL);
        print_counts(clients, n_threads);
        return 0;
}
