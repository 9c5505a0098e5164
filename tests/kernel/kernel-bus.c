/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The control interface against friends and enemies. The server runs in a child of this program, so
 * that its fds and its memory can be counted from outside. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/bus/bus.h"
#include "server-util.h"

#define USER   4242 /* a User= of the configuration */
#define NOBODY 65534

#define PATH "/org/portreserved1"
#define NAME "org.portreserved1"

static char directory[] = "/tmp/kernel-bus.XXXXXX";

/* Freed memory is to be given back also under AddressSanitizer, since it is counted here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}

/* ---- the server ---- */

static char big_state[1 << 20];

static int serve_reload(char **ret_json, char **ret_error, void *userdata)
{
        *ret_error = strdup("portreserved.conf:3: no such key");
        return -EINVAL;
}

static int serve_state(char **ret_json, void *userdata)
{
        *ret_json = strdup(big_state);
        return 0;
}

static bool serve_admits(uid_t uid, void *userdata)
{
        return uid == 0 || uid == USER;
}

static int sockets[2];

static int serve_open(const char *name, const BusCaller *caller, int **ret_fds, size_t *ret_n,
                      char ***ret_names, char **ret_error, void *userdata)
{
        if (strcmp(name, "absent") == 0) {
                *ret_error = strdup("There is no reservation absent");
                return -ENOENT;
        }
        if (caller->uid != 0)
                return -EPERM;
        if (caller->pidfd < 0)
                return -EIO;
        if (strcmp(name, "busy") == 0)
                return -EADDRINUSE;
        *ret_fds = calloc(2, sizeof(int));
        memcpy(*ret_fds, sockets, sizeof(sockets));
        *ret_n = 2;
        *ret_names = calloc(3, sizeof(char *));
        (*ret_names)[0] = strdup(name);
        (*ret_names)[1] = strdup("second");
        return 0;
}

static const BusOps ops = {
        .reload = serve_reload,
        .state = serve_state,
        .admits = serve_admits,
        .open = serve_open,
};

static int on_emit(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        bus_emit_event(userdata, "{\"seq\":1}");
        return 0;
}

static int on_restore(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        return bus_restore(userdata);
}

static int run_server(int ready)
{
        _cleanup_(bus_freep) Bus *b = NULL;
        sigset_t mask;
        sd_event *e;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        memset(big_state, 'x', sizeof(big_state) - 1);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGUSR1);
        (void) sigaddset(&mask, SIGUSR2);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 ||
            sd_event_new(&e) < 0 || bus_new(e, directory, &ops, NULL, &b) < 0 ||
            sd_event_add_signal(e, NULL, SIGUSR1, on_emit, b) < 0 ||
            sd_event_add_signal(e, NULL, SIGUSR2, on_restore, b) < 0 ||
            sd_event_add_signal(e, NULL, SIGTERM, NULL, NULL) < 0 || write(ready, "", 1) != 1)
                return 1;
        close(ready);
        return sd_event_loop(e) < 0;
}

static int start_server(void **state)
{
        return fork_server(run_server);
}

static int stop_server(void **state)
{
        return end_server();
}

static unsigned long resident_pages(void)
{
        unsigned long size, resident = 0;
        char path[64];
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/statm", (int) server);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%lu %lu", &size, &resident), 2);
        fclose(f);
        return resident;
}

static double cpu_seconds(void)
{
        unsigned long user, system;
        char path[64];
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) server);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                &user, &system),
                         2);
        fclose(f);
        return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

/* ---- clients ---- */

