/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sockets on their way into PID 1's fd store.
 *
 * PID 1 compares each new fd with all that it has (systemd 252: a kcmp(2) each): the ten thousandth
 * costs it some 10 ms, and 10,000 of them nearly a minute, in which it takes nothing else from us.
 * So they go in little by little, after READY=1 and between other events, and nobody's start waits
 * for it. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct FdStore FdStore;

int fd_store_new(sd_event *event, FdStore **ret);
FdStore *fd_store_free(FdStore *s);
DEFINE_CLEANUP(FdStore, fd_store_free);

/* Queues an fd, which must stay open until fd_store_remove() of its name. -ENOMEM. */
int fd_store_add(FdStore *s, int fd, const char *name);

/* Takes it out of the queue, or of the store. */
void fd_store_remove(FdStore *s, const char *name);

/* READY=1 has been said: begin. */
void fd_store_start(FdStore *s);

/* Before the end, while the fds are open: sends what is queued, for some seconds at most. */
void fd_store_flush(FdStore *s);
