/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/ephemeral-look.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/parse.h"
#include "ctl/applied.h"
#include "ctl/output.h"
#include "kernel/kernel-list.h"
#include "kernel/record.h"
#include "kernel/runtime.h"
#include "kernel/sock-diag.h"
#include "kernel/sysctl-files.h"

/* Kernel 6.3; spelled out for older headers. */
#define OPTION_LOCAL_PORT_RANGE 51

static uint64_t read_number(const char *path, uint64_t fallback)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t value;

        if (file_read(path, 64, &text, NULL) < 0)
                return fallback;
        text[strcspn(text, "\n")] = 0;
        return parse_uint(text, 0, UINT32_MAX, &value) < 0 ? fallback : value;
}

/* The last line wins when they are applied; it need not have been applied as it stands. */
static void find_source(EphemeralLook *l)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles files = {};
        const SysctlLine *line;
        unsigned first, last;

        if (sysctl_files_read("", "net/ipv4/ip_local_port_range", &files) < 0 || files.n_lines == 0)
                return;
        line = &files.lines[files.n_lines - 1];
        if (sscanf(line->value, "%u %u", &first, &last) == 2 && first == l->first &&
            last == l->last && asprintf(&l->source, "%s:%u", line->file, line->line) < 0)
                l->source = NULL;
}

static int read_settings(const Ctl *c, EphemeralLook *l)
{
        int r;

        r = ephemeral_range_read(&l->first, &l->last);
        if (r < 0)
                return r;
        r = kernel_list_read(&l->reserved);
        if (r < 0)
                return r;
        find_source(l);
        r = record_read(c->runtime_dir, RUNTIME_OURS, &l->ours);
        l->ours_known = r >= 0 || r == -ENOENT;
        portset_intersect(&l->ours, &l->reserved);
        l->reuse = (unsigned) read_number("/proc/sys/net/ipv4/tcp_tw_reuse", 0);
        l->delay_usec = read_number("/proc/sys/net/ipv4/tcp_tw_reuse_delay", 1000) * 1000;
        l->lowest = (uint16_t) MIN_OF(
                read_number("/proc/sys/net/ipv4/ip_unprivileged_port_start", 1024),
                (uint64_t) UINT16_MAX);
        return 0;
}

static int read_declared(const Ctl *c, EphemeralLook *l)
{
        _cleanup_(config_freep) Config *config = NULL;
        int r;

        r = applied_load(c, &config);
        if (r >= 0)
                config_ports(config, &l->declared);
        return r == -ENOENT ? 0 : r;
}

static int on_listening(const Socket *s, void *userdata)
{
        EphemeralLook *l = userdata;

        if (s->remote_port == 0)
                portset_add(&l->listening, s->local_port);
        return 0;
}

static int on_exclusive(const Socket *s, void *userdata)
{
        ephemeral_pool_add_exclusive(((EphemeralLook *) userdata)->pool, s);
        return 0;
}

static int on_row(const Socket *s, void *userdata)
{
        return ephemeral_pool_add(((EphemeralLook *) userdata)->pool, s);
}

static int on_row_again(const Socket *s, void *userdata)
{
        ephemeral_pool_add_again(((EphemeralLook *) userdata)->pool, s);
        return 0;
}

/* From and to addresses of its own: not even a server without SO_REUSEADDR meets it whom the socket
 * that has the port does not keep out; and towards 127.0.0.1 there may be remains of connections. */
static Tristate try_port(uint16_t port, void *userdata)
{
        EphemeralLook *l = userdata;
        const struct sockaddr_in from = { .sin_family = AF_INET,
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 0x505201) };
        struct sockaddr_in place = { .sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 0x505200) };
        /* Should somebody take it all the same (a proxy that firewall rules put there), nothing of it
         * stays. */
        const struct linger reset = { .l_onoff = 1 };
        const int yes = 1;
        uint32_t only = (uint32_t) port << 16 | port;
        _cleanup_(closep) int fd = -1;
        uint16_t nobody = 1;

        while (portset_has(&l->listening, nobody) && nobody < UINT16_MAX)
                nobody++;
        place.sin_port = htons(nobody);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0 ||
            setsockopt(fd, IPPROTO_IP, OPTION_LOCAL_PORT_RANGE, &only, sizeof(only)) < 0 ||
            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) < 0 ||
            bind(fd, (const struct sockaddr *) &from, sizeof(from)) < 0)
                return TRI_UNKNOWN;
        /* Refused at once, or on its way: it has got the port. */
        if (connect(fd, (struct sockaddr *) &place, sizeof(place)) >= 0 || errno == EINPROGRESS ||
            errno == ECONNREFUSED)
                return TRI_YES;
        return errno == EADDRNOTAVAIL ? TRI_NO : TRI_UNKNOWN;
}

