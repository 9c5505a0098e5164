/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* net.ipv4.ip_local_reserved_ports of this network namespace. Add by ORing, remove under a write lease. */

#include <stdint.h>

#include "model/portset.h"

#define KERNEL_LIST_PATH       "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define EPHEMERAL_RANGE_PATH   "/proc/sys/net/ipv4/ip_local_port_range"

/* One big read. -errno of open and read; -EBADMSG when the text is none we know. */
int kernel_list_read(PortSet *ret);

/* ORs ports in: nobody's entries are at risk. Reads back and repeats what a racing writer dropped in between.
 * -EROFS, -EACCES, -EPERM where this process may not write; -EAGAIN: somebody keeps removing them. */
int kernel_list_add(const PortSet *add);

/* Takes ports out by one rewrite under a write lease; other writers wait for microseconds. Where leases are refused
 * (-EACCES without CAP_LEASE), by rewrite and verification. -EAGAIN after some tries. */
int kernel_list_remove(const PortSet *remove);

/* The ephemeral range. */
int ephemeral_range_read(uint16_t *ret_first, uint16_t *ret_last);
