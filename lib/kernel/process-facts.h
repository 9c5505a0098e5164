/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who a process is, all of it read of the same one: a pid that is given to another meanwhile does not
 * mix two. */

#include <stdint.h>
#include <sys/types.h>

typedef struct ProcessFacts {
        pid_t pid;
        int number;            /* of its fd of the socket; -1: of another thread's */
        uid_t uid;             /* effective; UID_INVALID: not known */
        uint64_t started_usec; /* CLOCK_REALTIME; 0: not known */
        char *exe;             /* "/usr/bin/foo (deleted)"; NULL: not known */
        char *command; /* arguments with blanks between, at most HOLDER_COMMAND_MAX bytes; NULL: it has
                          none, or not known. Both are printable. */
        char *cgroup; /* v2 path, as it is; NULL: not known, or out of our cgroup namespace */
} ProcessFacts;

/* The process that has the socket, as process_find_inode() finds it, and what of the rest may be read.
 * -ENOENT: none; -ESRCH: one had it and has ended, or closed it, meanwhile; -EACCES, -ETIMEDOUT. */
int process_facts_find(const char *cgroup_path, uint32_t inode, uint64_t deadline,
                       ProcessFacts *ret);
void process_facts_done(ProcessFacts *f);

/* The cgroup v2 path of the process that was found under that pid before, if it is still that: it began
 * then. malloc'ed. -ENOENT: another's pid by now; -EACCES, -ENODATA (no v2). */
int process_facts_cgroup(pid_t pid, uint64_t started_usec, char **ret);

/* When the process of a text of /proc/PID/stat began, in clock ticks since the boot. -EBADMSG. The
 * parser alone. */
int process_parse_stat(const char *text, uint64_t *ret);

/* The effective uid of a text of /proc/PID/status. -EBADMSG. */
int process_parse_status(const char *text, uid_t *ret);
