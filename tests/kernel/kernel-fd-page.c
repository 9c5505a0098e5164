/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pages of sockets in flight, and what of the kernel they rest on. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "kernel/fd-page.h"
#include "sock-util.h"

#define PORT   25000
#define NOBODY 65534

static int bind_plain(uint16_t port, int *ret)
{
        struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        if (bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                return -errno;
        if (ret)
                *ret = TAKE_FD(fd);
        return 0;
}

static FdPageEntry bound(uint16_t port)
{
        FdPageEntry e = { .fd = -1 };

        assert_int_equal(bind_plain(port, &e.fd), 0);
        (void) snprintf(e.label, sizeof(e.label), "%u", port);
        return e;
}

static ino_t inode(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_ino;
}

/* As after a restart: of the same two ends, known to nobody. The ends of p stay. */
static FdPage reopened(const FdPage *p, bool swapped)
{
        int a = fcntl(p->in, F_DUPFD_CLOEXEC, 3), b = fcntl(p->out, F_DUPFD_CLOEXEC, 3);
        FdPage page;

        assert_int_equal(fd_page_init_consume_fds(&page, swapped ? b : a, swapped ? a : b), 0);
        return page;
}

/* Labels of all entries, in order, each with a blank behind it; closes the fds. */
static void read_labels(FdPage *p, char *buf, size_t size)
{
        FdPageEntry entries[FD_PAGE_MAX];
        size_t used = 0;
        int n;

        buf[0] = '\0';
        while ((n = fd_page_peek(p, entries)) > 0)
                for (int i = 0; i < n; i++) {
                        used += (size_t) snprintf(buf + used, size - used, "%s ", entries[i].label);
                        close(entries[i].fd);
                }
        assert_int_equal(n, 0);
}

static void survives_who_filled_it(void **state)
{
        FdPage page;
        int status;
        pid_t pid;

        assert_int_equal(fd_page_init(&page), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                FdPageEntry e = bound(PORT);

                (void) fd_page_add(&page, &e);
                (void) kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(bind_plain(PORT, NULL), -EADDRINUSE);
        fd_page_deinit(&page);
        assert_int_equal(bind_plain(PORT, NULL), 0);
}

static void looking_takes_nothing_away(void **state)
{
        FdPageEntry a = bound(PORT), b = bound(PORT + 1), found[FD_PAGE_MAX];
        ino_t first = inode(a.fd);
        char labels[64];
        FdPage page;

        assert_int_equal(fd_page_init(&page), 0);
        assert_int_equal(fd_page_add(&page, &a), 0);
        assert_int_equal(fd_page_add(&page, &b), 0);
        close(a.fd);
        close(b.fd);
        for (unsigned i = 0; i < 3; i++) {
                FdPage again = reopened(&page, i % 2);

                assert_int_equal(fd_page_peek(&again, found), 1);
                assert_int_equal(inode(found[0].fd), first);
                assert_int_equal(fcntl(found[0].fd, F_GETFD), FD_CLOEXEC);
                close(found[0].fd);
                read_labels(&again, labels, sizeof(labels));
                assert_string_equal(labels, "25001 ");
                assert_int_equal(again.n_messages, 2);
                fd_page_deinit(&again);
        }
        assert_int_equal(bind_plain(PORT, NULL), -EADDRINUSE);
        assert_int_equal(bind_plain(PORT + 1, NULL), -EADDRINUSE);
        fd_page_deinit(&page);
        assert_int_equal(bind_plain(PORT, NULL), 0);
}

/* Killed while it took the sockets over: the next one sees them all. */
static void crash_while_looking_hides_nothing(void **state)
{
        FdPageEntry e[] = { bound(PORT), bound(PORT + 1) }, found[FD_PAGE_MAX];
        char labels[64];
        FdPage page;

        assert_int_equal(fd_page_init(&page), 0);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(fd_page_add(&page, &e[i]), 0);
                close(e[i].fd);
        }
        for (unsigned looks = 1; looks <= 2; looks++)
                for (unsigned swapped = 0; swapped < 2; swapped++) {
                        FdPage again = reopened(&page, swapped);

                        for (unsigned i = 0; i < looks; i++) {
                                assert_int_equal(fd_page_peek(&again, found), 1);
                                close(found[0].fd);
                        }
                        fd_page_deinit(&again);

                        again = reopened(&page, swapped);
                        read_labels(&again, labels, sizeof(labels));
                        assert_string_equal(labels, "25000 25001 ");
                        fd_page_deinit(&again);
                }
        fd_page_deinit(&page);
}

/* An owner without SO_REUSEADDR binds the moment after. */
static void taken_out_is_closed_at_once(void **state)
{
        FdPageEntry others[FD_PAGE_MAX];
        FdPage page;

        assert_int_equal(fd_page_init(&page), 0);
        for (uint16_t i = 0; i < FD_PAGE_MAX - 1; i++)
                others[i] = bound((uint16_t) (PORT + 1 + i));
        assert_int_equal(fd_page_replace(&page, others, FD_PAGE_MAX - 1), 0);
        for (unsigned i = 0; i < 1000; i++) {
                FdPageEntry e = bound(PORT);

                assert_int_equal(fd_page_add(&page, &e), 0);
                assert_int_equal(fd_page_replace(&page, others, FD_PAGE_MAX - 1), 0);
                close(e.fd);
        }
        for (size_t i = 0; i < FD_PAGE_MAX - 1; i++)
                close(others[i].fd);
        assert_int_equal(bind_plain(PORT + 1, NULL), -EADDRINUSE);
        assert_int_equal(bind_plain(PORT + FD_PAGE_MAX - 1, NULL), -EADDRINUSE);
        assert_int_equal(fd_page_clear(&page), 0);
        assert_int_equal(page.n_messages, 0);
        assert_int_equal(bind_plain(PORT + 1, NULL), 0);
        fd_page_deinit(&page);
}

/* Sent again, and then died before the old ones were taken out. */
static void crash_in_the_middle_leaves_both(void **state)
{
        FdPageEntry both[] = { bound(PORT), bound(PORT + 1) };
        char labels[64];
        FdPage page, again;

        assert_int_equal(fd_page_init(&page), 0);
        assert_int_equal(fd_page_add(&page, &both[0]), 0);
        assert_int_equal(fd_page_replace(&page, both, 2), 0);
        assert_int_equal(page.n_messages, 1);
        assert_int_equal(fd_page_add(&page, &both[1]), 0);

        again = reopened(&page, false);
        read_labels(&again, labels, sizeof(labels));
        assert_string_equal(labels, "25000 25001 25001 ");
        assert_int_equal(fd_page_replace(&again, both, 1), 0);
        fd_page_deinit(&again);

        again = reopened(&page, false);
        read_labels(&again, labels, sizeof(labels));
        assert_string_equal(labels, "25000 ");
        fd_page_deinit(&again);
        close(both[0].fd);
        close(both[1].fd);
        fd_page_deinit(&page);
}

/* One message could not be looked at for want of descriptors, and what is behind it was not either. */
static void unseen_goes_as_well(void **state)
{
        FdPageEntry e[] = { bound(PORT), bound(PORT + 1), bound(PORT + 2) };
        FdPageEntry found[FD_PAGE_MAX], unseen[FD_PAGE_MAX];
        struct rlimit before, none;
        FdPage page, again;

        assert_int_equal(fd_page_init(&page), 0);
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(fd_page_add(&page, &e[i]), 0);
                close(e[i].fd);
        }
        again = reopened(&page, false);
        assert_int_equal(fd_page_peek(&again, found), 1);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){ 3, before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(fd_page_peek(&again, unseen), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

        assert_int_equal(fd_page_clear(&again), 0);
        assert_int_equal(fd_page_replace(&again, found, 1), 0);
        close(found[0].fd);
        assert_int_equal(again.n_messages, 1);
        assert_int_equal(bind_plain(PORT, NULL), -EADDRINUSE);
        assert_int_equal(bind_plain(PORT + 1, NULL), 0);
        assert_int_equal(bind_plain(PORT + 2, NULL), 0);
        fd_page_deinit(&again);
        fd_page_deinit(&page);
}

/* Whatever the host's limits of datagrams and send buffers are. */
static void holds_a_message_each(void **state)
{
        FdPageEntry e = bound(PORT);
        FdPage page;

        assert_int_equal(write_file("/proc/sys/net/unix/max_dgram_qlen", "1"), 0);
        assert_int_equal(fd_page_init(&page), 0);
        for (unsigned i = 0; i < 64; i++)
                assert_int_equal(fd_page_add(&page, &e), 0);
        /* And where it is full it says so, and a replacement makes room. */
        for (int r = 0; r != -EAGAIN;) {
                r = fd_page_add(&page, &e);
                assert_true(r == 0 || r == -EAGAIN);
        }
        assert_int_equal(fd_page_clear(&page), 0);
        assert_int_equal(fd_page_replace(&page, &e, 1), 0);
        assert_int_equal(page.n_messages, 1);
        close(e.fd);
        fd_page_deinit(&page);
}

/* Runs as another user, who has nothing else in flight. */
static void as_nobody(void (*f)(rlim_t limit), rlim_t limit)
{
        struct rlimit l = { limit, limit };
        int status;
        pid_t pid;

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setrlimit(RLIMIT_NOFILE, &l) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                        _exit(100);
                f(limit);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect(bool ok, int code)
{
        if (!ok)
                _exit(code);
}

/* All of it, with a page that is there twice for a moment. */
static void many_pages_within_the_limit(rlim_t limit)
{
        FdPageEntry entries[FD_PAGE_MAX];
        unsigned n = (unsigned) limit / FD_PAGE_MAX;
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        for (size_t i = 0; i < FD_PAGE_MAX; i++)
                entries[i] = (FdPageEntry){ .fd = fd };
        for (unsigned i = 0; i < n; i++) {
                FdPage page;

                expect(fd_page_init(&page) == 0, 1);
                expect(fd_page_replace(&page, entries, FD_PAGE_MAX) == 0, 2);
                expect(fd_page_replace(&page, entries, FD_PAGE_MAX) == 0, 3);
        }
}

static void limit_is_that_of_open_files(rlim_t limit)
{
        FdPageEntry entries[FD_PAGE_MAX];
        int fd = socket(AF_INET, SOCK_STREAM, 0), r = 0;
        FdPage page;

        for (size_t i = 0; i < FD_PAGE_MAX; i++)
                entries[i] = (FdPageEntry){ .fd = fd };
        expect(fd_page_init(&page) == 0, 1);
        for (unsigned i = 0; i <= limit && r == 0; i++)
                r = fd_page_add(&page, entries);
        expect(r == 0, 2);
        expect(fd_page_add(&page, entries) == -ETOOMANYREFS, 3);
        expect(fd_page_replace(&page, entries, 2) == -ETOOMANYREFS, 4);
        expect(page.n_messages == limit + 1, 5);
        expect(fd_page_clear(&page) == 0, 6);
        expect(fd_page_replace(&page, entries, 2) == 0, 7);
}

static void in_flight_against_open_files(void **state)
{
        as_nobody(many_pages_within_the_limit, 16384);
        as_nobody(limit_is_that_of_open_files, 40);
}

/* A ring of AF_UNIX sockets that hold each other is garbage; ours are not, with no fd open at all
 * but the page's. */
static void garbage_collector_leaves_ours(void **state)
{
        FdPageEntry e = bound(PORT);
        FdPage page;

        assert_int_equal(fd_page_init(&page), 0);
        assert_int_equal(fd_page_add(&page, &e), 0);
        close(e.fd);
        for (unsigned i = 0; i < 100; i++) {
                FdPageEntry ends[2] = {};
                FdPage ring;

                assert_int_equal(fd_page_init(&ring), 0);
                ends[0].fd = ring.in;
                ends[1].fd = ring.out;
                assert_int_equal(fd_page_replace(&ring, ends, 2), 0);
                fd_page_deinit(&ring);
        }
        assert_int_equal(bind_plain(PORT, NULL), -EADDRINUSE);
        fd_page_deinit(&page);
        assert_int_equal(bind_plain(PORT, NULL), 0);
}

static void other_sockets_are_no_page(void **state)
{
        FdPage page;
        int fds[2];

        assert_int_equal(fd_page_init_consume_fds(&page, socket(AF_INET, SOCK_STREAM, 0),
                                                  socket(AF_INET, SOCK_STREAM, 0)),
                         -ENOTCONN);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_int_equal(fd_page_init_consume_fds(&page, fds[0], fds[1]), -ENOTCONN);
        assert_int_equal(fcntl(fds[0], F_GETFD), -1);
        assert_int_equal(fd_page_init_consume_fds(&page, open("/dev/null", O_RDONLY), -1),
                         -ENOTSOCK);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(survives_who_filled_it),
                cmocka_unit_test(looking_takes_nothing_away),
                cmocka_unit_test(crash_while_looking_hides_nothing),
                cmocka_unit_test(taken_out_is_closed_at_once),
                cmocka_unit_test(crash_in_the_middle_leaves_both),
                cmocka_unit_test(unseen_goes_as_well),
                cmocka_unit_test(holds_a_message_each),
                cmocka_unit_test(in_flight_against_open_files),
                cmocka_unit_test(garbage_collector_leaves_ours),
                cmocka_unit_test(other_sockets_are_no_page),
        };

        return cmocka_run_group_tests(tests, loopback_up, NULL);
}
