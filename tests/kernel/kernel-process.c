/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which process has a socket, while processes come, go, and run other programs: in a pid namespace of
 * this test's own, where pids can be given out a second time. */

#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "kernel/cgroup.h"
#include "kernel/process-facts.h"
#include "kernel/process.h"
#include "model/holder.h"
#include "sock-util.h"

/* A pid that nobody else has in a namespace this young. */
#define PID 4711

/* Of the parts that race: long enough for some hundred programs to come and go. */
#define RACE_USEC (1500 * USEC_PER_MSEC)

static char exe[4096], copy[64] = "/tmp/kernel-process.XXXXXX", cgroup[600],
                       mounted[64] = "/tmp/kernel-process-cgroup.XXXXXX";

/* fork(2) with that pid. */
static pid_t fork_as(pid_t pid)
{
        struct clone_args a = {
                .exit_signal = SIGCHLD,
                .set_tid = (uintptr_t) &pid,
                .set_tid_size = 1,
        };

        return (pid_t) syscall(SYS_clone3, &a, sizeof(a));
}

/* Where programs that this test runs find both names of it. */
#define ENVIRONMENT_EXE  "KERNEL_PROCESS_EXE"
#define ENVIRONMENT_COPY "KERNEL_PROCESS_COPY"

static _Noreturn void run(const char *file, const char *name, const char *role, int fd)
{
        char number[16];

        (void) snprintf(number, sizeof(number), "%d", fd);
        (void) execl(file, name, role, number, NULL);
        _exit(126);
}

static int copy_file(const char *from, const char *to)
{
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r;

        r = file_read(from, 64u << 20, &text, &size);
        return r < 0 ? r : file_write_atomic(to, text, size, 0755);
}

/* A socket that no process has open: on its way from us to ourselves. */
typedef struct Queued {
        int ends[2];
        uint32_t inode;
} Queued;

static Queued queue_socket(void)
{
        union {
                struct cmsghdr h;
                char room[CMSG_SPACE(sizeof(int))];
        } u = {};
        struct iovec v = { .iov_base = (char[1]){ 'x' }, .iov_len = 1 };
        struct msghdr m = {
                .msg_iov = &v,
                .msg_iovlen = 1,
                .msg_control = u.room,
                .msg_controllen = sizeof(u.room),
        };
        int fd = listener_on("127.0.0.1", 0);
        Queued q = { .inode = inode_of(fd) };

        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, q.ends), 0);
        u.h.cmsg_level = SOL_SOCKET;
        u.h.cmsg_type = SCM_RIGHTS;
        u.h.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&u.h), &fd, sizeof(fd));
        assert_int_equal(sendmsg(q.ends[0], &m, 0), 1);
        close(fd);
        return q;
}

/* Has it as well from now on, and leaves it where it is. */
static int take_queued(int end)
{
        union {
                struct cmsghdr h;
                char room[CMSG_SPACE(sizeof(int))];
        } u = {};
        struct iovec v = { .iov_base = (char[1]){}, .iov_len = 1 };
        struct msghdr m = {
                .msg_iov = &v,
                .msg_iovlen = 1,
                .msg_control = u.room,
                .msg_controllen = sizeof(u.room),
        };
        int fd = -1;

        if (recvmsg(end, &m, MSG_PEEK) == 1 && u.h.cmsg_type == SCM_RIGHTS)
                memcpy(&fd, CMSG_DATA(&u.h), sizeof(fd));
        return fd;
}

static void drop_queued(Queued *q)
{
        close(q->ends[0]);
        close(q->ends[1]);
}

