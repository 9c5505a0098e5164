/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose is a socket: real cgroups, real processes. Everything happens below a slice of this test's
 * own. */

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "kernel/cgroup.h"
#include "kernel/identify.h"
#include "kernel/process-facts.h"
#include "kernel/process.h"

#define USER   4242
#define NOBODY 65534

static char cgroup_root[256], mounted[64] = "/tmp/kernel-identify.XXXXXX", slice[64],
                              slice_path[512];
static char exe[4096];

/* ---- a process with a listening socket, in a cgroup ---- */

typedef struct Child {
        pid_t pid;
        Socket socket;
        char path[512]; /* below the root */
} Child;

static void cgroup_directory(const char *name, char buf[static 512], char path[static 512])
{
        (void) snprintf(path, 512, "/%s/%s", slice, name);
        (void) snprintf(buf, 512, "%.200s/%.60s/%.200s", cgroup_root, slice, name);
}

static void make_cgroup(const char *name)
{
        char directory[512], path[512];

        cgroup_directory(name, directory, path);
        assert_true(mkdir(directory, 0755) >= 0 || errno == EEXIST);
}

static void remove_cgroup(const char *name)
{
        char directory[512], path[512];
        int r = -1;

        cgroup_directory(name, directory, path);
        /* A process that has been waited for may still be leaving. */
        for (unsigned i = 0; i < 200 && r < 0; i++) {
                r = rmdir(directory);
                if (r < 0)
                        (void) usleep(20000);
        }
        assert_int_equal(r, 0);
}

static int child_main(const char *procs, uid_t uid, int to_parent)
{
        struct sockaddr_in sa = { .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct stat st;
        FILE *f;
        int fd;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        f = fopen(procs, "we");
        if (!f || fprintf(f, "%d\n", (int) getpid()) < 0 || fclose(f) != 0)
                return 1;
        if (uid != 0 && (setgroups(0, NULL) < 0 || setresuid(uid, uid, uid) < 0))
                return 1;
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 || listen(fd, 1) < 0 ||
            fstat(fd, &st) < 0 ||
            write(to_parent, &st.st_ino, sizeof(st.st_ino)) != sizeof(st.st_ino))
                return 1;
        for (;;)
                (void) pause();
}

static Child start_child(const char *name, uid_t uid)
{
        char directory[512], procs[600];
        struct stat st;
        Child c = {};
        ino_t inode;
        int p[2];

        make_cgroup(name);
        cgroup_directory(name, directory, c.path);
        (void) snprintf(procs, sizeof(procs), "%s/cgroup.procs", directory);
        assert_int_equal(stat(directory, &st), 0);
        assert_int_equal(pipe(p), 0);
        c.pid = fork();
        if (c.pid == 0)
                _exit(child_main(procs, uid, p[1]));
        close(p[1]);
        assert_int_equal(read(p[0], &inode, sizeof(inode)), sizeof(inode));
        close(p[0]);
        c.socket = (Socket){
                .protocol = IPPROTO_TCP,
                .family = AF_INET,
                .state = SOCKET_LISTEN,
                .uid = uid,
                .inode = (uint32_t) inode,
                .cgroup = st.st_ino,
        };
        return c;
}

static void end_child(Child *c)
{
        assert_int_equal(kill(c->pid, SIGKILL), 0);
        assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

/* Runs f without a capability, and not in group 0, which hidepid= hides nothing from; its return value
 * is the answer. */
static int as_nobody(int (*f)(const Child *c), const Child *c)
{
        int status;
        pid_t pid;

        pid = fork();
        if (pid == 0)
                _exit(setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
                                      setresuid(NOBODY, NOBODY, NOBODY) < 0
                              ? 99
                              : f(c));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* ---- cgroups ---- */

static int find_path(const Child *c)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        const char *path;

        if (cgroup_map_new(NULL, &m) < 0 || cgroup_map_path(m, c->socket.cgroup, &path) < 0)
                return 1;
        return strcmp(path, c->path) == 0 ? 0 : 2;
}

static void test_ids(void **state)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        _cleanup_(freep) char *path = NULL;
        const char *found;
        uint64_t id;
        Child c;

        c = start_child("web.service", 0);
        assert_int_equal(cgroup_map_new(NULL, &m), 0);
        assert_string_equal(cgroup_map_root(m), cgroup_root);
        assert_int_equal(find_path(&c), 0);
        /* Nobody has to walk. */
        assert_int_equal(as_nobody(find_path, &c), 0);

        assert_int_equal(cgroup_of_pid(c.pid, &path), 0);
        assert_string_equal(path, c.path);
        assert_int_equal(cgroup_map_id(m, path, &id), 0);
        assert_true(id == c.socket.cgroup);

        end_child(&c);
        remove_cgroup("web.service");
        assert_int_equal(cgroup_map_path(m, c.socket.cgroup, &found), -ENOENT);
        assert_int_equal(cgroup_of_pid(c.pid, &path), -ENOENT);
}