static int dial(void)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd;

        (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/control", directory);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        if (connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

static sd_bus *call_up(void)
{
        sd_bus *bus;
        int fd;

        fd = dial();
        assert_true(fd >= 0);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_bus_negotiate_fds(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

static bool still_answers(void)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = call_up();
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *s;
        bool ok;

        ok = sd_bus_call_method(bus, NULL, PATH, NAME, "GetState", &error, &reply, "") >= 0 &&
             sd_bus_message_read(reply, "s", &s) > 0 && strlen(s) == sizeof(big_state) - 1;
        sd_bus_message_unref(reply);
        sd_bus_error_free(&error);
        return ok;
}

/* Does the server hang up, within 20 s? */
static bool hangs_up(int fd)
{
        char buf[65536];

        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                ssize_t n;

                if (poll(&p, 1, 20000) <= 0)
                        return false;
                n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
                if (n == 0 || (n < 0 && errno != EAGAIN))
                        return true;
        }
}

/* Runs f as that uid; its return value is the answer. */
static int as_user(uid_t uid, int (*f)(void))
{
        int status;
        pid_t pid;

        pid = fork();
        if (pid == 0)
                _exit(setresuid(uid, uid, uid) < 0 ? 99 : f());
        assert_true(waitpid(pid, &status, 0) == pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int call_error(const char *method, const char *argument, const char *want)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = call_up();
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, NULL, PATH, NAME, method, &error, NULL, argument ? "s" : "",
                               argument);
        r = r < 0 && sd_bus_error_has_name(&error, want) ? 0 : 1;
        if (r != 0)
                fprintf(stderr, "%s: %s, %s\n", method, error.name ?: "no error",
                        error.message ?: "");
        sd_bus_error_free(&error);
        return r;
}

static void test_methods(void **state)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = call_up();
        sd_bus_message *reply = NULL;
        const char *s;

        assert_true(still_answers());
        assert_true(sd_bus_call_method(bus, NULL, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                       "Hello", NULL, &reply, "") >= 0);
        assert_true(sd_bus_message_read(reply, "s", &s) > 0);
        assert_int_equal(s[0], ':');
        sd_bus_message_unref(reply);
        assert_true(sd_bus_call_method(bus, NULL, PATH, "org.freedesktop.DBus.Introspectable",
                                       "Introspect", NULL, &reply, "") >= 0);
        assert_true(sd_bus_message_read(reply, "s", &s) > 0);
        assert_non_null(strstr(s, "<method name=\"Open\">"));
        sd_bus_message_unref(reply);
        assert_int_equal(call_error("Reload", NULL, NAME ".Error.ConfigurationInvalid"), 0);
        assert_int_equal(call_error("Open", "absent", NAME ".Error.NotFound"), 0);
        assert_int_equal(call_error("Open", "busy", NAME ".Error.InUse"), 0);
        assert_int_equal(call_error("Nonsense", NULL, SD_BUS_ERROR_UNKNOWN_METHOD), 0);
}

static void test_open_passes_sockets(void **state)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = call_up();
        sd_bus_message *reply = NULL;
        const char *names[2] = {};
        int first, second;
        char c = 0;

        assert_true(sd_bus_call_method(bus, NULL, PATH, NAME, "Open", NULL, &reply, "s", "web") >=
                    0);
        assert_true(sd_bus_message_read(reply, "ah", 2, &first, &second) > 0);
        assert_true(sd_bus_message_read(reply, "as", 2, &names[0], &names[1]) > 0);
        assert_string_equal(names[0], "web");
        assert_string_equal(names[1], "second");
        /* They are the two ends of what the server made. */
        assert_int_equal(send(first, "!", 1, MSG_DONTWAIT), 1);
        assert_int_equal(recv(second, &c, 1, 0), 1);
        assert_int_equal(c, '!');
        sd_bus_message_unref(reply);
}

static int user_checks(void)
{
        return call_error("Open", "web", NAME ".Error.Denied") +
               call_error("Reload", NULL, NAME ".Error.Denied") + !still_answers();
}

static void test_user_is_admitted(void **state)
{
        assert_int_equal(as_user(USER, user_checks), 0);
}

static int nobody_checks(void)
{
        /* A connect that succeeds tells that the daemon runs; nothing else is answered. */
        int fd = dial();

        return fd >= 0 && hangs_up(fd) ? 0 : 1;
}

static void test_nobody_is_not(void **state)
{
        assert_int_equal(as_user(NOBODY, nobody_checks), 0);
}

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *s;

        if (sd_bus_message_read(m, "s", &s) > 0 && strcmp(s, "{\"seq\":1}") == 0)
                ++*(unsigned *) userdata;
        return 0;
}

static void test_events_to_subscribers(void **state)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = call_up(), *other = call_up();
        unsigned seen = 0, others = 0;

        assert_true(sd_bus_match_signal(bus, NULL, NULL, PATH, NAME, "Event", on_event, &seen) >=
                    0);
        assert_true(sd_bus_match_signal(other, NULL, NULL, PATH, NAME, "Event", on_event,
                                        &others) >= 0);
        assert_true(sd_bus_call_method(bus, NULL, PATH, NAME, "Subscribe", NULL, NULL, "") >= 0);
        assert_int_equal(kill(server, SIGUSR1), 0);
        for (unsigned i = 0; i < 200 && seen == 0; i++) {
                (void) sd_bus_wait(bus, 100000);
                while (sd_bus_process(bus, NULL) > 0)
                        ;
        }
        assert_int_equal(seen, 1);
        /* The other asked later than the signal went out: it would be there by now. */
        assert_true(sd_bus_call_method(other, NULL, PATH, NAME, "GetState", NULL, NULL, "") >= 0);
        while (sd_bus_process(other, NULL) > 0)
                ;
        assert_int_equal(others, 0);
}

