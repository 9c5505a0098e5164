/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Of destroy events only those of our ports: a socket filter (classic BPF) on the netlink socket.
 * On a host that closes thousands of connections a second each would wake us. */

#include <linux/filter.h>

#include "model/portset.h"

#define EVENT_FILTER_CODE_MAX 4096u /* BPF_MAXINSNS */

#define EVENT_FILTER_RUNS_MAX 1200u

/* The program for a set; where that has more runs than max_runs (EVENT_FILTER_RUNS_MAX at most), it
 * passes some ports more. Returns how many instructions it has, or -ENOMEM. */
int event_filter_compile(const PortSet *ports, size_t max_runs,
                         struct sock_filter code[EVENT_FILTER_CODE_MAX]);

/* Compiles and attaches; what was attached before is replaced in one step. -errno: nothing is
 * attached, and all events come. */
int event_filter_attach(int fd, const PortSet *ports);
