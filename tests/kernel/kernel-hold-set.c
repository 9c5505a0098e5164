/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The set of holds: sockets that come back from the fd store, reloads, limits. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "hold-util.h"

static ino_t inode_of(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_ino;
}

/* The daemon goes (closing all it has) and comes back with what the fd store kept. */
static void restart(World *w)
{
        Stored kept[ELEMENTSOF(w->stored)];
        size_t n = w->n_stored;

        memcpy(kept, w->stored, sizeof(kept));
        hold_set_free(w->set);
        assert_int_equal(hold_set_new(w->event, true, &ops, w, &w->set), 0);
        for (size_t i = 0; i < n; i++) {
                int fd = fcntl(kept[i].fd, F_DUPFD_CLOEXEC, 3);

                assert_int_equal(hold_set_adopt_consume_fd(w->set, fd, kept[i].name), 0);
        }
        config_free(w->old_config);
        w->old_config = NULL;
        assert_int_equal(hold_set_apply(w->set, w->config), 0);
}

static void test_adoption(void **state)
{
        World *w = *state;
        ino_t inode;
        int owner;

        apply_one(w, "bound", "yes", "tcp");
        inode = inode_of(hold_fd(the_hold(w)));

        restart(w);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        assert_int_equal(w->n_stored, 1);
        assert_true(hold_set_is_ours(w->set, 0, (uint32_t) inode));
        expect_closed(w, IPPROTO_TCP);

        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        restart(w);
        expect_state(w, HOLD_STATE_SHARING);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));

        restart(w);
        hold_set_owner_seen(w->set, srv(w), &srv(w)->endpoints[0], w->port, true);
        expect_state(w, HOLD_STATE_IN_USE);
        expect_closed(w, IPPROTO_TCP);
        assert_int_equal(connect_to(AF_INET, w->port) < 0, 0);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        run_for(w, 3500); /* past the scrub of adopted ones */
        expect_state(w, HOLD_STATE_IN_USE);
        assert_int_equal(listen(owner, 5), 0);

        close(owner);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        assert_int_equal(w->n_pending_events, 0);
}

/* A SO_REUSEPORT owner stopped while the daemon was away: nobody scrubbed. */
static void test_adopted_is_scrubbed(void **state)
{
        World *w = *state;
        int owner;

        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, BOTH);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
        close(owner);
        restart(w);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        for (int i = 0; i < 200 && steal_as(0, IPPROTO_TCP, dual, w->port, BOTH) == 0; i++)
                run_for(w, 50);
        expect_closed(w, IPPROTO_TCP);
}

/* What no endpoint wants any more is closed and taken out; a name that is not one of ours is kept
 * as it is. */
static void test_adopts_by_what_it_is(void **state)
{
        World *w = *state;
        Endpoint e = { .protocol = IPPROTO_TCP, .port = w->port, .last = w->port };
        uint16_t other = next_port++;
        Endpoint unwanted = { .protocol = IPPROTO_TCP, .port = other, .last = other };
        int fd = -1, fd2 = -1;
        ino_t inode;

        assert_int_equal(placeholder_bind(&e, w->port, false, &fd), BIND_OK);
        assert_int_equal(placeholder_bind(&unwanted, other, false, &fd2), BIND_OK);
        inode = inode_of(fd);
        on_store(fd, "zz-9", w);
        on_store(fd2, "1", w);
        assert_int_equal(hold_set_adopt_consume_fd(w->set, fd, "zz-9"), 0);
        assert_int_equal(hold_set_adopt_consume_fd(w->set, fd2, "1"), 0);
        apply_one(w, "bound", "yes", "tcp");
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        assert_int_equal(w->n_stored, 1);
        assert_string_equal(w->stored[0].name, "zz-9");
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, other, PLAIN), 0);

        /* Not a socket: refused, closed, taken out. */
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        on_store(fd, "2", w);
        assert_int_equal(hold_set_adopt_consume_fd(w->set, fd, "2"), -ENOTSOCK);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(w->n_stored, 1);
}

