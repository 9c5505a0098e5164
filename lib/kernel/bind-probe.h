/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SO_REUSEADDR of others' sockets, which decides who may bind beside them and which sock_diag(7) does
 * not tell. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/endpoint.h"

/* Does the kernel let a TCP socket with SO_REUSEADDR be bound there now? Tried with one that is
 * closed at once and never listens. Only beside sockets that keep a plain bind out: servers with
 * SO_REUSEADDR get in beside it, and others are refused already, but for the microseconds in which
 * the last of those sockets goes by chance. Not for UDP, where the newest socket gets the datagrams.
 * 1: yes, 0: no, -EACCES (a port below 1024, as a plain user) and other errors of socket() and
 * bind(). */
int bind_probe(const Endpoint *e, uint16_t port);

/* The flag itself, of a socket that this process has open: process_socket_reuse() says what that
 * costs. 0, or as that; -ENOENT: has it no more. */
int bind_probe_reuse_of(pid_t pid, uint32_t inode, bool *ret);
