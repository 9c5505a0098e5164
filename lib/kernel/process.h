/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes: which one has a socket open, through /proc/PID/fd. Only what this process may read is
 * found. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The lowest pid that has the socket with this inode open. Looks through the cgroup's processes
 * first where cgroup_path (absolute, below the mount) is given, then through all. -ENOENT: none,
 * -EACCES: some could not be read and none was found. */
int process_find_inode(const char *cgroup_path, uint32_t inode, pid_t *ret);

/* Does that process have the socket open? 1, 0, -ENOENT (no such process, or hidden), -EACCES. */
int process_has_inode(pid_t pid, uint32_t inode);

/* /proc/PID/exe; " (deleted)" kept. malloc'ed, printable. -ENOENT (kernel threads too), -EACCES. */
int process_exe(pid_t pid, char **ret);

/* A pidfd of the process at the other end of an AF_UNIX connection, whose pid SO_PEERCRED gave: of
 * that very process from Linux 6.5 on (SO_PEERPIDFD); before, of whoever has its pid by now. -ESRCH:
 * it has ended. */
int process_peer_pidfd(int connection, pid_t pid);

/* Has the process ended? */
bool process_has_ended(int pidfd);