static void test_reload_keeps_sockets(void **state)
{
        World *w = *state;
        uint16_t p = w->port, q = next_port++, r = next_port++;
        char both[32], kept[16], moved[32];
        const char *const first[][2] = {
                { "[", "srv" }, { "Ports", both }, { "Hold", "bound" }, { NULL, NULL }
        };
        const char *const second[][2] = {
                { "[", "srv" },      { "Ports", kept },         { "Hold", "bound" }, { "[", "new" },
                { "Hold", "bound" }, { "ListenStream", moved }, { NULL, NULL },
        };
        Endpoint gone = { .protocol = IPPROTO_TCP, .port = q, .last = q };
        ino_t inode;

        snprintf(both, sizeof(both), "%u/tcp %u/tcp", p, q);
        snprintf(kept, sizeof(kept), "%u/tcp", p);
        snprintf(moved, sizeof(moved), "127.0.0.1:%u", q);
        apply(w, first);
        assert_int_equal(hold_set_count(w->set), 2);
        inode = inode_of(hold_fd(the_hold(w)));
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);

        /* *:q goes to another section, as 127.0.0.1:q: the old socket must go before the new one
         * comes. */
        apply(w, second);
        assert_int_equal(hold_set_count(w->set), 2);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        expect_state(w, HOLD_STATE_SHARING);
        assert_null(hold_set_find(w->set, &gone, q));
        assert_int_equal(hold_set_pending(w->set), 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, local, q, REUSEADDR), -EADDRINUSE);
        assert_int_equal(steal_as(0, IPPROTO_TCP, &places[2], q, PLAIN), 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, r, PLAIN), 0);
        assert_int_equal(w->n_stored, 2);

        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
}

/* Who was the owner of the old configuration is a thief in the new one. */
static void test_reload_changes_owner(void **state)
{
        World *w = *state;
        char ports[16];
        const char *const other[][2] = { { "[", "other" },
                                         { "Ports", ports },
                                         { "Hold", "bound" },
                                         { "Unit", "else.service" },
                                         { NULL, NULL } };
        int owner;

        snprintf(ports, sizeof(ports), "%u/tcp", w->port);
        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));

        w->answer = NOT_THE_OWNER;
        apply(w, other);
        assert_true(run_until_state(w, HOLD_STATE_PENDING));
        close(owner);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
}

static void test_reload_changes_mode(void **state)
{
        World *w = *state;
        ino_t inode;

        apply_one(w, "bound", "yes", "tcp");
        inode = inode_of(hold_fd(the_hold(w)));
        apply_one(w, "shared", "yes", "tcp");
        expect_state(w, HOLD_STATE_SHARING);
        apply_one(w, "bound", "yes", "tcp");
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        expect_closed(w, IPPROTO_TCP);
        apply_one(w, "none", "yes", "tcp");
        assert_int_equal(hold_set_count(w->set), 0);
        assert_int_equal(w->n_stored, 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), 0);
}

/* Another program, in a loop for as long as the test runs: how often it tried, and got in. */
typedef struct Thief {
        pid_t pid;
        struct {
                atomic_uint tries, wins;
        } * seen;
} Thief;

