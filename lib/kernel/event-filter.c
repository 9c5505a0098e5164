/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The same tree as diag-filter.c's, for the other of the kernel's machines: BPF_JGE goes on at the
 * next instruction where the port is at or above a border, and else jumps forward, by at most 255
 * instructions; BPF_JA takes it further.
 *
 *      JGE border ── true ──▶ tree of the borders above
 *           └────── false ──▶ tree of the borders below, which stands behind it
 *
 * The last few are asked one after another, and two returns stand behind them. */

#include "kernel/event-filter.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "kernel/port-borders.h"

#define RUNS_MIN  10u
#define CHAIN_MAX 4u
#define JUMP_MAX  255u
#define PORT_OFFSET                                                                                \
        (NLMSG_HDRLEN + offsetof(struct inet_diag_msg, id) +                                       \
         offsetof(struct inet_diag_sockid, idiag_sport))

typedef struct Emitter {
        struct sock_filter *code;
        unsigned n;
        const uint16_t *borders;
} Emitter;

static unsigned tree_size(size_t n)
{
        unsigned above;

        if (n == 0)
                return 1;
        if (n <= CHAIN_MAX)
                return (unsigned) n + 2;
        above = tree_size(n - n / 2 - 1);
        return 1 + (above > JUMP_MAX) + above + tree_size(n / 2);
}

static void emit(Emitter *e, struct sock_filter op)
{
        e->code[e->n++] = op;
}

static void emit_return(Emitter *e, bool pass)
{
        emit(e, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, pass ? UINT32_MAX : 0));
}

/* Between an even number of borders below a port, it is outside. */
static bool is_inside(size_t n_below)
{
        return n_below % 2 == 1;
}

static void emit_chain(Emitter *e, size_t first, size_t n)
{
        bool end = is_inside(first + n);

        for (size_t i = 0; i < n; i++) {
                /* To the return behind the chain that says so. */
                unsigned jump = (unsigned) (n - i - 1) + (is_inside(first + i) != end);

                emit(e, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
                                                      e->borders[first + i], 0, (uint8_t) jump));
        }
        emit_return(e, end);
        if (n > 0)
                emit_return(e, !end);
}

static void emit_tree(Emitter *e, size_t first, size_t n)
{
        size_t below = n / 2;
        unsigned above;

        if (n <= CHAIN_MAX) {
                emit_chain(e, first, n);
                return;
        }
        above = tree_size(n - below - 1);
        if (above <= JUMP_MAX)
                emit(e,
                     (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
                                                   e->borders[first + below], 0, (uint8_t) above));
        else {
                emit(e, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
                                                      e->borders[first + below], 1, 0));
                emit(e, (struct sock_filter) BPF_STMT(BPF_JMP | BPF_JA, above));
        }
        emit_tree(e, first + below + 1, n - below - 1);
        emit_tree(e, first, below);
}

int event_filter_compile(const PortSet *ports, size_t max_runs,
                         struct sock_filter code[EVENT_FILTER_CODE_MAX])
{
        _cleanup_(freep) uint16_t *borders = NULL;
        Emitter e = { .code = code };
        size_t n;
        int r;

        r = port_borders_new(ports, MIN_OF(max_runs, (size_t) EVENT_FILTER_RUNS_MAX), &borders, &n);
        if (r < 0)
                return r;
        if (1 + tree_size(n) > EVENT_FILTER_CODE_MAX)
                return -E2BIG;
        e.borders = borders;
        /* Shorter messages are no events: a load beyond the end drops them. */
        emit(&e, (struct sock_filter) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, PORT_OFFSET));
        emit_tree(&e, 0, n);
        return (int) e.n;
}

static int attach(int fd, const PortSet *ports, size_t max_runs)
{
        struct sock_filter code[EVENT_FILTER_CODE_MAX];
        struct sock_fprog program = { .filter = code };
        int n;

        n = event_filter_compile(ports, max_runs, code);
        if (n < 0)
                return n;
        program.len = (unsigned short) n;
        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                           : 0;
}

int event_filter_attach(int fd, const PortSet *ports)
{
        int r = -ENOMEM;

        /* What it takes, and the one before until then, counts towards net.core.optmem_max: 20 KiB
         * before Linux 6.7. */
        for (size_t runs = EVENT_FILTER_RUNS_MAX; r == -ENOMEM && runs >= RUNS_MIN; runs /= 2)
                r = attach(fd, ports, runs);
        if (r < 0) /* the one before was for other ports */
                (void) setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){ 0 }, sizeof(int));
        return r;
}
