/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests and answers of NETLINK_SOCK_DIAG: dumps, and what this kernel can. */

#include "kernel/sock-diag-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/netlink.h"

#define REPEATS_MAX 3

/* What a dump has come to, while datagrams are worked off. */
typedef struct Dump {
        int protocol;
        SockDiagRow row;
        void *userdata;
        bool done, interrupted;
} Dump;

int sock_diag_new(SockDiag **ret)
{
        _cleanup_(closep) int fd = -1;
        uint32_t portid;
        int r;

        r = netlink_open(0, 0, 0, &fd, &portid);
        if (r < 0)
                return r;
        r = sock_diag_new_consume_fd(fd, portid, ret);
        if (r < 0)
                return r;
        fd = -1;
        return 0;
}

int sock_diag_new_consume_fd(int fd, uint32_t portid, SockDiag **ret)
{
        SockDiag *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->fd = fd;
        d->portid = portid;
        d->bound_inactive = TRI_UNKNOWN;
        d->both_families = TRI_UNKNOWN;
        *ret = d;
        return 0;
}

SockDiag *sock_diag_free(SockDiag *d)
{
        if (d) {
                closep(&d->fd);
                free(d);
        }
        return NULL;
}

const SockDiagStats *sock_diag_stats(const SockDiag *d)
{
        return &d->stats;
}

/* The rest of a dump is not wanted: a new socket is cheaper than reading on. */
static int reopen(SockDiag *d)
{
        int fd, r;

        r = netlink_open(0, 0, 0, &fd, &d->portid);
        if (r < 0)
                return r;
        close(d->fd);
        d->fd = fd;
        return 0;
}

void *sock_diag_put_request(SockDiag *d, uint16_t type, uint16_t flags, size_t size,
                            struct nlmsghdr **ret)
{
        struct nlmsghdr *h = mnl_nlmsg_put_header(d->request);

        h->nlmsg_type = type;
        h->nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
        h->nlmsg_seq = ++d->sequence;
        *ret = h;
        return mnl_nlmsg_put_extra_header(h, size);
}

bool sock_diag_is_foreign(const SockDiag *d, const struct nlmsghdr *h)
{
        return h->nlmsg_seq != d->sequence || h->nlmsg_pid != d->portid;
}

int sock_diag_error_of(const struct nlmsghdr *h)
{
        int error;

        if (mnl_nlmsg_get_payload_len(h) < sizeof(error))
                return -EBADMSG;
        memcpy(&error, mnl_nlmsg_get_payload(h), sizeof(error));
        return MIN_OF(error, 0);
}

static int dump_message(SockDiag *d, Dump *dump, const struct nlmsghdr *h)
{
        Socket s;
        int r;

        if (sock_diag_is_foreign(d, h))
                return 0;
        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
                dump->interrupted = true;
        switch (h->nlmsg_type) {
        case NLMSG_DONE:
                dump->done = true;
                /* Since 4.11 it bears the error that ended the dump. */
                return mnl_nlmsg_get_payload_len(h) < sizeof(int) ? 0 : sock_diag_error_of(h);
        case NLMSG_ERROR:
                dump->done = true;
                r = sock_diag_error_of(h);
                return r < 0 ? r : -EBADMSG;
        case SOCK_DIAG_BY_FAMILY:
        case TCPDIAG_GETSOCK:
                r = sock_diag_parse(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h),
                                    dump->protocol, &s);
                if (r < 0) {
                        d->stats.malformed++;
                        return 0;
                }
                d->stats.rows++;
                return dump->row(&s, dump->userdata);
        default:
                return 0;
        }
}

static int dump_receive(SockDiag *d, Dump *dump)
{
        while (!dump->done) {
                ssize_t n = netlink_receive(d->fd, d->receive, sizeof(d->receive));
                const struct nlmsghdr *h = (const struct nlmsghdr *) d->receive;
                int rest = (int) n, r;

                if (n < 0) {
                        if (n == -ENOBUFS || n == -EMSGSIZE)
                                d->stats.overruns++;
                        return n == -EAGAIN ? -ETIMEDOUT : (int) n;
                }
                for (; netlink_message_ok(h, rest); h = mnl_nlmsg_next(h, &rest)) {
                        r = dump_message(d, dump, h);
                        if (r < 0)
                                return r;
                }
                if (rest > 0)
                        d->stats.malformed++;
        }
        return 0;
}