static void thief_start(Thief *t, uint16_t port)
{
        t->seen = mmap(NULL, sizeof(*t->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0);
        assert_true(t->seen != MAP_FAILED);
        t->pid = fork();
        assert_true(t->pid >= 0);
        if (t->pid > 0)
                return;
        /* In this order: a change of the uid forgets that signal. */
        if (seteuid(65534) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                _exit(1);
        for (;; t->seen->tries++) {
                const Place *at = t->seen->tries & 1 ? dual : local;
                int fd = open_at(IPPROTO_TCP, at, port, t->seen->tries & 2 ? BOTH : REUSEADDR);

                if (fd < 0)
                        continue;
                t->seen->wins++;
                close(fd);
        }
}

static void thief_stop(Thief *t)
{
        int status;

        assert_int_equal(kill(t->pid, SIGKILL), 0);
        assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
        munmap(t->seen, sizeof(*t->seen));
}

static void apply_listener(World *w, const char *hold)
{
        char port[16];
        const char *const lines[][2] = {
                { "[", "srv" }, { "ListenStream", port }, { "Hold", hold }, { NULL, NULL }
        };

        snprintf(port, sizeof(port), "%u", w->port);
        apply(w, lines);
}

/* Without systemd the listener is ours: a placeholder becomes one and the reverse, the same socket
 * all the time, and whoever sets SO_REUSEADDR finds no moment in between. */
static void test_reload_placeholder_listens(void **state)
{
        World *w = *state;
        ino_t inode;
        Thief t;

        apply_listener(w, "bound");
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        inode = inode_of(hold_fd(the_hold(w)));
        thief_start(&t, w->port);
        for (unsigned i = 0; i < 200; i++) {
                _cleanup_(closep) int client = -1;
                char byte;

                /* The last in the queue of a listener that ends is let go. */
                apply_listener(w, "listen");
                expect_state(w, HOLD_STATE_LISTENING);
                client = connect_to(i % 2 ? AF_INET : AF_INET6, w->port);
                assert_true(client >= 0);
                apply_listener(w, "bound");
                assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
                assert_true(readable(client, 10000));
                assert_true(read(client, &byte, 1) <= 0);
                assert_int_equal(connect_to(AF_INET, w->port), -ECONNREFUSED);
        }
        assert_true(t.seen->tries > 200);
        assert_int_equal(t.seen->wins, 0);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        assert_int_equal(w->n_pending_events, 0);
        assert_int_equal(w->n_stored, 1);

        /* It does win where it is to be let in: the control. */
        apply_listener(w, "shared");
        expect_state(w, HOLD_STATE_SHARING);
        for (time_t end = time(NULL) + DEADLINE_SEC; t.seen->wins == 0 && time(NULL) < end;)
                usleep(1000);
        assert_true(t.seen->wins > 0);
        thief_stop(&t);
        apply_listener(w, "listen");
        expect_state(w, HOLD_STATE_LISTENING);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        apply_listener(w, "shared");
        expect_state(w, HOLD_STATE_SHARING);
        assert_int_equal(steal_as(65534, IPPROTO_TCP, local, w->port, REUSEADDR), 0);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);
        apply_listener(w, "none");
        assert_null(the_hold(w));
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), 0);
        apply_listener(w, "listen");
        expect_state(w, HOLD_STATE_LISTENING);
}

/* A listener that a running command has in its hands is not ended: it goes on serving, and the
 * placeholder is there when it has gone. */
static void test_reload_listener_of_a_running_owner(void **state)
{
        World *w = *state;
        _cleanup_(closep) int client = -1, served = -1;
        int its;

        apply_listener(w, "listen");
        its = fcntl(hold_fd(the_hold(w)), F_DUPFD_CLOEXEC, 3);
        w->alive = TRI_YES;
        apply_listener(w, "bound");
        client = connect_to(AF_INET, w->port);
        assert_true(client >= 0);
        served = accept(its, NULL, NULL);
        assert_true(served >= 0);
        expect_state(w, HOLD_STATE_IN_USE);
        w->alive = TRI_NO;
        close(its);
        hold_set_port_freed(w->set, IPPROTO_TCP, w->port);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
        assert_int_equal(w->n_pending_events, 0);
}

/* ReuseAddress= as it changes, with an owner that waits, starts, runs and has gone. */
static void test_reload_changes_reuse(void **state)
{
        World *w = *state;
        static const char *const values[] = { "no", "always", "yes", "always", "no", "yes" };
        ino_t inode;
        int owner;

        apply_one(w, "bound", "yes", "tcp");
        inode = inode_of(hold_fd(the_hold(w)));
        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                apply_one(w, "bound", values[i], "tcp");
                assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
                assert_true(inode_of(hold_fd(the_hold(w))) == inode);
                expect_closed(w, IPPROTO_TCP);
        }

        /* It runs: closed beside it, open with always. */
        w->alive = TRI_YES;
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                bool always = strcmp(values[i], "always") == 0;

                apply_one(w, "bound", values[i], "tcp");
                assert_true(run_until_state(w, always ? HOLD_STATE_SHARING : HOLD_STATE_IN_USE));
                assert_true(inode_of(hold_fd(the_hold(w))) == inode);
                assert_int_equal(steal_as(65534, IPPROTO_TCP, local, w->port, PLAIN), -EADDRINUSE);
        }
        /* With always it may bind again, as it runs. */
        apply_one(w, "bound", "always", "tcp");
        expect_state(w, HOLD_STATE_SHARING);
        close(owner);
        owner = serve(w, IPPROTO_TCP, dual, REUSEADDR);
        apply_one(w, "bound", "yes", "tcp");
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
        close(owner);
        w->alive = TRI_NO;
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);

        /* It starts: to no, room is made for it; from no, ours is back, open. */
        w->alive = TRI_YES;
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        apply_one(w, "bound", "no", "tcp");
        assert_int_equal(hold_fd(the_hold(w)), -1);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), 0);
        apply_one(w, "bound", "yes", "tcp");
        expect_state(w, HOLD_STATE_SHARING);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, w->port, PLAIN), -EADDRINUSE);
        apply_one(w, "bound", "no", "tcp");
        owner = serve(w, IPPROTO_TCP, dual, PLAIN);
        assert_true(run_until_state(w, HOLD_STATE_IN_USE));
        close(owner);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        assert_int_equal(w->n_pending_events, 2); /* the rooms */
}

