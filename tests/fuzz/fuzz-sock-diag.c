/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whole answers of sock_diag(7), bent: datagrams of several messages, cut short, with foreign sequence
 * numbers and port ids. The first byte says what was asked; then come datagrams, each a byte of flags,
 * the length in two bytes, and the text. */

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "kernel/sock-diag.h"

#define PORTID 77u

enum {
        FLAG_OURS = 1,   /* headers get our port id and the sequence number of the first question */
        FLAG_LENGTH = 2, /* the first header gets the length of the datagram */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Count {
        int protocol; /* 0: any */
        unsigned rows, foreign_rows;
} Count;

/* What is said as somebody else's answer bears this port. */
#define FOREIGN_PORT 0xbad1

static int on_row(const Socket *s, void *userdata)
{
        Count *c = userdata;

        c->rows++;
        if (s->protocol != IPPROTO_TCP && s->protocol != IPPROTO_UDP)
                abort();
        if (c->protocol != 0 && s->protocol != c->protocol)
                abort();
        if (s->state <= 0 || s->state >= _SOCKET_STATE_MAX)
                abort();
        if (s->family != AF_INET && s->family != AF_INET6)
                abort();
        if (s->local_port == FOREIGN_PORT)
                c->foreign_rows++;
        return 0;
}

/* Says the datagrams; false: no room for more. */
static void say_all(int fd, const uint8_t *data, size_t size)
{
        while (size >= 3) {
                size_t l = MIN_OF((size_t) (data[1] | data[2] << 8), size - 3);
                _cleanup_(freep) uint8_t *text = malloc(l > 0 ? l : 1);

                if (!text)
                        return;
                memcpy(text, data + 3, l);
                if (l >= sizeof(struct nlmsghdr)) {
                        struct nlmsghdr h;

                        memcpy(&h, text, sizeof(h));
                        if (data[0] & FLAG_OURS) {
                                h.nlmsg_seq = 1;
                                h.nlmsg_pid = PORTID;
                        }
                        if (data[0] & FLAG_LENGTH)
                                h.nlmsg_len = (uint32_t) l;
                        memcpy(text, &h, sizeof(h));
                }
                if (l > 0 && send(fd, text, l, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                        return;
                data += 3 + l;
                size -= 3 + l;
        }
}

/* A row of a listener that would pass, were it an answer to our question. */
static void say_foreign(int fd, uint32_t sequence, uint32_t portid)
{
        struct {
                struct nlmsghdr h;
                uint8_t row[72];
        } m = { .h = { .nlmsg_len = sizeof(m),
                       .nlmsg_type = 20, /* SOCK_DIAG_BY_FAMILY */
                       .nlmsg_seq = sequence,
                       .nlmsg_pid = portid },
                .row = { AF_INET, SOCKET_LISTEN, 0, 0, FOREIGN_PORT >> 8, FOREIGN_PORT & 0xff } };

        (void) send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(sock_diag_freep) SockDiag *diag = NULL;
        _cleanup_(closep) int kernel = -1;
        Count count = {};
        int fds[2];

        if (size < 1 ||
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
                return 0;
        kernel = fds[0];
        if (data[0] % 5 != 3) {
                say_foreign(kernel, 7, PORTID);
                say_foreign(kernel, 1, PORTID + 1);
        }
        say_all(kernel, data + 1, size - 1);

        if (data[0] % 5 == 3) {
                _cleanup_(closep) int events = fds[1];

                while (sock_diag_events_read(events, on_row, &count) < 0)
                        ;
                return 0;
        }
        if (sock_diag_new_consume_fd(fds[1], PORTID, &diag) < 0) {
                close(fds[1]);
                return 0;
        }
        if (data[0] % 5 == 2) {
                Socket s = { .protocol = IPPROTO_TCP, .family = AF_INET };

                if (sock_diag_destroy(diag, &s) > 0)
                        abort();
                return 0;
        }
        if (data[0] % 5 == 4) {
                Socket asked = { .protocol = IPPROTO_TCP, .family = AF_INET, .cookie = 7 },
                       found = {};
                int r = sock_diag_find(diag, &asked, &found);

                if (r > 1 || (r == 1 && (found.cookie != 7 || found.protocol != IPPROTO_TCP)))
                        abort();
                return 0;
        }
        count.protocol = data[0] % 5 == 0 ? IPPROTO_TCP : IPPROTO_UDP;
        if (sock_diag_dump(diag, count.protocol,
                           SOCK_DIAG_STATE(SOCKET_LISTEN) | SOCK_DIAG_STATE(SOCKET_CLOSE), NULL,
                           on_row, &count) > 0)
                abort();
        if (sock_diag_stats(diag)->rows != count.rows)
                abort();
        return 0;
}