/* AF_UNSPEC: both, of TCP. */
static int dump_family(SockDiag *d, int family, uint32_t states, const DiagFilter *filter,
                       Dump *dump)
{
        uint8_t extensions = states & SOCK_DIAG_ULP ? 1u << (INET_DIAG_INFO - 1) : 0;
        struct nlmsghdr *h;
        int r;

        if (family == AF_UNSPEC) {
                struct inet_diag_req *request =
                        sock_diag_put_request(d, TCPDIAG_GETSOCK, NLM_F_DUMP, sizeof(*request), &h);

                request->idiag_states = states & ~SOCK_DIAG_ULP;
                request->idiag_ext = extensions;
        } else {
                struct inet_diag_req_v2 *request = sock_diag_put_request(
                        d, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(*request), &h);

                request->sdiag_family = (uint8_t) family;
                request->sdiag_protocol = (uint8_t) dump->protocol;
                request->idiag_states = states & ~SOCK_DIAG_ULP;
                request->idiag_ext = extensions;
        }
        if (filter) {
                size_t size;
                const void *code = diag_filter_code(filter, &size);

                if (!mnl_attr_put_check(h, sizeof(d->request), INET_DIAG_REQ_BYTECODE, size, code))
                        return -E2BIG;
        }

        d->stats.dumps++;
        dump->done = false;
        r = netlink_send(d->fd, h, h->nlmsg_len);
        if (r >= 0)
                r = dump_receive(d, dump);
        if (r < 0 && !dump->done) {
                int q = reopen(d);

                if (q < 0)
                        return q;
        }
        /* No handler for the protocol, even after the kernel tried to load tcp_diag or udp_diag. */
        return r == -ENOENT ? -EPROTONOSUPPORT : r;
}

/* What the kernel says was interrupted is asked again. */
static int dump_whole(SockDiag *d, int family, uint32_t states, const DiagFilter *filter,
                      Dump *dump)
{
        for (unsigned n = 0;; n++) {
                int r;

                dump->interrupted = false;
                r = dump_family(d, family, states, filter, dump);
                if (r < 0 || !dump->interrupted)
                        return r;
                d->stats.interrupted++;
                if (n >= REPEATS_MAX)
                        return 0;
        }
}

/* The request that is older than sock_diag(7) names no family: one walk over the kernel's table
 * brings what takes two otherwise. 1: done; 0: this kernel does not answer it. */
static int dump_both(SockDiag *d, uint32_t states, const DiagFilter *filter, Dump *dump)
{
        int r;

        if (d->both_families == TRI_NO)
                return 0;
        r = dump_whole(d, AF_UNSPEC, states, filter, dump);
        if (r >= 0)
                d->both_families = TRI_YES;
        else if (d->both_families == TRI_UNKNOWN && (r == -EINVAL || r == -EOPNOTSUPP)) {
                d->both_families = TRI_NO;
                return 0;
        }
        return r < 0 ? r : 1;
}

int sock_diag_dump(SockDiag *d, int protocol, uint32_t states, const DiagFilter *filter,
                   SockDiagRow row, void *userdata)
{
        static const int families[] = { AF_INET, AF_INET6 };
        Dump dump = { .protocol = protocol, .row = row, .userdata = userdata };
        int r;

        /* A kernel without that state would walk every connection and find none in it. */
        if (protocol == IPPROTO_TCP && states & SOCK_DIAG_STATE(SOCKET_BOUND_INACTIVE) &&
            sock_diag_has_bound_inactive(d) == 0)
                states &= ~SOCK_DIAG_STATE(SOCKET_BOUND_INACTIVE);
        /* Nor does UDP know of it. */
        if (protocol == IPPROTO_UDP)
                states &= SOCK_DIAG_STATE(SOCKET_ESTABLISHED) | SOCK_DIAG_STATE(SOCKET_CLOSE);

        if (protocol == IPPROTO_TCP) {
                r = dump_both(d, states, filter, &dump);
                if (r != 0)
                        return MIN_OF(r, 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                r = dump_whole(d, families[i], states, filter, &dump);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int found_row(const Socket *s, void *userdata)
{
        *(bool *) userdata = true;
        return 0;
}

/* Binds a socket of our own and asks for it. With IP_FREEBIND the address is there even while lo is
 * down. Not 127.0.0.1, all of whose ports may be in use. */
int sock_diag_has_bound_inactive(SockDiag *d)
{
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 0x505200) };
        Dump dump = { .protocol = IPPROTO_TCP, .row = found_row };
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        socklen_t size = sizeof(address);
        _cleanup_(closep) int fd = -1;
        bool found = false;
        PortSet ports = {};
        int r;

        if (d->bound_inactive != TRI_UNKNOWN)
                return d->bound_inactive;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &(int){ 1 }, sizeof(int)) < 0 ||
            bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;

        portset_add(&ports, ntohs(address.sin_port));
        r = diag_filter_new(&ports, false, &filter);
        if (r < 0)
                return r;
        dump.userdata = &found;
        r = dump_family(d, AF_INET, SOCK_DIAG_STATE(SOCKET_BOUND_INACTIVE), filter, &dump);
        if (r < 0)
                return r;
        d->bound_inactive = found ? TRI_YES : TRI_NO;
        return d->bound_inactive;
}
