/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sockets kept in flight: some of ours, each under a label, that live as long as anybody has the
 * page open, whatever becomes of us.
 *
 * A page is a connected AF_UNIX pair that nobody reads from; what lies in its queue holds the
 * sockets (SCM_RIGHTS). Whoever has both ends (PID 1's fd store) has them all, through two
 * descriptors. All of it is synchronous: an fd is safe when fd_page_add() has returned, and one that
 * was taken out is closed when fd_page_replace() has returned and the caller has closed its own.
 *
 * Rests on (pinned in tests/kernel/kernel-fd-page.c):
 * - SOCK_SEQPACKET keeps messages apart, and the two ends of a pair know no limit of messages but
 *   SO_SNDBUF (net/unix/af_unix.c: net.unix.max_dgram_qlen is for those who are not connected);
 * - MSG_PEEK duplicates the descriptors and takes nothing away, and SO_PEEK_OFF goes from one
 *   message to the next;
 * - received without room for control data, a message's descriptors are closed at once;
 * - descriptors in flight count against the sender's RLIMIT_NOFILE, per user: ETOOMANYREFS;
 * - the collector of descriptors in flight looks at AF_UNIX sockets only, so ours are never taken
 *   for garbage. */

#include <stddef.h>

#include "base/cleanup.h"

/* SCM_MAX_FD is 253. A removal sends the rest of its page again, so that a small one is quick. */
#define FD_PAGE_MAX 128u
/* With its NUL. */
#define FD_PAGE_LABEL 8u

typedef struct FdPage {
        int in, out;         /* we send into one, and it lies at the other */
        unsigned n_messages; /* that lie there */
} FdPage;

typedef struct FdPageEntry {
        int fd;
        char label[FD_PAGE_LABEL];
} FdPageEntry;

int fd_page_init(FdPage *p);

/* Both ends of an earlier page, in either order. -ENOTCONN: not the ends of one. The ends are taken
 * over in every case. */
int fd_page_init_consume_fds(FdPage *p, int a, int b);

/* Closes our copies of the ends; with the last copy goes what is in the page. */
void fd_page_deinit(FdPage *p);

/* What is in the page, message by message: at most FD_PAGE_MAX entries, whose fds are new and the
 * caller's. A label that is missing or broken is empty. The number, 0 after the last, or -errno
 * (-EMFILE: not all of a message could be duplicated, it is left as it is). Begins with the first
 * after fd_page_init_consume_fds(); to be called until 0. */
int fd_page_peek(FdPage *p, FdPageEntry ret[static FD_PAGE_MAX]);

/* Adds one. -EAGAIN: no room for one more message, fd_page_replace() makes some. -ETOOMANYREFS. */
int fd_page_add(FdPage *p, const FdPageEntry *e);

/* Puts these in the place of all that is in it, without an instant in which one that stays is not
 * in it. n: at most FD_PAGE_MAX, may be 0. On error nothing has changed. */
int fd_page_replace(FdPage *p, const FdPageEntry *entries, size_t n);

/* Takes all out of it, seen or not: for where the kernel lets nothing more be sent before, or not all
 * could be looked at. */
int fd_page_clear(FdPage *p);