static void test_restore(void **state)
{
        char path[128];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/control", directory);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(dial(), -1);
        assert_int_equal(kill(server, SIGUSR2), 0);
        for (unsigned i = 0; i < 200; i++) {
                fd = dial();
                if (fd >= 0)
                        break;
                (void) usleep(50000);
        }
        assert_true(fd >= 0);
        close(fd);
        assert_true(still_answers());
}

/* ---- enemies ---- */

static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";

/* An authenticated connection without sd-bus. */
static int enter(void)
{
        int fd = dial();

        assert_true(fd >= 0);
        assert_int_equal(send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL), sizeof(hello) - 1);
        return fd;
}

/* A call of GetState by hand; extra: bytes of body that it claims. */
static size_t make_call(uint8_t *buf, uint32_t extra)
{
        static const struct {
                uint8_t code;
                const char *type, *value;
        } fields[] = { { 1, "o", PATH }, { 2, "s", NAME }, { 3, "s", "GetState" } };
        uint32_t serial = 1, length;
        size_t n = 16;

        memset(buf, 0, 256);
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                uint32_t l = (uint32_t) strlen(fields[i].value);

                n = (n + 7) & ~(size_t) 7;
                buf[n++] = fields[i].code;
                buf[n++] = 1;
                buf[n++] = (uint8_t) fields[i].type[0];
                buf[n++] = 0;
                memcpy(buf + n, &l, 4);
                memcpy(buf + n + 4, fields[i].value, l + 1);
                n += 4 + l + 1;
        }
        length = (uint32_t) n - 16;
        buf[0] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B';
        buf[1] = 1;
        buf[3] = 1;
        memcpy(buf + 4, &extra, 4);
        memcpy(buf + 8, &serial, 4);
        memcpy(buf + 12, &length, 4);
        return (n + 7) & ~(size_t) 7;
}

static void test_call_by_hand(void **state)
{
        uint8_t buf[256];
        char answer[65536];
        size_t n = make_call(buf, 0), got = 0;
        int fd = enter();

        /* That the enemies below are refused for what they do, not for a mistake of ours: byte by
         * byte, it is answered. */
        for (size_t i = 0; i < n; i++)
                assert_int_equal(send(fd, buf + i, 1, MSG_NOSIGNAL), 1);
        while (got < sizeof(big_state)) {
                ssize_t l = recv(fd, answer, sizeof(answer), 0);

                assert_true(l > 0);
                got += (size_t) l;
        }
        close(fd);
}

static void test_silent(void **state)
{
        int fd = dial();

        assert_true(fd >= 0);
        assert_true(hangs_up(fd));
        close(fd);
        assert_true(settles());
}

static void test_garbage(void **state)
{
        uint8_t noise[8192], buf[256];
        unsigned seed = 1;
        size_t n;
        int fd;

        for (unsigned round = 0; round < 50; round++) {
                for (size_t i = 0; i < sizeof(noise); i++)
                        noise[i] = (uint8_t) rand_r(&seed);
                fd = round % 2 ? enter() : dial();
                assert_true(fd >= 0);
                (void) send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
                assert_true(hangs_up(fd));
                close(fd);
        }
        /* A message well framed and broken inside. */
        for (size_t i = 16; i < 100; i++) {
                n = make_call(buf, 0);
                buf[i] ^= 0xff;
                fd = enter();
                (void) send(fd, buf, n, MSG_NOSIGNAL);
                close(fd);
        }
        assert_true(settles());
        assert_true(still_answers());
}

static void test_never_reads(void **state)
{
        unsigned long pages = resident_pages();
        uint8_t buf[256];
        size_t n = make_call(buf, 0);
        int fds[8];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = enter();
                assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
        }
        /* Each call is worth 1 MiB of answer, thousands fit into a socket's buffer. */
        for (unsigned round = 0; round < 2000; round++)
                for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                        (void) send(fds[i], buf, n, MSG_NOSIGNAL);
        (void) usleep(500000);
        assert_true(resident_pages() < pages + (64u << 20) / 4096u);
        assert_true(still_answers());
        assert_true(settles());
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

static void test_half_of_100_megabytes(void **state)
{
        static uint8_t zeros[1 << 20];
        unsigned long pages = resident_pages();
        uint8_t buf[256];
        size_t n = make_call(buf, 100u << 20);
        int fds[8];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = enter();
                (void) send(fds[i], buf, n, MSG_NOSIGNAL);
                for (unsigned k = 0; k < 50; k++)
                        if (send(fds[i], zeros, sizeof(zeros), MSG_NOSIGNAL) < 0)
                                break;
        }
        assert_true(resident_pages() < pages + (16u << 20) / 4096u);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                assert_true(hangs_up(fds[i]));
                close(fds[i]);
        }
        assert_true(settles());
}

