/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* net.ipv4.ip_local_reserved_ports of this network namespace. Add by ORing, remove by one rewrite,
 * both under a write lease. */

#include <stdbool.h>
#include <stdint.h>

#include "model/portset.h"

#define KERNEL_LIST_PATH     "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define EPHEMERAL_RANGE_PATH "/proc/sys/net/ipv4/ip_local_port_range"

/* Where it is to be opened: KERNEL_LIST_PATH, or what kernel_list_adopt() found. */
const char *kernel_list_path(void);

/* Is standard input an open fd of the list (StandardInput=file:…)? Then that file is meant from now
 * on, and standard input becomes /dev/null. A sandboxed service has a procfs of its own
 * (ProtectKernelTunables= brings one), whose file has the same content, but inotify and leases work
 * per file: other writers would be neither seen nor kept out. Call it first of all. 1: adopted, 0:
 * standard input is something else. */
int kernel_list_adopt(void);

/* One big read. -errno of open and read; -EAGAIN: somebody keeps a lease on the file; -EBADMSG when
 * the text is none we know. */
int kernel_list_read(PortSet *ret);

/* ORs ports in: nobody's entries are at risk. Reads back and repeats what a racing writer dropped
 * in between. -EROFS, -EACCES, -EPERM where this process may not write; -EAGAIN: somebody keeps
 * removing them, or keeps a lease. */
int kernel_list_add(const PortSet *add);

/* Called before a rewrite that needs more than one write, and so could be cut short by a crash,
 * with what will be left in the list. Negative errno: nothing is written and the caller gets it. */
typedef int (*kernel_list_prepare_t)(const PortSet *keep, void *userdata);

typedef struct KernelListRemove {
        kernel_list_prepare_t prepare; /* may be NULL */
        void *userdata;
        bool force; /* where somebody keeps the file open and no lease can be had, rewrite all the
                       same */
} KernelListRemove;

/* Takes ports out by one rewrite under a write lease; other writers wait for microseconds. Where
 * leases are refused (-EACCES without CAP_LEASE), by rewrite and verification. how may be NULL.
 * -EAGAIN: no lease to be had, or somebody keeps adding them, after some tries. */
int kernel_list_remove(const PortSet *remove, const KernelListRemove *how);

/* The ephemeral range. */
int ephemeral_range_read(uint16_t *ret_first, uint16_t *ret_last);
