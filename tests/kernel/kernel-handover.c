/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's end of hand-over, in a child, against those who keep to the protocol and those who
 * do not. */

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/bus/handover-server.h"
#include "kernel/cgroup.h"
#include "kernel/runtime.h"
#include "server-util.h"

static char directory[] = "/tmp/kernel-handover.XXXXXX";
static char *cgroup; /* ours: the caller's */

/* Knows "web"; "me" is a start by this very test; "idle" a stop. */
static int serve_request(const HandoverRequest *r, void *userdata)
{
        if (strcmp(r->name, "web") == 0)
                return 0;
        if (strcmp(r->name, "busy") == 0)
                return -EADDRINUSE;
        if (strcmp(r->name, "denied") == 0)
                return -EPERM;
        if (strcmp(r->name, "me") == 0)
                return r->start && r->uid == 0 && r->pid == getppid() &&
                                       (cgroup ? r->cgroup && strcmp(r->cgroup, cgroup) == 0
                                               : !r->cgroup)
                               ? 0
                               : -EIO;
        if (strcmp(r->name, "idle") == 0)
                return r->start ? -EIO : 0;
        return -ENOENT;
}

static const HandoverOps ops = { .request = serve_request };

static int on_restore(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        return handover_server_restore(userdata);
}

static int run_server(int ready)
{
        _cleanup_(handover_server_freep) HandoverServer *h = NULL;
        sigset_t mask;
        sd_event *e;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGUSR2);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        if (sd_event_new(&e) < 0 || handover_server_new(e, directory, &ops, NULL, &h) < 0 ||
            sd_event_add_signal(e, NULL, SIGUSR2, on_restore, h) < 0 ||
            sd_event_add_signal(e, NULL, SIGTERM, NULL, NULL) < 0 || write(ready, "", 1) != 1)
                return 1;
        close(ready);
        return sd_event_loop(e) < 0;
}

static int start_server(void **state)
{
        if (cgroup_of_pid(0, &cgroup) < 0)
                cgroup = NULL;
        return fork_server(run_server);
}

static int stop_server(void **state)
{
        free(cgroup);
        return end_server();
}

static int dial(void)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd;

        (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/handover", directory);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        if (connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

static void ask(const void *request, size_t size, const char *want)
{
        char reply[HANDOVER_MESSAGE_MAX + 1];
        struct pollfd p;
        ssize_t n;
        int fd;

        fd = dial();
        assert_true(fd >= 0);
        assert_int_equal(send(fd, request, size, MSG_NOSIGNAL), size);
        p = (struct pollfd){ .fd = fd, .events = POLLIN };
        assert_int_equal(poll(&p, 1, 20000), 1);
        n = recv(fd, reply, sizeof(reply) - 1, 0);
        assert_true(n > 0);
        reply[n] = 0;
        assert_string_equal(reply, want);
        /* One reply, and it is over. */
        assert_int_equal(recv(fd, reply, sizeof(reply), 0), 0);
        close(fd);
}

#define ASK(request, want) ask(request, sizeof(request), want)

static void test_requests(void **state)
{
        ASK("start\0web", "ok");
        ASK("start\0me", "ok");
        ASK("stop\0idle\0web", "ok");
        ASK("start\0absent", "error absent: no such reservation");
        /* The others are served all the same; each failure is named. */
        ASK("start\0busy\0me\0denied",
            "error busy: somebody else has the port; denied: not the owner");
        ASK("stop\0me", "error me: Input/output error");
        /* portrelease wants to know what to exit with: the first failure's status. */
        ASK("release\0web", "ok");
        ASK("release\0web\0absent\0busy",
            "error 4 absent: no such reservation; busy: somebody else has the port");
        ASK("release\0denied", "error 5 denied: not the owner");
        ASK("release\0busy", "error 6 busy: somebody else has the port");
        ASK("release\0idle", "error 1 idle: Input/output error");
}

static void test_malformed(void **state)
{
        static char big[HANDOVER_MESSAGE_MAX + 100];

        ask("start\0web", 9, "error malformed request");
        ASK("start", "error malformed request");
        ASK("begin\0web", "error malformed request");
        ASK("release", "error malformed request");
        ASK("start\0../x", "error malformed request");
        memset(big, 'a', sizeof(big) - 1);
        memcpy(big, "start", 6);
        ASK(big, "error malformed request");
        assert_true(settles());
}

static void test_mode(void **state)
{
        char path[64];
        struct stat st;

        (void) snprintf(path, sizeof(path), "%s/handover", directory);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode, S_IFSOCK | 0600);
}