static void test_root(void **state)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        const char *path;
        uint64_t id;

        assert_int_equal(cgroup_map_new(NULL, &m), 0);
        assert_int_equal(cgroup_map_id(m, "/", &id), 0);
        assert_int_equal(cgroup_map_path(m, id, &path), 0);
        assert_string_equal(path, "/");
}

/* ---- processes ---- */

static void test_find_inode(void **state)
{
        _cleanup_(process_facts_done) ProcessFacts facts = {};
        uint64_t before = now_usec(CLOCK_REALTIME);
        char directory[512], path[512];
        pid_t pid = 0;
        Child c;

        c = start_child("web.service", 0);
        cgroup_directory("web.service", directory, path);
        assert_int_equal(process_find_inode(NULL, c.socket.inode, 0, &pid), 0);
        assert_int_equal(pid, c.pid);
        pid = 0;
        assert_int_equal(process_find_inode(directory, c.socket.inode, 0, &pid), 0);
        assert_int_equal(pid, c.pid);
        /* Not in that cgroup: then anywhere. */
        pid = 0;
        assert_int_equal(process_find_inode("/does/not/exist", c.socket.inode, 0, &pid), 0);
        assert_int_equal(pid, c.pid);
        assert_int_equal(process_has_inode(c.pid, c.socket.inode), 1);
        assert_int_equal(process_has_inode(getpid(), c.socket.inode), 0);
        assert_int_equal(process_facts_find(directory, c.socket.inode, 0, &facts), 0);
        assert_int_equal(facts.pid, c.pid);
        assert_int_equal(facts.uid, 0);
        assert_string_equal(facts.exe, exe);
        assert_non_null(strstr(facts.command, "kernel-identify"));
        /* To a clock tick, and what lies between two looks at two clocks. */
        assert_true(facts.started_usec + 30 * USEC_PER_MSEC >= before);
        assert_true(facts.started_usec <= now_usec(CLOCK_REALTIME));
        /* Time that is over already: that says nothing about who has it. */
        assert_int_equal(process_find_inode(NULL, c.socket.inode, 1, &pid), -ETIMEDOUT);

        end_child(&c);
        pid = 77;
        /* Some sandboxes keep even root out of PID 1: then it cannot be said. */
        assert_int_equal(process_find_inode(directory, c.socket.inode, 0, &pid),
                         process_has_inode(1, c.socket.inode) == -EACCES ? -EACCES : -ENOENT);
        assert_int_equal(process_find_inode(NULL, 0, 0, &pid), -ENOENT);
        assert_int_equal(pid, 77);
        assert_int_equal(process_has_inode(c.pid, c.socket.inode), -ENOENT);
}

/* By a copy of its socket, which is the only thing that is taken of a process, and not kept. */
static void test_socket_reuse(void **state)
{
        int fds[2], on = 1, fd, r;
        struct stat st;
        char byte;
        pid_t pid;

        fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0) {
                close(fds[1]);
                _exit(read(fds[0], &byte, 1) == 0 ? 0 : 1);
        }
        close(fds[0]);
        assert_int_equal(process_socket_reuse(pid, fd, (uint32_t) st.st_ino), 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
        assert_int_equal(process_socket_reuse(pid, fd, (uint32_t) st.st_ino), 1);
        /* Another socket by now, no socket, or no such fd. */
        assert_int_equal(process_socket_reuse(pid, fd, (uint32_t) st.st_ino + 1), -ENOENT);
        assert_int_equal(process_socket_reuse(pid, fds[0], (uint32_t) st.st_ino), -ENOENT);
        assert_int_equal(process_socket_reuse(pid, 4711, (uint32_t) st.st_ino), -ENOENT);
        close(fds[1]);
        assert_int_equal(waitpid(pid, &r, 0), pid);
        assert_int_equal(process_socket_reuse(pid, fd, (uint32_t) st.st_ino), -ENOENT);
        close(fd);
}

static int sees_all(const Child *c)
{
        return process_sees_all();
}

