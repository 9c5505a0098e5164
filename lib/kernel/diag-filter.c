/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/diag-filter.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/port-borders.h"

/* The kernel's filter machine (net/ipv4/inet_diag.c): each op has two jumps, forward only, relative
 * to itself. A program that runs off its end exactly passes the socket, one that lands 4 bytes
 * behind it drops it. Before a dump the program is audited:
 *
 *  - following the "yes" jumps (8 bits wide) from the start must visit ops only and reach the end
 * exactly;
 *  - each "no" jump (16 bits) must land on an op visited so, on the end, or 4 bytes behind it.
 *
 * So "yes" always means the next op here, and JMP, which takes its "no" jump whatever comes, gives
 * the leaves.
 *
 * A set of ports is a sorted list of borders, at which membership changes. The tree bisects them:
 *
 *      S_GE border ── yes ──▶ tree of the borders above
 *           └─────── no ────▶ tree of the borders below, which stands behind it
 *
 * down to a few, which are asked one after another, in ascending order: the first that the port is
 * below of decides, and its "no" goes out of the program.
 *
 * For each "no" jump to within the program the audit walks there from the start: its time grows
 * with the square of their number. A tree down to single borders has several times as many, for less
 * than one comparison of a socket. */

#define OP_SIZE      4u
#define COMPARE_SIZE 8u /* the second half bears the port in its "no" */
/* A netlink attribute has 16 bits of length with its header, and jumps must reach 4 bytes behind
 * the end. */
#define CODE_MAX (UINT16_MAX - 4u - OP_SIZE - 3u)
/* Borders that are asked one after another. */
#define CHAIN_MAX 4u

typedef enum DiagFilterChoice {
        DIAG_FILTER_ANY,
        DIAG_FILTER_AUTOMATIC,
        DIAG_FILTER_EXPLICIT,
} DiagFilterChoice;

struct DiagFilter {
        struct inet_diag_bc_op *code;
        size_t size; /* bytes */
        bool exact;
};

typedef struct Emitter {
        struct inet_diag_bc_op *code;
        size_t position, total; /* bytes */
        const uint16_t *borders;
} Emitter;

DiagFilter *diag_filter_free(DiagFilter *f)
{
        if (f) {
                free(f->code);
                free(f);
        }
        return NULL;
}

const void *diag_filter_code(const DiagFilter *f, size_t *ret_size)
{
        *ret_size = f->size;
        return f->code;
}

bool diag_filter_exact(const DiagFilter *f)
{
        return f->exact;
}

/* Bytes of the tree over n borders. */
static size_t tree_size(size_t n)
{
        size_t below = n / 2;

        if (n <= CHAIN_MAX)
                return n * COMPARE_SIZE + OP_SIZE;
        return COMPARE_SIZE + tree_size(n - below - 1) + tree_size(below);
}

/* Between an even number of borders below a port, it is outside; between an odd one, inside. */
static uint16_t jump_to_leaf(const Emitter *e, size_t n_below)
{
        size_t to_end = e->total - e->position;

        return (uint16_t) (n_below % 2 ? to_end : to_end + OP_SIZE);
}

static void emit_op(Emitter *e, uint8_t code, uint16_t no)
{
        e->code[e->position / OP_SIZE] = (struct inet_diag_bc_op){ code, OP_SIZE, no };
        e->position += OP_SIZE;
}

static void emit_compare(Emitter *e, uint16_t border, uint16_t no)
{
        struct inet_diag_bc_op *op = e->code + e->position / OP_SIZE;

        op[0] = (struct inet_diag_bc_op){ INET_DIAG_BC_S_GE, COMPARE_SIZE, no };
        op[1] = (struct inet_diag_bc_op){ INET_DIAG_BC_NOP, 0, border };
        e->position += COMPARE_SIZE;
}

static void emit_tree(Emitter *e, size_t first, size_t n)
{
        size_t below = n / 2, above = n - below - 1;

        if (n <= CHAIN_MAX) {
                for (size_t i = first; i < first + n; i++)
                        emit_compare(e, e->borders[i], jump_to_leaf(e, i));
                emit_op(e, INET_DIAG_BC_JMP, jump_to_leaf(e, first + n));
                return;
        }
        emit_compare(e, e->borders[first + below], (uint16_t) (COMPARE_SIZE + tree_size(above)));
        emit_tree(e, first + below + 1, above);
        emit_tree(e, first, below);
}

/* Whose port the kernel chose goes on to the tree, others are dropped; or the reverse, which takes a
 * JMP for the "yes". */
static void emit_choice(Emitter *e, DiagFilterChoice choice)
{
        if (choice == DIAG_FILTER_AUTOMATIC)
                emit_op(e, INET_DIAG_BC_AUTO, jump_to_leaf(e, 0));
        else if (choice == DIAG_FILTER_EXPLICIT) {
                emit_op(e, INET_DIAG_BC_AUTO, 2 * OP_SIZE);
                emit_op(e, INET_DIAG_BC_JMP, jump_to_leaf(e, 0));
        }
}

static int compile(DiagFilter *f, const uint16_t *borders, size_t n, DiagFilterChoice choice)
{
        static const size_t prefixes[] = {
                [DIAG_FILTER_ANY] = 0,
                [DIAG_FILTER_AUTOMATIC] = OP_SIZE,
                [DIAG_FILTER_EXPLICIT] = 2 * OP_SIZE,
        };
        Emitter e = { .total = prefixes[choice] + tree_size(n), .borders = borders };

        if (e.total > CODE_MAX)
                return -E2BIG;
        e.code = calloc(e.total / OP_SIZE, OP_SIZE);
        if (!e.code)
                return -ENOMEM;
        emit_choice(&e, choice);
        emit_tree(&e, 0, n);
        f->code = e.code;
        f->size = e.total;
        return 0;
}

static int filter_new(const PortSet *ports, DiagFilterChoice choice, size_t max_runs,
                      DiagFilter **ret)
{
        _cleanup_(diag_filter_freep) DiagFilter *f = NULL;
        _cleanup_(freep) uint16_t *borders = NULL;
        size_t n;
        int r;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        r = port_borders_new(ports, MIN_OF(max_runs, (size_t) DIAG_FILTER_RUNS_MAX), &borders, &n);
        if (r < 0)
                return r;
        f->exact = r == PORT_BORDERS_EXACT;
        r = compile(f, borders, n, choice);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

int diag_filter_new(const PortSet *ports, bool automatic, DiagFilter **ret)
{
        return diag_filter_new_coarse(ports, automatic, DIAG_FILTER_RUNS_MAX, ret);
}

int diag_filter_new_coarse(const PortSet *ports, bool automatic, size_t max_runs, DiagFilter **ret)
{
        return filter_new(ports, automatic ? DIAG_FILTER_AUTOMATIC : DIAG_FILTER_ANY, max_runs,
                          ret);
}

int diag_filter_new_explicit(const PortSet *ports, DiagFilter **ret)
{
        return filter_new(ports, DIAG_FILTER_EXPLICIT, DIAG_FILTER_RUNS_MAX, ret);
}