static void test_restore(void **state)
{
        char path[64];
        int fd = -1;

        (void) snprintf(path, sizeof(path), "%s/handover", directory);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(kill(server, SIGUSR2), 0);
        for (unsigned i = 0; i < 200 && fd < 0; i++) {
                (void) usleep(50000);
                fd = dial();
        }
        assert_true(fd >= 0);
        close(fd);
        ASK("start\0web", "ok");
        assert_true(settles());
}

/* Another process is served while this one has all the connections that one may have. */
static void expect_others_served(void)
{
        int status;
        pid_t pid;

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                ASK("start\0web", "ok");
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void test_silent_ones(void **state)
{
        int fds[200];
        char c;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = dial();
        expect_others_served();
        for (unsigned i = 0; i < 10; i++) {
                assert_true(count_fds() <= idle_fds + 2 * 16 + PASSING);
                (void) usleep(20000);
        }
        /* Nobody speaks: all are hung up on, and who comes then is served. */
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                struct pollfd p = { .fd = fds[i], .events = POLLIN };

                assert_int_equal(poll(&p, 1, 20000), 1);
                assert_true(recv(fds[i], &c, 1, 0) <= 0);
                close(fds[i]);
        }
        assert_true(settles());
        ASK("start\0web", "ok");
}

static void test_never_reads(void **state)
{
        int fds[50];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = dial();
                assert_int_equal(send(fds[i], "start\0web", 10, MSG_NOSIGNAL), 10);
        }
        ASK("start\0web", "ok");
        assert_true(settles());
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

static int send_fd(int socket, int fd)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (char *) "", .iov_len = 1 };
        struct msghdr m = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control) };

        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        return sendmsg(socket, &m, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int socket)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = {};
        char byte;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr m = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control) };
        int fd;

        if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m))
                return -1;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
        return fd;
}

/* It asks and is gone, with a descriptor of the connection left in another process: not served, not
 * answered. */
static void test_asked_and_ended(void **state)
{
        struct pollfd p = { .events = POLLIN };
        char reply[64];
        int status;
        pid_t pid;

        for (unsigned i = 0; i < 20; i++) {
                int pair[2];

                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        int fd = dial();

                        (void) send_fd(pair[1], fd);
                        _exit(0);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                p.fd = receive_fd(pair[0]);
                assert_true(p.fd >= 0);
                assert_true(send(p.fd, "start\0web", 10, MSG_NOSIGNAL) == 10 || errno == EPIPE);
                assert_int_equal(poll(&p, 1, 20000), 1);
                assert_true(recv(p.fd, reply, sizeof(reply), 0) <= 0);
                close(p.fd);
                close(pair[0]);
                close(pair[1]);
        }
        assert_true(settles());
}

static void test_sends_fds(void **state)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(100 * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (char *) "start\0web", .iov_len = 10 };
        struct msghdr m = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control) };
        int fd = dial();

        control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(100 * sizeof(int)),
                                           .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS };
        memset(CMSG_DATA(&control.header), 0, 100 * sizeof(int));
        assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), 10);
        ASK("start\0web", "ok");
        close(fd);
        assert_true(settles());
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests),    cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_mode),        cmocka_unit_test(test_restore),
                cmocka_unit_test(test_silent_ones), cmocka_unit_test(test_never_reads),
                cmocka_unit_test(test_sends_fds),   cmocka_unit_test(test_asked_and_ended),
        };
        int r;

        if (!mkdtemp(directory))
                return 1;
        r = cmocka_run_group_tests(tests, start_server, stop_server);
        if (rmdir(directory) < 0) {
                perror(directory);
                return 1;
        }
        return r;
}
