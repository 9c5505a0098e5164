/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/grow.h"
#include "daemon/notify.h"
#include "daemon/park-internal.h"

/* So many messages in a page before they are made one. */
#define MESSAGES_MAX 32u

#define WITNESS "witness"
/* Less than the hand-over helper waits for us; what was not answered is asked again. */
#define CONFIRM_USEC (2 * 1000000u)

uint64_t park_key_of(const char *name)
{
        uint64_t key = 0;

        memcpy(&key, name, strnlen(name, sizeof(key)));
        return key;
}

int park_new(Park **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

static Page *page_free(Page *page)
{
        fd_page_deinit(&page->fds);
        free(page);
        return NULL;
}

Park *park_free(Park *p)
{
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_pages; i++)
                page_free(p->pages[i]);
        free(p->pages);
        table_deinit(&p->by_name);
        free(p);
        return NULL;
}

/* Pages */

int park_append_page(Park *p, FdPage *fds, const char *name, Page **ret)
{
        Page *page = NULL;

        if (GROW(p->pages, p->n_allocated, p->n_pages + 1))
                page = calloc(1, sizeof(*page));
        if (!page) {
                fd_page_deinit(fds);
                return -ENOMEM;
        }
        page->fds = *fds;
        (void) snprintf(page->name, sizeof(page->name), "%s", name);
        *ret = p->pages[p->n_pages++] = page;
        return 0;
}

static int make_page(Park *p, Page **ret)
{
        char name[PAGE_NAME_SIZE];
        FdPage fds;
        int r;

        r = fd_page_init(&fds);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), PAGE_PREFIX "%u", ++p->serial);
        r = notify_store_fds((const int[]){ fds.in, fds.out }, 2, name);
        if (r < 0) {
                fd_page_deinit(&fds);
                return r;
        }
        p->unconfirmed = true;
        return park_append_page(p, &fds, name, ret);
}

static int page_with_room(Park *p, Page **ret)
{
        for (; p->roomy < p->n_pages; p->roomy++)
                if (p->pages[p->roomy]->n < FD_PAGE_MAX) {
                        *ret = p->pages[p->roomy];
                        return 0;
                }
        return make_page(p, ret);
}

static void drop_page(Park *p, size_t i)
{
        (void) notify_unstore_fd(p->pages[i]->name);
        (void) fd_page_clear(&p->pages[i]->fds); /* PID 1 closes its copies in its own time */
        page_free(p->pages[i]);
        p->pages[i] = p->pages[--p->n_pages];
        p->roomy = MIN_OF(p->roomy, i);
}

/* One empty page is kept: an endpoint that comes and goes is no news for PID 1. */
static void drop_empty(Park *p)
{
        bool kept = false;

        for (size_t i = p->n_pages; i-- > 0;)
                if (p->pages[i]->n == 0 && kept)
                        drop_page(p, i);
                else
                        kept |= p->pages[i]->n == 0;
}

/* Sockets */

static int page_add(Page *page, const FdPageEntry *e)
{
        int r = -EAGAIN;

        page->entries[page->n++] = *e;
        if (page->fds.n_messages < MESSAGES_MAX)
                r = fd_page_add(&page->fds, e);
        if (r == -EAGAIN)
                r = fd_page_replace(&page->fds, page->entries, page->n);
        if (r < 0)
                page->n--;
        return r;
}

static int try_add(Park *p, int fd, const char *name)
{
        FdPageEntry e = { .fd = fd };
        Page *page;
        int r;

        if (strlen(name) >= sizeof(e.label))
                return -ENAMETOOLONG;
        (void) stpcpy(e.label, name);
        if (!table_reserve(&p->by_name, p->by_name.n + 1))
                return -ENOMEM;
        r = page_with_room(p, &page);
        if (r >= 0)
                r = page_add(page, &e);
        if (r >= 0)
                (void) table_set(&p->by_name, park_key_of(name), page);
        return r;
}

int park_add(Park *p, int fd, const char *name)
{
        int r;

        r = try_add(p, fd, name);
        if (r < 0 && p->error == 0)
                p->error = r;
        return r;
}

void park_rewrite(Park *p, Page *page)
{
        int r;

        r = fd_page_replace(&page->fds, page->entries, page->n);
        if (r >= 0)
                return;
        /* What is to go must go: its owner waits for the port. */
        r = fd_page_clear(&page->fds);
        if (r >= 0)
                r = fd_page_replace(&page->fds, page->entries, page->n);
        if (r < 0 && p->error == 0)
                p->error = r;
}

static size_t index_of(const Park *p, const Page *page)
{
        size_t i = 0;

        while (p->pages[i] != page)
                i++;
        return i;
}

void park_remove(Park *p, const char *name)
{
        Page *page = table_get(&p->by_name, park_key_of(name));

        if (!page)
                return; /* there was no room for it */
        table_remove(&p->by_name, park_key_of(name));
        for (size_t i = 0; i < page->n; i++)
                if (strcmp(page->entries[i].label, name) == 0) {
                        page->entries[i] = page->entries[--page->n];
                        break;
                }
        park_rewrite(p, page);
        p->roomy = MIN_OF(p->roomy, index_of(p, page));
        if (page->n == 0)
                drop_empty(p);
}

/* Confirmation */

/* Sent behind all pages: a socket whose other copy is closed at once, so that ours hangs up where
 * PID 1 did not keep it, because the store is off or full. -ENOSPC. */
static int ask(void)
{
        _cleanup_(closep) int ours = -1, theirs = -1;
        struct pollfd p;
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        ours = fds[0];
        theirs = fds[1];
        r = notify_store_fds(&theirs, 1, WITNESS);
        if (r < 0)
                return r;
        closep(&theirs);
        theirs = -1;
        r = notify_barrier(CONFIRM_USEC);
        if (r < 0) {
                (void) notify_unstore_fd(WITNESS);
                return r;
        }
        p = (struct pollfd){ .fd = ours, .events = POLLIN };
        if (poll(&p, 1, 0) > 0 && p.revents & POLLHUP)
                return -ENOSPC;
        (void) notify_unstore_fd(WITNESS);
        return 0;
}

void park_renew(Park *p)
{
        /* What it has already, it knows to be the same. */
        for (size_t i = 0; i < p->n_pages; i++)
                (void) notify_store_fds((const int[]){ p->pages[i]->fds.in, p->pages[i]->fds.out },
                                        2, p->pages[i]->name);
        p->unconfirmed = p->n_pages > 0;
}

void park_confirm(Park *p)
{
        if (!p->unconfirmed)
                return;
        p->ask_error = ask();
        p->unconfirmed = p->ask_error < 0 && p->ask_error != -ENOSPC;
}

const char *park_problem(const Park *p)
{
        int error = p->error < 0 ? p->error : p->ask_error;

        if (p->ask_error == -ENOSPC)
                return "the service manager does not keep them (FileDescriptorStoreMax= of "
                       "portreserved.service)";
        return error < 0 ? strerror(-error) : NULL;
}
