/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The whole daemon: from exec to READY=1 with 1,000 and 10,000 placeholders, first start and
 * restart (the sockets come back as from the fd store), against a bare loop of socket() and bind()
 * over the same ports; and its resident memory, against a process that has nothing but the sockets.
 * usage: bench-daemon PORTRESERVED */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "tests/bench/report.h"

#define FIRST_PORT 1024
#define RUNS       3

static const char *program;
static char directory[] = "/tmp/bench-daemon.XXXXXX";

static double now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double) ts.tv_sec * 1e3 + (double) ts.tv_nsec / 1e6;
}

static _Noreturn void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static int bind_port(int port)
{
        struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t) port) };
        const int off = 0;
        int fd;

        fd = socket(AF_INET6, SOCK_STREAM, 0);
        if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
            bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                die("bind");
        return fd;
}

/* Binds n ports from fd 3 on, as PID 1 would hand them over. In a child, so that the fds are its
 * own. */
static double bare_loop(int n)
{
        double begin = now_ms();

        for (int i = 0; i < n; i++)
                (void) bind_port(FIRST_PORT + i);
        return now_ms() - begin;
}

static long resident_kib(pid_t pid)
{
        char path[64], line[256];
        long kib = 0;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        f = fopen(path, "re");
        if (!f)
                die(path);
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "VmRSS: %ld kB", &kib) == 1)
                        break;
        fclose(f);
        return kib;
}

typedef struct Bare {
        double ms;
        long kib;
} Bare;

static Bare measure_bare(int n)
{
        Bare b = {};
        int pipefd[2];
        pid_t pid;

        if (pipe(pipefd) < 0)
                die("pipe");
        pid = fork();
        if (pid == 0) {
                b.ms = bare_loop(n);
                b.kib = resident_kib(getpid());
                _exit(write(pipefd[1], &b, sizeof(b)) == sizeof(b) ? 0 : 1);
        }
        if (read(pipefd[0], &b, sizeof(b)) != sizeof(b))
                die("child");
        close(pipefd[0]);
        close(pipefd[1]);
        (void) waitpid(pid, NULL, 0);
        return b;
}

static void write_config(const char *path, int n)
{
        FILE *f = fopen(path, "we");

        if (!f)
                die(path);
        fprintf(f, "[Daemon]\nEphemeralFloor=0\n[bench]\nPorts=%d-%d/tcp\nHold=bound\n", FIRST_PORT,
                FIRST_PORT + n - 1);
        if (fclose(f) != 0)
                die(path);
}

static int notify_socket(char *path, size_t size)
{
        static const struct timeval patience = { .tv_sec = 60 };
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd;

        (void) snprintf(path, size, "%.80s/notify", directory);
        (void) unlink(path);
        strcpy(sa.sun_path, path);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                die("notify socket");
        return fd;
}

static void await_ready(int fd)
{
        char text[4096];

        for (;;) {
                ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

                if (n < 0)
                        die("READY=1 did not come");
                text[n] = 0;
                if (strstr(text, "READY=1"))
                        return;
        }
}

/* One run of the daemon until READY=1. restart: it finds its sockets as fds 3 and up. */
static double measure_daemon(int n, bool restart, long *ret_kib)
{
        char notify[128], config[64], option[3][96];
        double begin, ms;
        int fd, pipefd[2];
        char go = 0;
        pid_t pid;

        fd = notify_socket(notify, sizeof(notify));
        (void) snprintf(config, sizeof(config), "%s/conf", directory);
        write_config(config, n);
        (void) snprintf(option[0], sizeof(option[0]), "--config=%s", config);
        (void) snprintf(option[1], sizeof(option[1]), "--runtime-dir=%s/run", directory);
        (void) snprintf(option[2], sizeof(option[2]), "--state-dir=%s/state", directory);
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                die("pipe");

        pid = fork();
        if (pid == 0) {
                char text[16];

                if (restart) {
                        /* Below 3 + n every fd must be a socket: move the pipe out of the way. */
                        int w = fcntl(pipefd[1], F_DUPFD_CLOEXEC, 3 + n + 10);

                        (void) close_range(3, (unsigned) w - 1, 0);
                        pipefd[1] = w;
                        (void) bare_loop(n);
                        (void) snprintf(text, sizeof(text), "%d", n);
                        setenv("LISTEN_FDS", text, 1);
                        (void) snprintf(text, sizeof(text), "%d", (int) getpid());
                        setenv("LISTEN_PID", text, 1);
                }
                setenv("NOTIFY_SOCKET", notify, 1);
                if (write(pipefd[1], &go, 1) != 1)
                        _exit(1);
                execl(program, program, option[0], option[1], option[2], NULL);
                _exit(127);
        }
        if (read(pipefd[0], &go, 1) != 1)
                die("child");
        begin = now_ms();
        await_ready(fd);
        ms = now_ms() - begin;
        *ret_kib = resident_kib(pid);

        close(pipefd[0]);
        close(pipefd[1]);
        close(fd);
        kill(pid, SIGTERM);
        (void) waitpid(pid, NULL, 0);
        return ms;
}

static void bench(int n)
{
        double bare = 1e9, first = 1e9, restart = 1e9;
        long kib = 0, bare_kib = 0, ignored;

        for (int i = 0; i < RUNS; i++) {
                Bare b = measure_bare(n);

                bare = MIN_OF(bare, b.ms);
                bare_kib = b.kib;
                first = MIN_OF(first, measure_daemon(n, false, &kib));
                restart = MIN_OF(restart, measure_daemon(n, true, &ignored));
        }
        report("ready", (unsigned) n, "ms", first, bare,
               "socket and bind; ours: from exec to READY=1");
        report("restart", (unsigned) n, "ms", restart, bare,
               "socket and bind; ours: from exec to READY=1");
        report("resident", (unsigned) n, "KiB", (double) kib, (double) bare_kib,
               "a process with the sockets");
}

int main(int argc, char *argv[])
{
        struct rlimit limit;

        if (argc != 2) {
                fprintf(stderr, "usage: %s PORTRESERVED\n", argv[0]);
                return 2;
        }
        program = argv[1];
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                die("getrlimit");
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
        if (!mkdtemp(directory))
                die(directory);
        bench(1000);
        if (limit.rlim_max < 12000) {
                printf("ready-10000: left out, RLIMIT_NOFILE is %llu\n",
                       (unsigned long long) limit.rlim_max);
                return 0;
        }
        bench(10000);
        return 0;
}
