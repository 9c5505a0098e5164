/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sd-bus trusts its peer more than we may (measured with 252): a message may have 128 MiB, and half
 * of one is kept for as long as the peer likes; a peer that never reads makes the queue of replies
 * grow without end; and where fds are negotiated, which the reply of Open needs, each peer can park
 * some 500 of its own fds with us.
 *
 * So sd-bus never reads from a peer. It writes to the peer's socket itself, but its input is our
 * end of a socket pair, and a gate passes the peer's bytes on:
 *
 *      peer ──▶ gate: recv(), whole lines or messages only ──▶ socket pair ──▶ sd-bus ──▶ peer
 *
 * The gate receives with recv(), so fds in what comes are discarded by the kernel and never opened
 * here. It passes no message that is longer than FRAME_MESSAGE_MAX or not complete, and none while
 * a reply waits to be read: a peer that does not read gets no second answer. sd-bus cannot see the
 * peer's credentials through the pair; they were checked when it was accepted, so its own
 * authentication is set to anonymous (which accepts EXTERNAL from any client as well). */

#include "daemon/bus/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "daemon/bus/frame.h"
#include "daemon/bus/interface.h"
#include "kernel/process.h"

#define AUTHENTICATE_USEC (5 * USEC_PER_SEC)
#define STALL_USEC        (5 * USEC_PER_SEC) /* half a message, or a reply that nobody reads */
#define IDLE_USEC         (60 * USEC_PER_SEC)
#define QUEUED_MAX        16u
#define SEND_BUFFER       (256 * 1024)

struct Peer {
        struct ucred credentials;
        const BusOps *ops;
        void *userdata;
        sd_bus *bus;
        sd_event_source *io;
        int fd;    /* the peer; sd-bus has a duplicate for its output */
        int inner; /* our end of the pair */
        bool subscribed;
        bool dead;
        Frame frame;
        uint64_t created, passed, drained; /* when: accepted, last message passed, last seen without
                                              a waiting reply */
        size_t filled;
        uint8_t buffer[FRAME_MESSAGE_MAX];
};

Peer *peer_free(Peer *p)
{
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->io);
        sd_bus_close_unref(p->bus);
        if (p->inner >= 0)
                close(p->inner);
        if (p->fd >= 0)
                close(p->fd);
        free(p);
        return NULL;
}

sd_bus *peer_bus(Peer *p)
{
        return p->bus;
}

uid_t peer_uid(const Peer *p)
{
        return p->credentials.uid;
}

pid_t peer_pid(const Peer *p)
{
        return p->credentials.pid;
}

int peer_pidfd(const Peer *p)
{
        return process_peer_pidfd(p->fd, p->credentials.pid);
}

const BusOps *peer_ops(const Peer *p)
{
        return p->ops;
}

void *peer_userdata(const Peer *p)
{
        return p->userdata;
}

void peer_hang_up(Peer *p)
{
        p->dead = true;
}

void peer_subscribe(Peer *p)
{
        p->subscribed = true;
}

bool peer_subscribed(const Peer *p)
{
        return p->subscribed && !p->dead;
}

static uint64_t queued_replies(const Peer *p)
{
        uint64_t n;

        return sd_bus_get_n_queued_write(p->bus, &n) >= 0 ? n : 0;
}

/* Has sd-bus taken what was passed, and the peer the answer? */
static bool may_pass(const Peer *p)
{
        int unread = 0;

        if (!p->frame.begun)
                return true;
        return ioctl(p->inner, SIOCOUTQ, &unread) >= 0 && unread == 0 && queued_replies(p) == 0;
}

static void pump(Peer *p, uint64_t now)
{
        while (p->filled > 0 && !p->dead && may_pass(p)) {
                ssize_t n;

                n = frame_next(&p->frame, p->buffer, p->filled);
                if (n == 0)
                        break;
                /* The pair was empty and takes more than one message at once: a short write is no
                 * case of its own. */
                if (n < 0 ||
                    send(p->inner, p->buffer, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT) != n) {
                        p->dead = true;
                        break;
                }
                p->filled -= (size_t) n;
                memmove(p->buffer, p->buffer + n, p->filled);
                p->passed = now;
        }
        if (!p->dead &&
            sd_event_source_set_io_events(p->io, p->filled < sizeof(p->buffer) ? EPOLLIN : 0) < 0)
                p->dead = true;
}