static void test_no_descriptors(void **state)
{
        World *w = *state;
        struct rlimit before, tight;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        tight = before;
        tight.rlim_cur = 3; /* those that are open stay open */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        apply_one(w, "bound", "yes", "tcp");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        expect_state(w, HOLD_STATE_PENDING);
        assert_int_equal(hold_error(the_hold(w)), -EMFILE);
        /* Nobody has the port: its owner may bind. */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(hold_set_owner_stopped(w->set, srv(w)), 0);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
}

static void test_is_ours(void **state)
{
        World *w = *state;
        _cleanup_(closep) int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint64_t cookie;
        uint32_t inode;
        int fd;

        apply_one(w, "bound", "no", "tcp");
        fd = hold_fd(the_hold(w));
        assert_int_equal(placeholder_identity(fd, &cookie, &inode), 0);
        assert_true(hold_set_is_ours(w->set, cookie, inode));
        assert_true(hold_set_is_ours(w->set, cookie, 0));
        assert_true(hold_set_is_ours(w->set, 0, inode));
        assert_int_equal(hold_set_owner_starts(w->set, srv(w)), 0);
        assert_false(hold_set_is_ours(w->set, cookie, inode));
        assert_false(hold_set_is_ours(w->set, 0, inode));
        assert_int_equal(placeholder_identity(other, &cookie, &inode), 0);
        assert_false(hold_set_is_ours(w->set, cookie, inode));
        assert_false(hold_set_is_ours(w->set, 0, 0));
}

/* Package removed, generator broken: whoever cannot be announced is let in, and nobody else. */
static void test_unannounced(void **state)
{
        World *w = *state;
        ino_t inode;

        apply_one(w, "bound", "yes", "tcp");
        inode = inode_of(hold_fd(the_hold(w)));
        w->unannounced = true;
        assert_int_equal(hold_set_apply(w->set, w->config), 0);
        expect_state(w, HOLD_STATE_SHARING);
        assert_int_equal(steal_as(0, IPPROTO_TCP, &places[0], w->port, REUSEADDR), 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, &places[0], w->port, PLAIN), -EADDRINUSE);

        w->unannounced = false;
        assert_int_equal(hold_set_apply(w->set, w->config), 0);
        assert_true(run_until_state(w, HOLD_STATE_EXCLUSIVE));
        expect_closed(w, IPPROTO_TCP);
        assert_true(inode_of(hold_fd(the_hold(w))) == inode);

        /* ReuseAddress=no: it needs the port free. */
        apply_one(w, "bound", "no", "tcp");
        w->unannounced = true;
        assert_int_equal(hold_set_apply(w->set, w->config), 0);
        assert_null(the_hold(w));
        assert_int_equal(w->n_stored, 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, &places[0], w->port, PLAIN), 0);
        w->unannounced = false;
        assert_int_equal(hold_set_apply(w->set, w->config), 0);
        expect_state(w, HOLD_STATE_EXCLUSIVE);
        expect_closed(w, IPPROTO_TCP);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_adoption),
                TEST(test_adopted_is_scrubbed),
                TEST(test_adopts_by_what_it_is),
                TEST(test_reload_keeps_sockets),
                TEST(test_reload_changes_owner),
                TEST(test_reload_changes_mode),
                TEST(test_reload_placeholder_listens),
                TEST(test_reload_listener_of_a_running_owner),
                TEST(test_reload_changes_reuse),
                TEST(test_no_descriptors),
                TEST(test_is_ours),
                TEST(test_unannounced),
        };

        if (loopback_up() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