/* Each row of the range comes once: first those that keep a port from everybody. */
static int take_tcp(SockDiag *diag, const PortSet *range, EphemeralLook *l)
{
        const uint32_t connected = SOCK_DIAG_ALL & ~SOCK_DIAG_LISTENERS;
        _cleanup_(diag_filter_freep) DiagFilter *any = NULL, *explicit = NULL, *automatic = NULL;
        int r;

        r = diag_filter_new(range, false, &any);
        if (r >= 0)
                r = diag_filter_new_explicit(range, &explicit);
        if (r >= 0)
                r = diag_filter_new(range, true, &automatic);
        if (r >= 0)
                r = sock_diag_dump(diag, IPPROTO_TCP, SOCK_DIAG_STATE(SOCKET_LISTEN), NULL,
                                   on_listening, l);
        if (r >= 0)
                r = sock_diag_dump(diag, IPPROTO_TCP, SOCK_DIAG_LISTENERS, any, on_exclusive, l);
        if (r >= 0)
                r = sock_diag_dump(diag, IPPROTO_TCP, connected, explicit, on_exclusive, l);
        if (r >= 0)
                r = sock_diag_dump(diag, IPPROTO_TCP, connected, automatic, on_row, l);
        if (r >= 0 && ephemeral_pool_judge(l->pool, try_port, l))
                r = sock_diag_dump(diag, IPPROTO_TCP, SOCK_DIAG_ALL, any, on_row_again, l);
        return r;
}

static int take_udp(SockDiag *diag, const PortSet *range, EphemeralLook *l)
{
        _cleanup_(diag_filter_freep) DiagFilter *any = NULL;
        int r;

        r = diag_filter_new(range, false, &any);
        if (r >= 0)
                r = sock_diag_dump(diag, IPPROTO_UDP, SOCK_DIAG_STATE(SOCKET_CLOSE), NULL,
                                   on_listening, l);
        if (r >= 0)
                r = sock_diag_dump(diag, IPPROTO_UDP, SOCK_DIAG_ALL, any, on_row, l);
        return r;
}

static int take_sockets(EphemeralLook *l)
{
        _cleanup_(sock_diag_freep) SockDiag *diag = NULL;
        PortSet range;
        int r;

        r = ephemeral_pool_new(l->first, l->last, &l->reserved, l->reuse, l->delay_usec, &l->pool);
        if (r < 0)
                return r;
        r = sock_diag_new(&diag);
        if (r < 0)
                return r;
        /* Of one run, not of what is usable: the pool tests that, and the kernel has less to do. */
        portset_clear(&range);
        portset_add_run(&range, l->first, l->last);
        r = take_tcp(diag, &range, l);
        if (r >= 0)
                r = take_udp(diag, &range, l);
        if (r < 0)
                return r;
        l->sees_bound = sock_diag_has_bound_inactive(diag) > 0;
        ephemeral_pool_finish(l->pool);
        return 0;
}

Exit ephemeral_look(const Ctl *c, EphemeralLook *ret)
{
        int r;

        *ret = (EphemeralLook){};
        r = read_settings(c, ret);
        if (r < 0)
                return fail(c, EXIT_FAILED, "the kernel's settings cannot be read: %s",
                            strerror(-r));
        r = read_declared(c, ret);
        if (r < 0)
                return fail(c, EXIT_FAILED, "configuration: %s", strerror(-r));
        r = take_sockets(ret);
        if (r == -EPROTONOSUPPORT)
                return fail(c, EXIT_FAILED,
                            "the kernel does not list its sockets: modprobe tcp_diag udp_diag");
        if (r < 0)
                return fail(c, EXIT_FAILED, "the kernel's sockets cannot be read: %s",
                            strerror(-r));
        return EXIT_OK;
}

void ephemeral_look_done(EphemeralLook *l)
{
        l->pool = ephemeral_pool_free(l->pool);
        free(l->source);
}

unsigned ephemeral_look_reserved(const EphemeralLook *l)
{
        return portset_count_run(&l->reserved, l->first, l->last);
}

unsigned ephemeral_look_ours(const EphemeralLook *l)
{
        return portset_count_run(&l->ours, l->first, l->last);
}