static void end_child(pid_t pid)
{
        int status;

        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- none ---- */

static void test_nobody(void **state)
{
        Queued q = queue_socket();
        pid_t pid = 0, child;
        int fd;

        /* Here, anybody may be outside. */
        assert_int_equal(process_find_inode(NULL, q.inode, 0, &pid), -EACCES);
        if (cgroup[0]) {
                /* All that are in the cgroup are to be seen. */
                assert_int_equal(process_find_inode(cgroup, q.inode, 0, &pid), -ENOENT);
                assert_int_equal(process_find_inode("/does/not/exist", q.inode, 0, &pid), -EACCES);
        }
        assert_int_equal(pid, 0);

        fd = take_queued(q.ends[1]);
        assert_true(fd >= 0);
        assert_int_equal(process_find_inode(NULL, q.inode, 0, &pid), 0);
        assert_int_equal(pid, getpid());
        close(fd);

        /* One that has ended and that nobody waits for has nothing any more. */
        child = fork();
        if (child == 0)
                _exit(take_queued(q.ends[1]) < 0);
        assert_int_equal(waitid(P_PID, (id_t) child, &(siginfo_t){}, WEXITED | WNOWAIT), 0);
        assert_int_equal(process_find_inode(NULL, q.inode, 0, &pid), -EACCES);
        assert_int_equal(waitpid(child, NULL, 0), child);
        drop_queued(&q);
}

/* From a pid namespace below this one: processes of the cgroup are out of its sight. */
static int search_from_below(const Queued *q)
{
        pid_t pid;

        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, NULL) < 0)
                return 98;
        return process_find_inode(cgroup, q->inode, 0, &pid) == -EACCES ? 0 : 1;
}