static void test_sees_all(void **state)
{
        assert_true(process_sees_all());
        assert_int_equal(as_nobody(sees_all, NULL), 0);
}

/* In a cgroup below that of the service. */
static void test_find_below(void **state)
{
        char directory[512], path[512];
        pid_t pid = 0;
        Child c;

        make_cgroup("web.service");
        c = start_child("web.service/worker", 0);
        cgroup_directory("web.service", directory, path);
        assert_int_equal(process_find_inode(directory, c.socket.inode, 0, &pid), 0);
        assert_int_equal(pid, c.pid);
        end_child(&c);
        remove_cgroup("web.service/worker");
        remove_cgroup("web.service");
}

/* What a helper with more privilege says of it: does the daemon tell everybody the command line? */
static int tells_command(const Child *c)
{
        InspectAnswer a = { .outcome = INSPECT_FOUND,
                            .pid = c->pid,
                            .exe = exe,
                            .command = (char *) "web --password=x" };
        _cleanup_(identify_freep) Identify *i = NULL;
        Holder h;
        bool told;

        if (identify_new(&i) < 0 || identify_holder(i, &c->socket, KIND_SQUATTER, &h) < 0)
                return -1;
        if (h.pid != 0 || h.command || identify_take_answer(i, &a, &h) < 0 || h.pid != c->pid)
                return -1;
        told = h.command != NULL;
        holder_done(&h);
        return told;
}

static int find_denied(const Child *c)
{
        ProcessFacts facts;
        pid_t pid;

        if (process_find_inode(NULL, c->socket.inode, 0, &pid) != -EACCES)
                return 1;
        if (tells_command(c) != 1)
                return 3;
        return process_facts_find(NULL, c->socket.inode, 0, &facts) == -EACCES ? 0 : 2;
}

static int find_hidden(const Child *c)
{
        char directory[512], path[512];
        pid_t pid;

        cgroup_directory("web.service", directory, path);
        if (process_find_inode(directory, c->socket.inode, 0, &pid) != -EACCES)
                return 1;
        if (tells_command(c) != 0)
                return 3;
        return process_find_inode(NULL, c->socket.inode, 0, &pid) == -EACCES ? 0 : 2;
}

static void test_denied(void **state)
{
        Child c = start_child("web.service", 0);
        int status;
        pid_t pid;

        assert_int_equal(as_nobody(find_denied, &c), 0);
        /* Not there to see is not "not there". */
        pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0 ||
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                    mount("proc", "/proc", "proc", 0, "hidepid=2") < 0)
                        _exit(98);
                status = as_nobody(find_hidden, &c);
                if (status == 0 && (mount("proc", "/proc", "proc", 0, "hidepid=1") < 0 ||
                                    as_nobody(find_hidden, &c) != 0))
                        status = 97;
                _exit(status);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        end_child(&c);
}

/* ---- owners ---- */

static Reservation reservation(const char *unit, uid_t uid)
{
        return (Reservation){ .name = (char *) "web", .unit = (char *) unit, .uid = uid };
}

static Tristate owner_of(Identify *i, const Reservation *r, const Socket *s, bool *ret_pid1)
{
        Observation o = { .socket = *s, .owner = TRI_YES, .pid1_listener = true };

        identify_observe(i, r, &o);
        *ret_pid1 = o.pid1_listener;
        return o.owner;
}