static void test_half_of_a_small_one(void **state)
{
        uint8_t buf[256];
        size_t n = make_call(buf, 0);
        int fd = enter();

        assert_int_equal(send(fd, buf, n - 1, MSG_NOSIGNAL), n - 1);
        assert_true(hangs_up(fd));
        close(fd);
        assert_true(settles());
}

static void test_sends_fds(void **state)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(200 * sizeof(int))];
        } control = {};
        uint8_t buf[256];
        struct iovec iov = { .iov_base = buf, .iov_len = make_call(buf, 0) - 1 };
        struct msghdr m = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control) };
        int fds[8];

        control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(200 * sizeof(int)),
                                           .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS };
        memset(CMSG_DATA(&control.header), 0, 200 * sizeof(int)); /* standard input, 200 times */
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = enter();
                assert_true(sendmsg(fds[i], &m, MSG_NOSIGNAL) > 0);
        }
        (void) usleep(300000);
        /* Four for each connection, and none of those sent. */
        assert_true(count_fds() <= idle_fds + 4 * ELEMENTSOF(fds) + PASSING);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
        assert_true(settles());
}

static void test_thousand_connections(void **state)
{
        static int fds[1000];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = dial();
        for (unsigned i = 0; i < 20; i++) {
                assert_true(count_fds() <= idle_fds + 4 * 64 + PASSING);
                (void) usleep(20000);
        }
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        assert_true(settles());
        assert_true(still_answers());
}

/* Takes what one user can get, says so, and keeps it. */
static int hoard(int ready)
{
        for (unsigned i = 0; i < 40; i++)
                (void) dial();
        if (write(ready, "", 1) != 1)
                return 1;
        return pause();
}

static void test_hoarder(void **state)
{
        bool full = false;
        int p[2];
        pid_t pid;
        char c;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(setresuid(USER, USER, USER) < 0 ? 99 : hoard(p[1]));
        }
        close(p[1]);
        assert_int_equal(read(p[0], &c, 1), 1);
        close(p[0]);
        /* Whatever a user takes: the others are served. Counted here, since a user may not look into
         * the server's /proc/PID/fd. */
        for (unsigned i = 0; i < 200 && !full; i++) {
                unsigned n = count_fds();

                assert_true(n <= idle_fds + 4 * 16 + PASSING);
                full = n == idle_fds + 4 * 16;
                (void) usleep(20000);
        }
        assert_true(full);
        assert_true(still_answers());
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(settles());
        assert_true(still_answers());
}

static void test_full_fd_table(void **state)
{
        struct rlimit old, tight = {};
        double cpu;
        int fds[4];

        assert_int_equal(prlimit(server, RLIMIT_NOFILE, NULL, &old), 0);
        tight = (struct rlimit){ .rlim_cur = 1, .rlim_max = old.rlim_max };
        assert_int_equal(prlimit(server, RLIMIT_NOFILE, &tight, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = dial();
        cpu = cpu_seconds();
        (void) sleep(3);
        assert_true(cpu_seconds() - cpu < 1.0); /* spinning would be three */
        assert_int_equal(prlimit(server, RLIMIT_NOFILE, &old, NULL), 0);
        assert_true(still_answers());
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
        assert_true(settles());
}

static void test_memory_returns(void **state)
{
        unsigned long pages;

        /* Allocators keep some 20 MiB to themselves, AddressSanitizer's above all; a leaked
         * connection is 64 KiB. */
        for (unsigned i = 0; i < 100; i++)
                assert_true(still_answers());
        pages = resident_pages();
        for (unsigned i = 0; i < 1000; i++)
                assert_true(still_answers());
        assert_true(resident_pages() < pages + (40u << 20) / 4096u);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_methods),
                cmocka_unit_test(test_open_passes_sockets),
                cmocka_unit_test(test_user_is_admitted),
                cmocka_unit_test(test_nobody_is_not),
                cmocka_unit_test(test_events_to_subscribers),
                cmocka_unit_test(test_restore),
                cmocka_unit_test(test_call_by_hand),
                cmocka_unit_test(test_silent),
                cmocka_unit_test(test_garbage),
                cmocka_unit_test(test_never_reads),
                cmocka_unit_test(test_half_of_100_megabytes),
                cmocka_unit_test(test_half_of_a_small_one),
                cmocka_unit_test(test_sends_fds),
                cmocka_unit_test(test_thousand_connections),
                cmocka_unit_test(test_hoarder),
                cmocka_unit_test(test_full_fd_table),
                cmocka_unit_test(test_memory_returns),
        };
        int r;

        if (!mkdtemp(directory) || chmod(directory, 0755) < 0)
                return 1;
        r = cmocka_run_group_tests(tests, start_server, stop_server);
        if (rmdir(directory) < 0) {
                perror(directory);
                return 1;
        }
        return r;
}
