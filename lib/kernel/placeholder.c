/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/placeholder-internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int placeholder_set_int(int fd, int level, int option, int value)
{
        return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int placeholder_get_int(int fd, int level, int option, int *ret)
{
        socklen_t size = sizeof(*ret);

        return getsockopt(fd, level, option, ret, &size) < 0 ? -errno : 0;
}

bool placeholder_is_dual_stack(const Endpoint *e)
{
        return e->address.family == AF_UNSPEC ||
               (e->address.family == AF_INET6 && address_is_wildcard(&e->address) && !e->v6only);
}

/* ipv6.disable=1 on the kernel's command line, or a kernel without it. Asked anew each time it
 * matters: a module may come. */
static bool have_ipv6(void)
{
        _cleanup_(closep) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return fd >= 0 || errno != EAFNOSUPPORT;
}

int placeholder_drop_all(int fd)
{
        struct sock_filter reject = BPF_STMT(BPF_RET | BPF_K, 0);
        struct sock_fprog program = { .len = 1, .filter = &reject };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                           : 0;
}

/* An unbound socket for the endpoint and the address to bind it to. */
static int open_socket(const Endpoint *e, uint16_t port, struct sockaddr_storage *ret_address,
                       socklen_t *ret_size)
{
        int type = e->protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, r;
        int family = e->address.family == AF_INET ? AF_INET : AF_INET6;
        _cleanup_(closep) int fd = -1;
        Address address = e->address;

        if (e->protocol != IPPROTO_TCP && e->protocol != IPPROTO_UDP)
                return -EPROTONOSUPPORT;

        fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, e->protocol);
        if (fd < 0 && errno == EAFNOSUPPORT && e->address.family == AF_UNSPEC) {
                family = AF_INET;
                address = (Address){ .family = AF_INET };
                fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, e->protocol);
        }
        if (fd < 0)
                return -errno;

        if (family == AF_INET6) {
                /* Always said: the default is net.ipv6.bindv6only. */
                r = placeholder_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                                        !placeholder_is_dual_stack(e));
                if (r < 0)
                        return r;
        }
        /* The same flag under two names; IPv6's came with 4.15: without it an address not there yet
         * is BIND_NO_ADDRESS. */
        if (!address_is_wildcard(&address)) {
                if (family == AF_INET6)
                        (void) placeholder_set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
                else
                        (void) placeholder_set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
        }

        *ret_size = address_to_sockaddr(&address, port, ret_address);
        return TAKE_FD(fd);
}

int placeholder_open_bound(const Endpoint *e, uint16_t port, int (*prepare)(int fd))
{
        _cleanup_(closep) int fd = -1;
        struct sockaddr_storage address;
        socklen_t size;
        int r;

        fd = open_socket(e, port, &address, &size);
        if (fd < 0)
                return fd;
        r = prepare(fd);
        if (r < 0)
                return r;
        if (bind(fd, (const struct sockaddr *) &address, size) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* -errno to BindResult where it is an expected outcome. */
static int bind_result(int error)
{
        switch (error) {
        case -EADDRINUSE:
                return BIND_IN_USE;
        case -EADDRNOTAVAIL:
        case -EAFNOSUPPORT:
        case -ENODEV:
                return BIND_NO_ADDRESS;
        default:
                return error;
        }
}

/* TCP: open, for the remains of a server that was open as well (FIN_WAIT2, TIME_WAIT). UDP leaves
 * none; there an open bind could only come in beside somebody who is there, and the kernel gives
 * the datagrams to the newest. */
static int bind_first(const Endpoint *e, uint16_t port, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;
        int r;

        fd = placeholder_open_bound(
                e, port, e->protocol == IPPROTO_TCP ? placeholder_share : placeholder_unshare);
        if (fd < 0)
                return fd;
        r = placeholder_share(fd);
        if (r < 0)
                return r;

        *ret_fd = TAKE_FD(fd);
        return 0;
}

int placeholder_bind(const Endpoint *e, uint16_t port, bool sharing, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;
        bool scrubbed;
        int r;

        r = bind_first(e, port, &fd);
        if (r < 0)
                return bind_result(r);
        if (e->protocol == IPPROTO_UDP) {
                /* Nobody reads it: without the filter it would fill up with datagrams. */
                r = placeholder_drop_all(fd);
                if (r < 0)
                        return r;
        }

        if (!sharing) {
                r = placeholder_exclude(fd, &scrubbed);
                if (r == 0 && !scrubbed)
                        r = placeholder_scrub_open(fd, &scrubbed);
                if (r < 0)
                        return r;
                r = scrubbed ? placeholder_probe(e, port) : 0;
                if (r < 0)
                        return r;
                if (r == 0)
                        return BIND_IN_USE;
        }

        *ret_fd = TAKE_FD(fd);
        return BIND_OK;
}

int placeholder_step_behind(const Endpoint *e, uint16_t port, bool sharing, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;
        struct sockaddr_storage address;
        socklen_t size;
        int domain, r;

        fd = open_socket(e, port, &address, &size);
        if (fd < 0)
                return fd;
        r = placeholder_get_int(fd, SOL_SOCKET, SO_DOMAIN, &domain);
        if (r < 0)
                return r;
        if (e->protocol != IPPROTO_UDP || domain != AF_INET6)
                return -EOPNOTSUPP;

        /* SO_REUSEPORT at the bind is what puts it behind, and would also make it one of the group
         * that shares the owner's datagrams, if the uids were equal. Root's socket therefore
         * becomes that of a uid that nobody has; anybody else's is our own uid's, and no service
         * runs as that. */
        if (geteuid() == 0 && fchown(fd, (uid_t) -2, (gid_t) -1) < 0)
                return -errno;
        r = placeholder_drop_all(fd);
        if (r < 0)
                return r;
        r = placeholder_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (r < 0)
                return r;
        r = placeholder_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r < 0)
                return r;
        if (bind(fd, (const struct sockaddr *) &address, size) < 0)
                return bind_result(-errno);
        r = placeholder_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 0);
        if (r < 0)
                return r;
        r = placeholder_set_int(fd, SOL_SOCKET, SO_REUSEADDR, sharing);
        if (r < 0)
                return r;

        *ret_fd = TAKE_FD(fd);
        return BIND_OK;
}

