/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reader of dumps, with answers that no kernel gives on demand: the test plays the kernel at
 * the other end of a pair of sockets. Answers are there before the question: their sequence numbers
 * are known. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "kernel/sock-diag.h"

#define PORTID 77u

typedef struct Fixture {
        SockDiag *diag;
        int kernel;
        uint32_t sequence; /* of the answers */
        unsigned n_rows;
        uint16_t last_port;
} Fixture;

typedef struct Message {
        struct nlmsghdr h;
        union {
                struct inet_diag_msg row;
                int error;
        };
} Message;

static void say(Fixture *f, const void *message, size_t size)
{
        assert_int_equal(send(f->kernel, message, size, 0), size);
}

static Message message(const Fixture *f, uint16_t type, size_t payload)
{
        return (Message){ .h = { .nlmsg_len = (uint32_t) NLMSG_LENGTH(payload),
                                 .nlmsg_type = type,
                                 .nlmsg_flags = NLM_F_MULTI,
                                 .nlmsg_seq = f->sequence,
                                 .nlmsg_pid = PORTID } };
}

static Message row(const Fixture *f, uint16_t port)
{
        Message m = message(f, TCPDIAG_GETSOCK, sizeof(m.row));

        m.row.idiag_family = AF_INET;
        m.row.idiag_state = SOCKET_LISTEN;
        m.row.id.idiag_sport = htons(port);
        return m;
}

static void say_row(Fixture *f, uint16_t port, uint16_t flags)
{
        Message m = row(f, port);

        m.h.nlmsg_flags |= flags;
        say(f, &m, m.h.nlmsg_len);
}

/* Ends the answer to one question. */
static void say_end(Fixture *f, uint16_t type, int error, uint16_t flags)
{
        Message m = message(f, type, sizeof(m.error));

        m.h.nlmsg_flags |= flags;
        m.error = error;
        say(f, &m, m.h.nlmsg_len);
        f->sequence++;
}

static int on_row(const Socket *s, void *userdata)
{
        Fixture *f = userdata;

        f->n_rows++;
        f->last_port = s->local_port;
        return 0;
}

static int dump(Fixture *f, int protocol)
{
        return sock_diag_dump(f->diag, protocol, SOCK_DIAG_STATE(SOCKET_LISTEN), NULL, on_row, f);
}

static uint16_t next_question(Fixture *f)
{
        Message m;

        assert_true(recv(f->kernel, &m, sizeof(m), MSG_DONTWAIT) >= (ssize_t) sizeof(m.h));
        return m.h.nlmsg_type;
}

static void assert_no_question(Fixture *f)
{
        Message m;

        assert_int_equal(recv(f->kernel, &m, sizeof(m), MSG_DONTWAIT), -1);
}