static void test_somebody_out_of_sight(void **state)
{
        char procs[700];
        Queued q;
        pid_t child;
        int status;

        if (!cgroup[0]) {
                print_message("missing here: cgroup v2\n");
                skip();
        }
        q = queue_socket();
        (void) snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup);
        child = fork();
        if (child == 0) {
                if (write_file(procs, "0") < 0 || unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
                        _exit(97);
                child = fork();
                if (child == 0)
                        _exit(search_from_below(&q));
                _exit(waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                               : 99);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        drop_queued(&q);
}

/* ---- threads ---- */

typedef struct Threads {
        Queued q;
        int to_parent;
        bool ends_first;
} Threads;

static void *second_thread(void *userdata)
{
        Threads *t = userdata;

        if (unshare(CLONE_FILES) < 0 || take_queued(t->q.ends[1]) < 0)
                _exit(96);
        if (t->ends_first) {
                char text[64] = "";
                _cleanup_(freep) char *status = NULL;

                /* Until the first one has gone. */
                while (!strstr(text, "Z (zombie)")) {
                        free(status);
                        status = NULL;
                        if (file_read("/proc/self/status", 65536, &status, NULL) < 0)
                                _exit(95);
                        (void) snprintf(text, sizeof(text), "%.60s",
                                        strstr(status, "State:") ?: "");
                }
        }
        if (write(t->to_parent, "x", 1) != 1)
                _exit(94);
        for (;;)
                (void) pause();
}

static void check_threads(bool ends_first)
{
        Threads t = { .q = queue_socket(), .ends_first = ends_first };
        ProcessFacts facts;
        int p[2];
        pid_t child;
        char c;

        assert_int_equal(pipe(p), 0);
        t.to_parent = p[1];
        child = fork();
        if (child == 0) {
                pthread_t thread;

                if (pthread_create(&thread, NULL, second_thread, &t) != 0)
                        _exit(93);
                if (ends_first)
                        (void) syscall(SYS_exit, 0);
                for (;;)
                        (void) pause();
        }
        assert_int_equal(read(p[0], &c, 1), 1);
        assert_int_equal(process_has_inode(child, t.q.inode), 0);
        assert_int_equal(process_facts_find(NULL, t.q.inode, 0, &facts), 0);
        assert_int_equal(facts.pid, child);
        assert_int_equal(facts.number, -1);
        assert_true(facts.started_usec > 0);
        process_facts_done(&facts);
        end_child(child);
        close(p[0]);
        close(p[1]);
        drop_queued(&t.q);
}

static void test_thread(void **state)
{
        check_threads(false);
}

static void test_first_thread_ended(void **state)
{
        check_threads(true);
}

/* ---- the same pid again ---- */

static void test_pid_again(void **state)
{
        int fd = listener_on("127.0.0.1", 0);
        uint32_t inode = inode_of(fd);
        _cleanup_(closep) int process = -1;
        pid_t child;

        child = fork_as(PID);
        if (child == 0)
                for (;;)
                        (void) pause();
        assert_int_equal(child, PID);
        process = process_open(PID);
        assert_true(process >= 0);
        assert_int_equal(process_search_fds(process, inode, 0, NULL), 1);
        end_child(child);
        assert_int_equal(process_search_fds(process, inode, 0, NULL), -ENOENT);

        /* It has the socket, too; but it is not who was asked about. */
        child = fork_as(PID);
        if (child == 0)
                for (;;)
                        (void) pause();
        assert_int_equal(child, PID);
        assert_int_equal(process_has_inode(PID, inode), 1);
        assert_int_equal(process_search_fds(process, inode, 0, NULL), -ENOENT);
        assert_int_equal(process_search_threads(process, PID, inode, 0), -ENOENT);
        assert_int_equal(process_open_file(process, "stat", 0), -ENOENT);
        end_child(child);
        close(fd);
}

static void test_cgroup_of_pid_again(void **state)
{
        int fd = listener_on("127.0.0.1", 0);
        uint32_t inode = inode_of(fd);
        _cleanup_(freep) char *path = NULL;
        ProcessFacts facts;
        pid_t child;

        child = fork_as(PID);
        if (child == 0)
                for (;;)
                        (void) pause();
        close(fd);
        assert_int_equal(process_facts_find(NULL, inode, 0, &facts), 0);
        assert_int_equal(facts.pid, PID);
        if (facts.cgroup) {
                assert_int_equal(process_facts_cgroup(facts.pid, facts.started_usec, &path), 0);
                assert_string_equal(path, facts.cgroup);
        }
        /* One that has begun at another time is another. */
        assert_int_equal(
                process_facts_cgroup(facts.pid, facts.started_usec - 5 * USEC_PER_SEC, &path),
                -ENOENT);
        assert_int_equal(
                process_facts_cgroup(facts.pid, facts.started_usec + 5 * USEC_PER_SEC, &path),
                -ENOENT);
        process_facts_done(&facts);
        end_child(child);
        assert_int_equal(process_facts_cgroup(PID, 0, &path), -ENOENT);
}

/* Programs that live for a moment under one pid; every second one has the socket. */
static _Noreturn void keep_coming(const Queued *q)
{
        for (unsigned i = 0;; i++) {
                pid_t child = fork_as(PID);

                if (child == 0)
                        run(exe, i % 2 ? "innocent" : "holder", i % 2 ? "innocent" : "holder",
                            q->ends[1]);
                if (child < 0 || waitpid(child, NULL, 0) != child)
                        _exit(92);
        }
}

/* Ends at once: LeakSanitizer would look about from a process of its own, which shares our fds. */
static _Noreturn void live_for_a_moment(const char *role, int end)
{
        struct timespec ts = { .tv_nsec = 300000 };

        if (strcmp(role, "holder") == 0 && take_queued(end) < 0)
                _exit(1);
        (void) nanosleep(&ts, NULL);
        _exit(0);
}

static void test_pids_come_again(void **state)
{
        Queued q = queue_socket();
        uint64_t end = now_usec(CLOCK_MONOTONIC) + RACE_USEC;
        unsigned found = 0;
        pid_t child;

        child = fork();
        if (child == 0)
                keep_coming(&q);
        while (now_usec(CLOCK_MONOTONIC) < end || found == 0) {
                ProcessFacts facts;
                int r = process_facts_find(NULL, q.inode, 0, &facts);

                if (r < 0) {
                        if (r != -EACCES && r != -ESRCH)
                                fail_msg("%s", strerror(-r));
                        continue;
                }
                found++;
                assert_int_equal(facts.pid, PID);
                if (facts.command && strncmp(facts.command, "innocent", 8) == 0)
                        fail_msg("named: %s", facts.command);
                process_facts_done(&facts);
        }
        print_message("the holder was found %u times\n", found);
        end_child(child);
        (void) kill(PID, SIGKILL);
        drop_queued(&q);
}

/* ---- one program after another in the same process ---- */

static void test_exec_between(void **state)
{
        int fd = listener_on("127.0.0.1", 0);
        uint32_t inode = inode_of(fd);
        uint64_t end = now_usec(CLOCK_MONOTONIC) + RACE_USEC;
        unsigned ones = 0, twos = 0, commands = 0;
        pid_t child;

        child = fork();
        if (child == 0) {
                assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
                run(exe, "one", "exec-one", fd);
        }
        close(fd);
        while (now_usec(CLOCK_MONOTONIC) < end || ones == 0 || twos == 0 || commands == 0) {
                ProcessFacts facts;
                bool one;

                assert_int_equal(process_facts_find(NULL, inode, 0, &facts), 0);
                /* Until it has run itself for the first time, it is this test. */
                if (facts.exe && facts.command && strncmp(facts.command, "one exec-one", 12) != 0 &&
                    strncmp(facts.command, "two exec-two", 12) != 0) {
                        assert_int_equal(ones + twos, 0);
                        process_facts_done(&facts);
                        continue;
                }
                one = facts.exe && strcmp(facts.exe, exe) == 0;
                if (facts.exe && !one)
                        assert_string_equal(facts.exe, copy);
                ones += one;
                twos += !one;
                commands += facts.command != NULL;
                if (facts.exe && facts.command)
                        assert_memory_equal(facts.command, one ? "one" : "two", 3);
                process_facts_done(&facts);
        }
        print_message("one %u, two %u, with command line %u\n", ones, twos, commands);
        end_child(child);
}

/* ---- what a process says of itself ---- */

/* Starts a program that has the socket, which we give up, and waits until it runs: it stops itself. */
static pid_t start(const char *file, const char *name, int fd)
{
        pid_t child;
        int status;

        child = fork();
        if (child == 0) {
                if (fcntl(fd, F_SETFD, 0) < 0)
                        _exit(125);
                run(file, name, "stop", fd);
        }
        close(fd);
        assert_int_equal(waitpid(child, &status, WUNTRACED), child);
        assert_true(WIFSTOPPED(status));
        return child;
}

static void check_command(const char *name, const char *want)
{
        int fd = listener_on("127.0.0.1", 0);
        uint32_t inode = inode_of(fd);
        pid_t child = start(exe, name, fd);
        ProcessFacts facts;

        assert_int_equal(process_facts_find(NULL, inode, 0, &facts), 0);
        assert_int_equal(facts.pid, child);
        assert_string_equal(facts.exe, exe);
        assert_string_equal(facts.command, want);
        process_facts_done(&facts);
        end_child(child);
}

static void test_odd_commands(void **state)
{
        char longest[3 * 4096], want[HOLDER_COMMAND_MAX + 1], *end = longest;

        check_command("a\nb\x1b[2J\xff", "a\\x0ab\\x1b[2J\\xff stop 3");
        /* Whole characters, at most so many bytes. */
        memset(longest, 'x', sizeof(longest));
        longest[sizeof(longest) - 1] = 0;
        memcpy(want, longest, HOLDER_COMMAND_MAX);
        want[HOLDER_COMMAND_MAX] = 0;
        check_command(longest, want);
        memcpy(longest + HOLDER_COMMAND_MAX - 2, "\xe2\x82\xac", 3);
        want[HOLDER_COMMAND_MAX - 2] = 0;
        check_command(longest, want);
        for (; end < longest + sizeof(longest) - 1; end++)
                *end = '\n';
        for (size_t i = 0; i < HOLDER_COMMAND_MAX; i += 4)
                memcpy(want + i, "\\x0a", 4);
        want[HOLDER_COMMAND_MAX] = 0;
        check_command(longest, want);
}

/* The file goes, the program runs on, and another file takes its name. */
static void test_deleted_program(void **state)
{
        int fd = listener_on("127.0.0.1", 0);
        uint32_t inode = inode_of(fd);
        char gone[128], want[256];
        ProcessFacts facts;
        pid_t child;

        (void) snprintf(gone, sizeof(gone), "%s.gone", copy);
        assert_int_equal(copy_file(exe, gone), 0);
        child = start(gone, "gone", fd);
        assert_int_equal(unlink(gone), 0);
        assert_int_equal(copy_file(exe, gone), 0);
        assert_int_equal(process_facts_find(NULL, inode, 0, &facts), 0);
        assert_int_equal(facts.pid, child);
        (void) snprintf(want, sizeof(want), "%s (deleted)", gone);
        assert_string_equal(facts.exe, want);
        process_facts_done(&facts);
        end_child(child);
        assert_int_equal(unlink(gone), 0);
}

/* ---- the program itself ---- */

static int play(char **argv)
{
        int fd = atoi(argv[2]);

        if (strcmp(argv[1], "holder") == 0 || strcmp(argv[1], "innocent") == 0)
                live_for_a_moment(argv[1], fd);
        if (strcmp(argv[1], "exec-one") == 0)
                run(getenv(ENVIRONMENT_COPY), "two", "exec-two", fd);
        if (strcmp(argv[1], "exec-two") == 0)
                run(getenv(ENVIRONMENT_EXE), "one", "exec-one", fd);
        return raise(SIGSTOP);
}

static int set_up(void **state)
{
        int fd;

        if (loopback_up(state) < 0)
                return -1;
        fd = mkstemp(copy);
        if (fd < 0)
                return -1;
        close(fd);
        return copy_file(exe, copy) < 0 || setenv(ENVIRONMENT_EXE, exe, 1) < 0 ||
                               setenv(ENVIRONMENT_COPY, copy, 1) < 0
                       ? -1
                       : 0;
}

static int tear_down(void **state)
{
        return unlink(copy);
}

static int run_all(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody),
                cmocka_unit_test(test_somebody_out_of_sight),
                cmocka_unit_test(test_thread),
                cmocka_unit_test(test_first_thread_ended),
                cmocka_unit_test(test_pid_again),
                cmocka_unit_test(test_cgroup_of_pid_again),
                cmocka_unit_test(test_pids_come_again),
                cmocka_unit_test(test_exec_between),
                cmocka_unit_test(test_odd_commands),
                cmocka_unit_test(test_deleted_program),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* In namespaces of our own: /proc shows who is in them. */
static int run_inside(void)
{
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, NULL) < 0) {
                perror("/proc");
                return 1;
        }
        return run_all();
}

