/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* INET_DIAG_REQ_BYTECODE programs: "is the local port in this set", as a balanced tree of range
 * tests. Where the set has more runs than one attribute holds (64 KiB), neighbouring runs are
 * joined (coarser: passes more), and the reader of rows tests exactly. */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "model/portset.h"

typedef struct DiagFilter DiagFilter;

/* What fits: a run costs 19 bytes at most. */
#define DIAG_FILTER_RUNS_MAX 3400u

/* With automatic: only sockets whose port the kernel chose (BC_AUTO) besides. An empty set is a
 * filter that passes nothing. */
int diag_filter_new(const PortSet *ports, bool automatic, DiagFilter **ret);

/* The same with at most max_runs runs (at least 1). The kernel audits a program before each dump in
 * a time that grows with its square, so a coarse one is cheaper where few rows come anyway. */
int diag_filter_new_coarse(const PortSet *ports, bool automatic, size_t max_runs, DiagFilter **ret);

/* Only sockets that were bound to their port explicitly. Sockets in TIME_WAIT are none: the kernel
 * has forgotten how they got theirs. */
int diag_filter_new_explicit(const PortSet *ports, DiagFilter **ret);

DiagFilter *diag_filter_free(DiagFilter *f);
DEFINE_CLEANUP(DiagFilter, diag_filter_free);

const void *diag_filter_code(const DiagFilter *f, size_t *ret_size);

/* Does it pass exactly the set? */
bool diag_filter_exact(const DiagFilter *f);
