/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/diag-filter.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

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
 * A tree without borders is a leaf; as a "no" target it costs nothing, as a "yes" target a JMP. */

#define OP_SIZE      4u
#define COMPARE_SIZE 8u /* the second half bears the port in its "no" */
/* A netlink attribute has 16 bits of length with its header, and jumps must reach 4 bytes behind
 * the end. */
#define CODE_MAX (UINT16_MAX - 4u - OP_SIZE - 3u)

typedef enum DiagFilterChoice {
        DIAG_FILTER_ANY,
        DIAG_FILTER_AUTOMATIC,
        DIAG_FILTER_EXPLICIT,
} DiagFilterChoice;

typedef struct Run {
        uint16_t first, last;
} Run;

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

/* Of two, one is above the root and none below: an empty tree below costs nothing. So only trees of
 * one border have a leaf that does, and n borders cost at most 10 n + 2 bytes. */
static size_t borders_below(size_t n)
{
        return (n - 1) / 2;
}

/* Bytes of the tree over n borders. */
static size_t tree_size(size_t n, bool reached_by_yes)
{
        size_t below;

        if (n == 0)
                return reached_by_yes ? OP_SIZE : 0;
        below = borders_below(n);
        return COMPARE_SIZE + tree_size(n - below - 1, true) + tree_size(below, false);
}

/* Between an even number of borders below a port, it is outside; between an odd one, inside. */
static uint16_t jump_to_leaf(const Emitter *e, size_t n_below)
{
        size_t to_end = e->total - e->position;

        return (uint16_t) (n_below % 2 ? to_end : to_end + OP_SIZE);
}

static void emit_tree(Emitter *e, size_t first, size_t n, bool reached_by_yes)
{
        struct inet_diag_bc_op *op = e->code + e->position / OP_SIZE;
        size_t below, above;

        if (n == 0) {
                if (!reached_by_yes)
                        return;
                *op = (struct inet_diag_bc_op){ INET_DIAG_BC_JMP, OP_SIZE, jump_to_leaf(e, first) };
                e->position += OP_SIZE;
                return;
        }
        below = borders_below(n);
        above = n - below - 1;
        op[0] = (struct inet_diag_bc_op){ INET_DIAG_BC_S_GE, COMPARE_SIZE, 0 };
        op[1] = (struct inet_diag_bc_op){ INET_DIAG_BC_NOP, 0, e->borders[first + below] };
        op[0].no = below == 0 ? jump_to_leaf(e, first)
                              : (uint16_t) (COMPARE_SIZE + tree_size(above, true));
        e->position += COMPARE_SIZE;
        emit_tree(e, first + below + 1, above, true);
        emit_tree(e, first, below, false);
}

static int collect_runs(const PortSet *ports, Run **ret, size_t *ret_n)
{
        _cleanup_(freep) Run *runs = NULL;
        size_t n = 0, allocated = 0;

        PORTSET_FOREACH_RUN(ports, first, last) {
                if (!GROW(runs, allocated, n + 1))
                        return -ENOMEM;
                runs[n++] = (Run){ first, last };
        }
        *ret = TAKE_PTR(runs);
        *ret_n = n;
        return 0;
}

static unsigned gap_before(const Run *r)
{
        return (unsigned) r->first - (r - 1)->last;
}

/* Joins runs over the narrowest gaps until at most max are left: the fewest ports too many. */
static size_t coarsen(Run *runs, size_t n, size_t max)
{
        static const size_t n_widths = PORTSET_PORTS;
        _cleanup_(freep) unsigned *widths = NULL;
        size_t excess = n - max, kept = 1;
        unsigned limit = 0;

        widths = calloc(n_widths, sizeof(*widths));
        if (!widths)
                return 0;
        for (size_t i = 1; i < n; i++)
                widths[gap_before(runs + i)]++;

        /* All gaps narrower than limit are closed, and the first few of that width. */
        for (; widths[limit] < excess; limit++)
                excess -= widths[limit];

        for (size_t i = 1, join; i < n; i++) {
                unsigned gap = (unsigned) runs[i].first - runs[kept - 1].last;

                join = gap < limit || (gap == limit && excess > 0);
                if (join && gap == limit)
                        excess--;
                if (join)
                        runs[kept - 1].last = runs[i].last;
                else
                        runs[kept++] = runs[i];
        }
        return kept;
}

/* Whose port the kernel chose goes on to the tree, others are dropped; or the reverse, which takes a
 * JMP for the "yes". */
static void emit_choice(Emitter *e, DiagFilterChoice choice)
{
        struct inet_diag_bc_op *op = e->code;

        if (choice == DIAG_FILTER_AUTOMATIC) {
                *op = (struct inet_diag_bc_op){ INET_DIAG_BC_AUTO, OP_SIZE, jump_to_leaf(e, 0) };
                e->position += OP_SIZE;
        } else if (choice == DIAG_FILTER_EXPLICIT) {
                op[0] = (struct inet_diag_bc_op){ INET_DIAG_BC_AUTO, OP_SIZE, 2 * OP_SIZE };
                e->position += OP_SIZE;
                op[1] = (struct inet_diag_bc_op){ INET_DIAG_BC_JMP, OP_SIZE, jump_to_leaf(e, 0) };
                e->position += OP_SIZE;
        }
}

static int compile(DiagFilter *f, const Run *runs, size_t n_runs, DiagFilterChoice choice)
{
        static const size_t prefixes[] = {
                [DIAG_FILTER_ANY] = 0,
                [DIAG_FILTER_AUTOMATIC] = OP_SIZE,
                [DIAG_FILTER_EXPLICIT] = 2 * OP_SIZE,
        };
        _cleanup_(freep) uint16_t *borders = NULL;
        size_t n = 0;
        Emitter e = {};

        borders = calloc(2 * n_runs + 1, sizeof(*borders));
        if (!borders)
                return -ENOMEM;
        for (size_t i = 0; i < n_runs; i++) {
                borders[n++] = runs[i].first;
                if (runs[i].last < UINT16_MAX)
                        borders[n++] = (uint16_t) (runs[i].last + 1u);
        }

        e.total = prefixes[choice] + tree_size(n, true);
        if (e.total > CODE_MAX)
                return -E2BIG;
        e.code = calloc(e.total / OP_SIZE, OP_SIZE);
        if (!e.code)
                return -ENOMEM;
        e.borders = borders;
        emit_choice(&e, choice);
        emit_tree(&e, 0, n, true);
        f->code = e.code;
        f->size = e.total;
        return 0;
}

static int filter_new(const PortSet *ports, DiagFilterChoice choice, size_t max_runs,
                      DiagFilter **ret)
{
        _cleanup_(diag_filter_freep) DiagFilter *f = NULL;
        _cleanup_(freep) Run *runs = NULL;
        size_t n, all;
        int r;

        r = collect_runs(ports, &runs, &all);
        if (r < 0)
                return r;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;

        n = all;
        max_runs = MAX_OF(1u, MIN_OF(max_runs, (size_t) DIAG_FILTER_RUNS_MAX));
        if (n > max_runs) {
                n = coarsen(runs, n, max_runs);
                if (n == 0)
                        return -ENOMEM;
        }
        r = compile(f, runs, n, choice);
        if (r < 0)
                return r;
        f->exact = n == all;
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