/* An empty cgroup for them, which all of them see. */
static void make_cgroup(void)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;

        if (cgroup_map_new(NULL, &m) < 0)
                return;
        if (!cgroup_map_available(m)) {
                /* A bare kernel under qemu. */
                if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || !mkdtemp(mounted) ||
                    mount("cgroup2", mounted, "cgroup2", 0, NULL) < 0)
                        return;
                cgroup_map_freep(&m);
                m = NULL;
                if (cgroup_map_new(NULL, &m) < 0 || !cgroup_map_available(m))
                        return;
        }
        (void) snprintf(cgroup, sizeof(cgroup), "%s/kernel-process-%d.scope", cgroup_map_root(m),
                        (int) getpid());
        if (mkdir(cgroup, 0755) < 0)
                cgroup[0] = 0;
}

int main(int argc, char **argv)
{
        struct clone_args a = { .flags = CLONE_NEWNS | CLONE_NEWPID, .exit_signal = SIGCHLD };
        ssize_t n;
        int status = 0;
        pid_t child;

        if (argc == 3)
                return play(argv);
        n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        if (n < 0 || unshare(CLONE_NEWNS) < 0) {
                perror("a mount namespace");
                return 1;
        }
        make_cgroup();
        /* Not unshare(2): once that namespace's first process has gone, whoever entered it so cannot
         * start another, as LeakSanitizer does at exit. */
        child = (pid_t) syscall(SYS_clone3, &a, sizeof(a));
        if (child == 0)
                return run_inside();
        if (child < 0 || waitpid(child, &status, 0) != child)
                perror("a pid namespace");
        if (cgroup[0])
                (void) rmdir(cgroup);
        if (umount2(mounted, MNT_DETACH) >= 0)
                (void) rmdir(mounted);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