int placeholder_listen(const Endpoint *e, uint16_t port, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;
        int r;

        r = bind_first(e, port, &fd);
        if (r < 0)
                return bind_result(r);
        /* As much as net.core.somaxconn allows. */
        if (e->protocol == IPPROTO_TCP && listen(fd, INT32_MAX) < 0)
                return bind_result(-errno);

        *ret_fd = TAKE_FD(fd);
        return BIND_OK;
}

/* Between the two the door stays shut: while it listens, it may be open, since nobody binds beside a
 * listener. */
int placeholder_begin_listening(int fd)
{
        int r;

        if (!placeholder_is_udp(fd) && listen(fd, INT32_MAX) == 0)
                return placeholder_share(fd);
        /* TCP: what remains of connections that share is in the way of one that does not. */
        r = placeholder_share(fd);
        if (r < 0)
                return r;
        if (placeholder_is_udp(fd))
                return placeholder_set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
        return listen(fd, INT32_MAX) < 0 ? -errno : 0;
}

int placeholder_end_listening(int fd, bool sharing)
{
        bool scrubbed;
        int r;

        r = sharing ? 0 : placeholder_unshare(fd);
        if (r < 0)
                return r;
        if (placeholder_is_udp(fd))
                r = placeholder_drop_all(fd);
        else
                r = shutdown(fd, SHUT_RDWR) < 0 ? -errno : 0;
        if (r < 0 || sharing)
                return r;
        r = placeholder_exclude(fd, &scrubbed);
        return r < 0 ? r : scrubbed ? 0 : -EADDRINUSE;
}

int placeholder_identity(int fd, uint64_t *ret_cookie, uint32_t *ret_inode)
{
        socklen_t size = sizeof(*ret_cookie);
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret_cookie, &size) < 0)
                *ret_cookie = 0;
        *ret_inode = (uint32_t) st.st_ino;
        return 0;
}

int placeholder_describe(int fd, PlaceholderInfo *ret)
{
        PlaceholderInfo info = {};
        struct sockaddr_storage ss;
        socklen_t size = sizeof(ss);
        int r, domain, v6only = 0, listening, sharing;

        r = placeholder_get_int(fd, SOL_SOCKET, SO_DOMAIN, &domain);
        if (r < 0)
                return r;
        if (domain != AF_INET && domain != AF_INET6)
                return -EAFNOSUPPORT;
        r = placeholder_get_int(fd, SOL_SOCKET, SO_PROTOCOL, &info.protocol);
        if (r < 0)
                return r;
        if (info.protocol != IPPROTO_TCP && info.protocol != IPPROTO_UDP)
                return -EPROTONOSUPPORT;

        memset(&ss, 0, sizeof(ss));
        if (getsockname(fd, (struct sockaddr *) &ss, &size) < 0)
                return -errno;
        r = address_from_sockaddr(&ss, &info.address, &info.port);
        if (r < 0)
                return r;
        if (domain == AF_INET6) {
                r = placeholder_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only);
                if (r < 0)
                        return r;
                if (!v6only && address_is_wildcard(&info.address))
                        info.address = (Address){ .family = AF_UNSPEC };
        }
        r = placeholder_get_int(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening);
        if (r < 0)
                return r;
        r = placeholder_get_int(fd, SOL_SOCKET, SO_REUSEADDR, &sharing);
        if (r < 0)
                return r;

        info.v6only = v6only;
        info.listening = listening;
        info.sharing = sharing;
        *ret = info;
        return 0;
}

bool placeholder_serves(const PlaceholderInfo *info, const Endpoint *e, uint16_t port)
{
        bool wildcard4 = info->address.family == AF_INET && address_is_wildcard(&info->address);

        if (info->protocol != e->protocol || info->port != port)
                return false;
        if (placeholder_is_dual_stack(e))
                return info->address.family == AF_UNSPEC ||
                       (e->address.family == AF_UNSPEC && wildcard4 && !have_ipv6());
        return address_equal(&info->address, &e->address);
}