static void write_file(const char *path, const char *text)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void test_owner(void **state)
{
        static const struct {
                const char *cgroup;
                Tristate owner;
                bool pid1;
        } table[] = {
                { "lighttpd.service", TRI_YES, false },
                { "lighttpd.service/workers", TRI_YES, false },
                { "lighttpd.socket", TRI_YES, false },
                { "portreserved-web.socket", TRI_YES, true },
                { "portreserved-other.socket", TRI_NO, false },
                { "portreserved-before.socket", TRI_YES, true }, /* has another name by now */
                { "portreserved-long-ago.socket", TRI_YES, true },
                { "nginx.service", TRI_NO, false },
                { "machine-x.scope/lighttpd.service", TRI_NO, false },
                { "plain", TRI_NO, false },
        };
        _cleanup_(identify_freep) Identify *i = NULL;
        Reservation r = reservation("lighttpd.service", UID_INVALID);
        char directory[512], path[512];
        bool pid1;

        /* In this mount namespace only. */
        assert_int_equal(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(mkdir("/run/systemd/generator", 0755), 0);
        write_file("/run/systemd/generator/portreserved-other.socket", "");
        assert_int_equal(symlink("portreserved-web.socket",
                                 "/run/systemd/generator/portreserved-before.socket"),
                         0);
        make_cgroup("machine-x.scope");
        make_cgroup("lighttpd.service");
        assert_int_equal(identify_new(&i), 0);
        for (size_t k = 0; k < ELEMENTSOF(table); k++) {
                Socket s = { .protocol = IPPROTO_TCP, .state = SOCKET_LISTEN, .inode = 1 };

                make_cgroup(table[k].cgroup);
                cgroup_directory(table[k].cgroup, directory, path);
                assert_int_equal(cgroup_map_id(identify_cgroups(i), path, &s.cgroup), 0);
                /* Twice: the second answer comes from memory. */
                for (unsigned again = 0; again < 2; again++) {
                        assert_int_equal(owner_of(i, &r, &s, &pid1), table[k].owner);
                        assert_int_equal(pid1, table[k].pid1);
                }
                /* Accepted from PID 1's listener: the owner's, but no listener. */
                s.state = SOCKET_ESTABLISHED;
                assert_int_equal(owner_of(i, &r, &s, &pid1), table[k].owner);
                assert_false(pid1);
        }
        for (size_t k = ELEMENTSOF(table); k > 0; k--)
                if (k != 1)
                        remove_cgroup(table[k - 1].cgroup);
        remove_cgroup("lighttpd.service");
        remove_cgroup("machine-x.scope");
        assert_int_equal(umount2("/run", MNT_DETACH), 0);
}

static void test_owner_alias(void **state)
{
        static const char *const cgroups[] = { "redis-server.service", "redis-server.socket",
                                               "redis.service" };
        _cleanup_(identify_freep) Identify *i = NULL;
        Reservation r = reservation("redis.service", UID_INVALID);
        char directory[512], path[512];
        bool pid1;

        /* In this mount namespace only. */
        assert_int_equal(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(mkdir("/run/systemd/system", 0755), 0);
        write_file("/run/systemd/system/redis-server.service", "[Service]\nExecStart=/bin/true\n");
        assert_int_equal(symlink("redis-server.service", "/run/systemd/system/redis.service"), 0);

        assert_int_equal(identify_new(&i), 0);
        for (size_t k = 0; k < ELEMENTSOF(cgroups); k++) {
                Socket s = { .protocol = IPPROTO_TCP, .state = SOCKET_LISTEN, .inode = 1 };

                make_cgroup(cgroups[k]);
                cgroup_directory(cgroups[k], directory, path);
                assert_int_equal(cgroup_map_id(identify_cgroups(i), path, &s.cgroup), 0);
                assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_YES);
                remove_cgroup(cgroups[k]);
        }
        assert_int_equal(umount2("/run", MNT_DETACH), 0);
}

static void test_owner_unknown(void **state)
{
        _cleanup_(identify_freep) Identify *i = NULL;
        Reservation r = reservation("web.service", UID_INVALID);
        Socket s = { .protocol = IPPROTO_TCP, .state = SOCKET_TIME_WAIT };
        bool pid1;

        assert_int_equal(identify_new(&i), 0);
        assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_UNKNOWN);
        s = (Socket){ .protocol = IPPROTO_TCP, .state = SOCKET_LISTEN, .inode = 1 };
        assert_int_equal(cgroup_map_id(identify_cgroups(i), "/", &s.cgroup), 0);
        assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_UNKNOWN);
        s.cgroup = UINT64_C(1) << 60; /* deleted */
        assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_UNKNOWN);
        assert_false(pid1);
}

static void test_owner_user(void **state)
{
        _cleanup_(identify_freep) Identify *i = NULL;
        Reservation only = reservation(NULL, USER), both = reservation("web.service", USER),
                    root = reservation(NULL, 0);
        Socket s = { .protocol = IPPROTO_TCP, .state = SOCKET_LISTEN, .inode = 1, .uid = USER };
        bool pid1;

        assert_int_equal(identify_new(&i), 0);
        assert_int_equal(owner_of(i, &only, &s, &pid1), TRI_YES);
        assert_int_equal(owner_of(i, &both, &s, &pid1), TRI_YES);
        assert_int_equal(owner_of(i, &root, &s, &pid1), TRI_NO);
        s.uid = NOBODY;
        assert_int_equal(owner_of(i, &only, &s, &pid1), TRI_NO);
        assert_int_equal(owner_of(i, &both, &s, &pid1), TRI_UNKNOWN);
        /* TIME_WAIT says uid 0 and means nobody. */
        s = (Socket){ .protocol = IPPROTO_TCP, .state = SOCKET_TIME_WAIT };
        assert_int_equal(owner_of(i, &root, &s, &pid1), TRI_UNKNOWN);
        assert_int_equal(owner_of(i, &only, &s, &pid1), TRI_UNKNOWN);
}

