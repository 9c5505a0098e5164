/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes: which one has a socket open, through /proc/PID/fd. Only what this process may read is
 * found. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* May we read /proc/PID of every process (CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH)? */
bool process_sees_all(void);

/* The lowest pid that has the socket with this inode open. Looks through the processes of the cgroup
 * and of those below it first where cgroup_path (absolute, with the mount) is given, then through all,
 * until the deadline (CLOCK_MONOTONIC; 0: none). -ENOENT: none has it, all were searched, twice and
 * thread by thread; -EACCES: none was found, and some could not be read or seen (hidepid=, another pid
 * namespace); -ETIMEDOUT: not looked to the end. */
int process_find_inode(const char *cgroup_path, uint32_t inode, uint64_t deadline, pid_t *ret);

/* Does that process have the socket open? 1, 0, -ENOENT (no such process, or hidden), -EACCES. */
int process_has_inode(pid_t pid, uint32_t inode);

/* Its directory in /proc: what is read through it is of that very process, and -ENOENT once it has
 * gone, whoever has its pid by then. An fd, -ENOENT, -EACCES. */
int process_open(pid_t pid);
/* One of the files there, for reading; flags as of open(2). An fd, -ENOENT, -EACCES. */
int process_open_file(int process, const char *name, int flags);
/* process_has_inode() by that directory, until the deadline: *ret_number (may be NULL) is the number
 * of its fd. Also -ETIMEDOUT. */
int process_search_fds(int process, uint32_t inode, uint64_t deadline, int *ret_number);
/* The same of its threads that have fds of their own: after unshare(CLONE_FILES), or since the first
 * thread has ended. pid: of that directory. */
int process_search_threads(int process, pid_t pid, uint32_t inode, uint64_t deadline);

/* Has that socket SO_REUSEADDR? number: of its fd there. Looks at a copy of the fd, which is closed at
 * once: a close of the process in these microseconds is not the last one, so not for listeners whose
 * port is to be free when close() returns. 1, 0, -ENOENT (no such process, or another file by now),
 * -EACCES (needs CAP_SYS_PTRACE; Yama may refuse that, too), -ENOSYS (before Linux 5.6). */
int process_socket_reuse(pid_t pid, int number, uint32_t inode);

/* A pidfd of the process at the other end of an AF_UNIX connection, whose pid SO_PEERCRED gave: of
 * that very process from Linux 6.5 on (SO_PEERPIDFD); before, of whoever has its pid by now. -ESRCH:
 * it has ended. */
int process_peer_pidfd(int connection, pid_t pid);

/* The name of a directory of /proc, or a line of cgroup.procs. */
bool process_parse_pid(const char *s, pid_t *ret);

/* Has the process ended? */
bool process_has_ended(int pidfd);
