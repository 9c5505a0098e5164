/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The door of a placeholder: open, closed, and who could come through it. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "kernel/placeholder-internal.h"

/* Makes the bind bucket forget what earlier sockets allowed. -EADDRINUSE: a listener is there. */
static int scrub(int fd)
{
        int r, k;

        r = placeholder_drop_all(fd);
        if (r < 0)
                return r;
        r = listen(fd, 0) < 0 ? -errno : 0;
        if (r == 0 && shutdown(fd, SHUT_RDWR) < 0)
                r = -errno;
        k = placeholder_set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
        return r < 0 ? r : k;
}

bool placeholder_is_udp(int fd)
{
        int protocol;

        return placeholder_get_int(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) == 0 &&
               protocol == IPPROTO_UDP;
}

int placeholder_share(int fd)
{
        return placeholder_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

int placeholder_unshare(int fd)
{
        return placeholder_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 0);
}

int placeholder_exclude(int fd, bool *ret_scrubbed)
{
        int r;

        r = placeholder_unshare(fd);
        if (r < 0)
                return r;
        r = placeholder_is_udp(fd) ? 0 : scrub(fd);
        *ret_scrubbed = r == 0;
        return r == -EADDRINUSE ? 0 : r;
}

int placeholder_scrub_open(int fd, bool *ret_scrubbed)
{
        int r, k;

        r = placeholder_share(fd);
        if (r < 0)
                return r;
        r = scrub(fd);
        k = placeholder_unshare(fd);
        *ret_scrubbed = r == 0;
        return k < 0 ? k : (r == -EADDRINUSE ? 0 : r);
}

static int prepare_repair(int fd)
{
        int r;

        r = placeholder_drop_all(fd);
        return r < 0 ? r : placeholder_set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
}

/* Binds beside everything there is, as TCP_REPAIR does. */
static int bind_beside(const Endpoint *e, uint16_t port)
{
        return placeholder_open_bound(e, port, prepare_repair);
}

int placeholder_scrub_beside(const Endpoint *e, uint16_t port)
{
        _cleanup_(closep) int fd = bind_beside(e, port);

        return fd < 0 ? fd : listen(fd, 0) < 0 ? -errno : 0;
}

int placeholder_forget_reuseport(const Endpoint *e, uint16_t port)
{
        _cleanup_(closep) int fd = bind_beside(e, port);

        return MIN_OF(fd, 0);
}

static int prepare_reuseport(int fd)
{
        int r;

        r = placeholder_share(fd);
        return r < 0 ? r : placeholder_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

/* Tries a bind beside ours and gives it up again. 1: refused, 0: it succeeded. */
static int try_bind(const Endpoint *e, uint16_t port, int (*prepare)(int fd))
{
        _cleanup_(closep) int fd = placeholder_open_bound(e, port, prepare);

        return fd == -EADDRINUSE ? 1 : MIN_OF(fd, 0);
}

int placeholder_probe(const Endpoint *e, uint16_t port)
{
        return try_bind(e, port, prepare_reuseport);
}

int placeholder_has_listener(const Endpoint *e, uint16_t port)
{
        return try_bind(e, port, placeholder_share);
}

/* An address of that family which the endpoint has; where it has all of them, all, or one that no
 * host has (RFC 5737, RFC 3849). */
static Endpoint part_of(const Endpoint *e, int family, bool single)
{
        Endpoint part = *e;

        if (placeholder_is_dual_stack(e)) {
                part.address = (Address){ .family = family };
                part.v6only = family == AF_INET6;
        }
        if (single && address_is_wildcard(&part.address))
                (void) address_parse(part.address.family == AF_INET ? "192.0.2.1" : "2001:db8::1",
                                     &part.address);
        return part;
}

int placeholder_is_covered(const Endpoint *e, uint16_t port, bool wholly)
{
        const Endpoint v4 = part_of(e, AF_INET, wholly), v6 = part_of(e, AF_INET6, wholly);
        int r;

        r = try_bind(&v4, port, placeholder_share);
        if (r != 1)
                return r;
        r = try_bind(&v6, port, placeholder_share);
        return r == -EAFNOSUPPORT ? 1 : r;
}