static uint64_t event_now(sd_event_source *s)
{
        uint64_t now = 0;

        (void) sd_event_now(sd_event_source_get_event(s), CLOCK_MONOTONIC, &now);
        return now;
}

static int on_input(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        uint64_t now = event_now(s);
        Peer *p = userdata;
        ssize_t n;

        if (p->filled < sizeof(p->buffer)) {
                n = recv(fd, p->buffer + p->filled, sizeof(p->buffer) - p->filled, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n > 0) {
                        if (p->filled == 0)
                                p->passed = now;
                        p->filled += (size_t) n;
                        pump(p, now);
                } else
                        p->dead = true;
        } else if (revents & (EPOLLHUP | EPOLLERR))
                p->dead = true;
        /* The dead are freed by the Bus when this turn of the loop is over: sd-bus may be in the
         * middle of a call. Until then nothing more is heard from them. */
        if (p->dead)
                (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
        return 0;
}

bool peer_tend(Peer *p, uint64_t now)
{
        uint64_t queued = queued_replies(p);

        if (queued == 0)
                p->drained = now;
        if (p->filled > 0)
                pump(p, now);

        if (p->dead || queued > QUEUED_MAX || sd_bus_is_open(p->bus) <= 0)
                return false;
        if (sd_bus_is_ready(p->bus) <= 0 && now > p->created + AUTHENTICATE_USEC)
                return false;
        if (now > p->drained + STALL_USEC)
                return false;
        if (p->filled > 0 && now > p->passed + STALL_USEC)
                return false;
        return p->subscribed || now <= p->passed + IDLE_USEC;
}

static int start_bus(Peer *p, sd_event *event, int pair_fd, int output_fd)
{
        static const int send_buffer = SEND_BUFFER;
        sd_id128_t id;
        int r;

        r = sd_bus_new(&p->bus);
        if (r < 0) {
                close(pair_fd);
                close(output_fd);
                return r;
        }
        r = sd_bus_set_fd(p->bus, pair_fd, output_fd);
        if (r < 0) {
                close(pair_fd);
                close(output_fd);
                return r;
        }
        /* The fds are the bus's from here on. */
        r = sd_id128_randomize(&id);
        if (r < 0)
                return r;
        r = sd_bus_set_server(p->bus, true, id);
        if (r < 0)
                return r;
        r = sd_bus_set_anonymous(p->bus, true);
        if (r < 0)
                return r;
        r = sd_bus_negotiate_fds(p->bus, true);
        if (r < 0)
                return r;
        r = interface_add(p->bus, p);
        if (r < 0)
                return r;
        r = sd_bus_start(p->bus);
        if (r < 0)
                return r;
        /* sd-bus has just asked for 8 MiB, and where we have CAP_NET_ADMIN got them. */
        (void) setsockopt(output_fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
        return sd_bus_attach_event(p->bus, event, SD_EVENT_PRIORITY_NORMAL);
}

int peer_new(sd_event *event, int fd, const struct ucred *credentials, const BusOps *ops,
             void *userdata, Peer **ret)
{
        _cleanup_(closep) int pair_fd = -1, output_fd = -1;
        _cleanup_(peer_freep) Peer *p = NULL;
        uint64_t now;
        int pair[2], r;

        p = calloc(1, sizeof(*p));
        if (!p) {
                close(fd);
                return -ENOMEM;
        }
        p->fd = fd;
        p->inner = -1;
        p->credentials = *credentials;
        p->ops = ops;
        p->userdata = userdata;
        r = sd_event_now(event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        p->created = p->passed = p->drained = now;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        p->inner = pair[0];
        pair_fd = pair[1];
        output_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (output_fd < 0)
                return -errno;
        r = start_bus(p, event, TAKE_FD(pair_fd), TAKE_FD(output_fd));
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &p->io, fd, EPOLLIN, on_input, p);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}
