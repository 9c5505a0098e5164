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

/* Binds beside everything there is, as TCP_REPAIR does, and lets go again. */
static int bind_beside(const Endpoint *e, uint16_t port, bool listens)
{
        _cleanup_(closep) int fd = -1;
        struct sockaddr_storage address;
        socklen_t size;
        int r;

        fd = placeholder_open_socket(e, port, &address, &size);
        if (fd < 0)
                return fd;
        r = placeholder_drop_all(fd);
        if (r < 0)
                return r;
        r = placeholder_set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
        if (r < 0)
                return r;
        if (bind(fd, (const struct sockaddr *) &address, size) < 0 ||
            (listens && listen(fd, 0) < 0))
                return -errno;
        return 0;
}

int placeholder_scrub_beside(const Endpoint *e, uint16_t port)
{
        return bind_beside(e, port, true);
}

int placeholder_forget_reuseport(const Endpoint *e, uint16_t port)
{
        return bind_beside(e, port, false);
}

/* Tries a bind beside ours and gives it up again. 1: refused, 0: it succeeded. */
static int try_bind(const Endpoint *e, uint16_t port, bool reuseport)
{
        _cleanup_(closep) int fd = -1;
        struct sockaddr_storage address;
        socklen_t size;
        int r;

        fd = placeholder_open_socket(e, port, &address, &size);
        if (fd < 0)
                return fd;
        r = placeholder_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (r < 0)
                return r;
        if (reuseport) {
                r = placeholder_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
                if (r < 0)
                        return r;
        }
        if (bind(fd, (const struct sockaddr *) &address, size) < 0)
                return errno == EADDRINUSE ? 1 : -errno;
        return 0;
}

int placeholder_probe(const Endpoint *e, uint16_t port)
{
        return try_bind(e, port, true);
}

int placeholder_has_listener(const Endpoint *e, uint16_t port)
{
        return try_bind(e, port, false);
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

        r = try_bind(&v4, port, false);
        if (r != 1)
                return r;
        r = try_bind(&v6, port, false);
        return r == -EAFNOSUPPORT ? 1 : r;
}