static void test_one_question(void **state)
{
        Fixture *f = *state;

        say_row(f, 80, 0);
        say_row(f, 81, 0);
        say_end(f, NLMSG_DONE, 0, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        assert_int_equal(f->n_rows, 2);
        assert_int_equal(next_question(f), TCPDIAG_GETSOCK);
        assert_no_question(f);
        assert_int_equal(sock_diag_stats(f->diag)->interrupted, 0);
}

/* A dump that was interrupted is asked for again, as often as it takes within reason; each is
 * counted. */
static void test_interrupted(void **state)
{
        Fixture *f = *state;

        say_row(f, 80, NLM_F_DUMP_INTR);
        say_end(f, NLMSG_DONE, 0, 0);
        say_end(f, NLMSG_DONE, 0, NLM_F_DUMP_INTR);
        say_row(f, 81, 0);
        say_end(f, NLMSG_DONE, 0, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        assert_int_equal(sock_diag_stats(f->diag)->interrupted, 2);
        assert_int_equal(sock_diag_stats(f->diag)->dumps, 3);
        assert_int_equal(f->n_rows, 2);
        assert_int_equal(f->last_port, 81);

        /* The next one begins afresh. */
        say_end(f, NLMSG_DONE, 0, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        assert_int_equal(sock_diag_stats(f->diag)->dumps, 4);
}

static void test_always_interrupted(void **state)
{
        Fixture *f = *state;
        const SockDiagStats *s = sock_diag_stats(f->diag);

        for (unsigned i = 0; i < 20; i++)
                say_end(f, NLMSG_DONE, 0, NLM_F_DUMP_INTR);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        assert_true(s->interrupted >= 2 && s->interrupted < 10);
        assert_int_equal(s->interrupted, s->dumps);
}

/* A kernel that wants a family: asked so from then on. */
static void test_by_family(void **state)
{
        Fixture *f = *state;

        say_end(f, NLMSG_ERROR, -EINVAL, 0);
        for (unsigned i = 0; i < 4; i++) {
                say_row(f, (uint16_t) (80 + i), 0);
                say_end(f, NLMSG_DONE, 0, 0);
        }
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        assert_int_equal(f->n_rows, 2);
        assert_int_equal(next_question(f), TCPDIAG_GETSOCK);
        assert_int_equal(next_question(f), SOCK_DIAG_BY_FAMILY);
        assert_int_equal(next_question(f), SOCK_DIAG_BY_FAMILY);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        assert_int_equal(f->n_rows, 4);
        assert_int_equal(next_question(f), SOCK_DIAG_BY_FAMILY);
        assert_int_equal(next_question(f), SOCK_DIAG_BY_FAMILY);
        assert_no_question(f);
}

/* The same answer after one that was good is an error, and not a matter of the question. */
static void test_error(void **state)
{
        Fixture *f = *state;

        say_end(f, NLMSG_DONE, 0, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        say_end(f, NLMSG_ERROR, -EINVAL, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), -EINVAL);
        say_row(f, 80, 0);
        say_end(f, NLMSG_DONE, -ENOMEM, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), -ENOMEM);
        say_end(f, NLMSG_ERROR, -ENOENT, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), -EPROTONOSUPPORT);
        say_end(f, NLMSG_DONE, 0, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
}

/* What answers another question, and what is cut short, is no row. */
static void test_not_ours(void **state)
{
        Fixture *f = *state;
        Message m = row(f, 80);

        m.h.nlmsg_seq += 5;
        say(f, &m, m.h.nlmsg_len);
        m = row(f, 80);
        m.h.nlmsg_pid++;
        m.h.nlmsg_flags |= NLM_F_DUMP_INTR;
        say(f, &m, m.h.nlmsg_len);
        m = row(f, 80);
        m.h.nlmsg_len -= 8;
        say(f, &m, m.h.nlmsg_len);
        m = row(f, 80);
        say(f, &m, m.h.nlmsg_len - 4); /* the header says more than there is */
        /* More than an int holds. */
        m = row(f, 80);
        m.h.nlmsg_len = UINT32_MAX;
        say(f, &m, sizeof(m));
        m.h.nlmsg_len = 1u << 31;
        say(f, &m, sizeof(m));
        m.h.nlmsg_len = 0;
        say(f, &m, sizeof(m));
        m = row(f, 80);
        m.row.idiag_state = 200;
        say(f, &m, m.h.nlmsg_len);
        say_row(f, 81, 0);
        say_end(f, NLMSG_DONE, 0, 0);
        assert_int_equal(dump(f, IPPROTO_TCP), 0);
        assert_int_equal(f->n_rows, 1);
        assert_int_equal(f->last_port, 81);
        assert_int_equal(sock_diag_stats(f->diag)->malformed, 6);
        assert_int_equal(sock_diag_stats(f->diag)->interrupted, 0);
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        int fds[2];

        if (!f || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -1;
        f->kernel = fds[0];
        f->sequence = 1;
        *state = f;
        return sock_diag_new_consume_fd(fds[1], PORTID, &f->diag);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        sock_diag_free(f->diag);
        close(f->kernel);
        free(f);
        return 0;
}

#define DIAG_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                DIAG_TEST(test_one_question),
                DIAG_TEST(test_interrupted),
                DIAG_TEST(test_always_interrupted),
                DIAG_TEST(test_by_family),
                DIAG_TEST(test_error),
                DIAG_TEST(test_not_ours),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