static void test_owner_extra(void **state)
{
        _cleanup_(identify_freep) Identify *i = NULL;
        Reservation r = reservation("web.service", UID_INVALID),
                    other = reservation("web.service", UID_INVALID);
        Socket s = { .protocol = IPPROTO_TCP, .state = SOCKET_LISTEN, .inode = 1 }, below = s;
        char directory[512], path[512];
        bool pid1;

        other.name = (char *) "other";
        make_cgroup("run-1.scope");
        make_cgroup("run-1.scope/sub");
        assert_int_equal(identify_new(&i), 0);
        cgroup_directory("run-1.scope", directory, path);
        assert_int_equal(cgroup_map_id(identify_cgroups(i), path, &s.cgroup), 0);
        cgroup_directory("run-1.scope/sub", directory, path);
        assert_int_equal(cgroup_map_id(identify_cgroups(i), path, &below.cgroup), 0);

        assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_NO);
        assert_int_equal(identify_add_cgroup(i, "web", s.cgroup), 0);
        assert_int_equal(identify_add_cgroup(i, "web", s.cgroup), 0);
        assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_YES);
        assert_int_equal(owner_of(i, &r, &below, &pid1), TRI_YES);
        assert_int_equal(owner_of(i, &other, &s, &pid1), TRI_NO);
        /* A reload does not end clients. Two were there: one is left. */
        identify_reset(i);
        assert_int_equal(identify_remove_cgroup(i, "web", s.cgroup), 0);
        assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_YES);
        assert_int_equal(identify_remove_cgroup(i, "web", s.cgroup), 0);
        assert_int_equal(owner_of(i, &r, &s, &pid1), TRI_NO);
        assert_int_equal(identify_remove_cgroup(i, "web", s.cgroup), -ENOENT);

        remove_cgroup("run-1.scope/sub");
        remove_cgroup("run-1.scope");
}

/* ---- holders ---- */

static int holder_unnamed(const Child *c)
{
        _cleanup_(identify_freep) Identify *i = NULL;
        Holder h;
        int r;

        if (identify_new(&i) < 0 || identify_holder(i, &c->socket, KIND_SQUATTER, &h) < 0)
                return 1;
        /* The unit is no secret; the process is. */
        r = h.unit && strcmp(h.unit, "thief.service") == 0 && h.pid == 0 && !h.exe ? 0 : 2;
        holder_done(&h);
        return r;
}

static void test_holder(void **state)
{
        _cleanup_(identify_freep) Identify *i = NULL;
        _cleanup_(freep) char *text = NULL;
        char want[8192];
        Holder h;
        Child c;

        assert_int_equal(identify_new(&i), 0);
        c = start_child("thief.service", USER);
        assert_int_equal(identify_holder(i, &c.socket, KIND_SQUATTER, &h), 0);
        assert_int_equal(h.kind, KIND_SQUATTER);
        assert_string_equal(h.unit, "thief.service");
        assert_string_equal(h.cgroup, c.path);
        assert_int_equal(h.pid, c.pid);
        assert_string_equal(h.exe, exe);
        assert_true(h.since_usec > 0);
        text = holder_describe(&h);
        (void) snprintf(want, sizeof(want), "%s (pid %d, %s)", c.path + 1, (int) c.pid, exe);
        assert_string_equal(text, want);
        holder_done(&h);
        assert_int_equal(as_nobody(holder_unnamed, &c), 0);

        /* It has gone: nobody is named in its place. */
        end_child(&c);
        remove_cgroup("thief.service");
        assert_int_equal(identify_holder(i, &c.socket, KIND_SQUATTER, &h), 0);
        assert_null(h.exe);
        assert_null(h.command);
        assert_int_equal(h.pid, 0);
        assert_int_equal(h.started_usec, 0);
        assert_false(h.no_process);
        /* Where it was made is remembered, and no more than that. */
        assert_false(h.certain);
        assert_string_equal(h.unit, "thief.service");
        free(text);
        text = holder_describe(&h);
        (void) snprintf(want, sizeof(want), "probably %s", c.path + 1);
        assert_string_equal(text, want);
        holder_done(&h);
        /* By who has never seen it, it is not named at all. */
        identify_free(i);
        assert_int_equal(identify_new(&i), 0);
        assert_int_equal(identify_holder(i, &c.socket, KIND_SQUATTER, &h), 0);
        assert_null(h.unit);
        assert_null(h.cgroup);
        assert_true(h.certain);
        holder_done(&h);
}

