/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What placeholder.c (getting a socket, and what one is) and placeholder-door.c (its door) share. */

#include <sys/socket.h>

#include "kernel/placeholder.h"

/* 0 or -errno. */
int placeholder_set_int(int fd, int level, int option, int value);
int placeholder_get_int(int fd, int level, int option, int *ret);

bool placeholder_is_dual_stack(const Endpoint *e);
bool placeholder_is_udp(int fd);

/* The socket gets nothing from now on. */
int placeholder_drop_all(int fd);

/* A socket of the endpoint, bound after prepare() has set its options. The fd, or -errno. */
int placeholder_open_bound(const Endpoint *e, uint16_t port, int (*prepare)(int fd));