/* A unit that is started again has a cgroup of the same name, and is another: what the first made may
 * be anybody's by now. */
static int same_name_again(const Child *c)
{
        _cleanup_(identify_freep) Identify *i = NULL;
        Reservation r = reservation("again.service", UID_INVALID),
                    other = reservation("other.service", UID_INVALID);
        const char *path;
        char directory[512], unused[512];
        bool pid1;
        Holder h;
        int k;

        if (identify_new(&i) < 0 ||
            cgroup_map_path(identify_cgroups(i), c->socket.cgroup, &path) < 0)
                return 1;
        cgroup_directory("again.service", directory, unused);
        if (rmdir(directory) < 0 || mkdir(directory, 0777) < 0 || chmod(directory, 0777) < 0)
                return 2;
        /* It was made by the unit of that name, and is no other's. */
        if (owner_of(i, &r, &c->socket, &pid1) != TRI_YES ||
            owner_of(i, &other, &c->socket, &pid1) != TRI_NO)
                return 3;
        if (identify_holder(i, &c->socket, KIND_UNKNOWN, &h) < 0)
                return 4;
        k = !h.certain && h.unit && strcmp(h.unit, "again.service") == 0 ? 0 : 5;
        holder_done(&h);
        return k;
}

static void test_same_name_again(void **state)
{
        char directory[512], path[512];
        struct stat st;
        Child c;

        c = start_child("again.service", 0);
        end_child(&c);
        remove_cgroup("again.service");
        cgroup_directory("again.service", directory, path);
        /* Root asks the kernel, everybody else has walked. */
        for (unsigned round = 0; round < 2; round++) {
                make_cgroup("again.service");
                assert_int_equal(chmod(directory, 0777), 0);
                assert_int_equal(chmod(slice_path, 0777), 0);
                assert_int_equal(stat(directory, &st), 0);
                c.socket.cgroup = st.st_ino;
                assert_int_equal(round == 0 ? same_name_again(&c) : as_nobody(same_name_again, &c),
                                 0);
                remove_cgroup("again.service");
        }
        assert_int_equal(chmod(slice_path, 0755), 0);
}

static int set_up(void **state)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        ssize_t n;

        /* Where nobody has mounted cgroup2 (a bare kernel under qemu): here, out of everybody's
         * sight. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            !mkdtemp(mounted) || cgroup_map_new(NULL, &m) < 0)
                return -1;
        if (!cgroup_map_available(m)) {
                m = cgroup_map_free(m);
                if (mount("cgroup2", mounted, "cgroup2", 0, NULL) < 0 ||
                    cgroup_map_new(NULL, &m) < 0 || !cgroup_map_available(m)) {
                        fprintf(stderr, "no cgroup v2 in this kernel\n");
                        return -1;
                }
        }
        (void) snprintf(cgroup_root, sizeof(cgroup_root), "%s", cgroup_map_root(m));
        (void) snprintf(slice, sizeof(slice), "portreservedtest%d.slice", (int) getpid());
        (void) snprintf(slice_path, sizeof(slice_path), "%s/%s", cgroup_root, slice);
        n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        if (n < 0 || mkdir(slice_path, 0755) < 0)
                return -1;
        exe[n] = 0;
        return 0;
}

static int tear_down(void **state)
{
        char path[600];

        (void) snprintf(path, sizeof(path), "%s/web.service", slice_path);
        (void) usleep(100000);
        if (rmdir(path) < 0 && errno != ENOENT)
                perror(path);
        if (rmdir(slice_path) < 0)
                perror(slice_path);
        (void) umount2(mounted, MNT_DETACH);
        return rmdir(mounted);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids),          cmocka_unit_test(test_root),
                cmocka_unit_test(test_find_inode),   cmocka_unit_test(test_find_below),
                cmocka_unit_test(test_socket_reuse), cmocka_unit_test(test_sees_all),
                cmocka_unit_test(test_denied),       cmocka_unit_test(test_owner),
                cmocka_unit_test(test_owner_alias),  cmocka_unit_test(test_owner_unknown),
                cmocka_unit_test(test_owner_user),   cmocka_unit_test(test_owner_extra),
                cmocka_unit_test(test_holder),       cmocka_unit_test(test_same_name_again),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
