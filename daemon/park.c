/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/park.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/grow.h"
#include "base/table.h"
#include "daemon/notify.h"
#include "kernel/fd-page.h"

/* A page's name in the fd store; another version's pages would have another. */
#define PAGE_PREFIX    "page1-"
#define PAGE_NAME_SIZE 16u
#define WITNESS        "witness"
/* So many messages in a page before they are made one. */
#define MESSAGES_MAX 32u
/* Less than the hand-over helper waits for us; what was not answered is asked again. */
#define CONFIRM_USEC (2 * 1000000u)

typedef struct Page {
        FdPage fds;
        char name[PAGE_NAME_SIZE];
        FdPageEntry entries[FD_PAGE_MAX];
        size_t n;
} Page;

struct Park {
        Page **pages;
        size_t n_pages, n_allocated;
        size_t roomy; /* pages before it are full */
        Table by_name;
        unsigned serial; /* of pages */
        unsigned renamed;
        bool unconfirmed;
        int error;     /* of a socket that is not parked */
        int ask_error; /* of the last question whether PID 1 has the pages */
};

static uint64_t key_of(const char *name)
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

/* The ends of fds are the page's, or closed. */
static int append_page(Park *p, FdPage *fds, const char *name, Page **ret)
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
        return append_page(p, &fds, name, ret);
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
                (void) table_set(&p->by_name, key_of(name), page);
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

/* Brings the page to what its entries say. */
static void rewrite(Park *p, Page *page)
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
        Page *page = table_get(&p->by_name, key_of(name));

        if (!page)
                return; /* there was no room for it */
        table_remove(&p->by_name, key_of(name));
        for (size_t i = 0; i < page->n; i++)
                if (strcmp(page->entries[i].label, name) == 0) {
                        page->entries[i] = page->entries[--page->n];
                        break;
                }
        rewrite(p, page);
        p->roomy = MIN_OF(p->roomy, index_of(p, page));
        if (page->n == 0)
                drop_empty(p);
}

/* Adoption */

typedef struct Adoption {
        Park *park;
        char **names; /* of the descriptors that the store gave us; NULL: dealt with */
        size_t n;
        Table inodes; /* of what is there already: a crash leaves some twice */
        FdPageEntry *found;
        size_t n_found, n_allocated;
} Adoption;

static bool is_new(Adoption *a, int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0 || table_get(&a->inodes, st.st_ino))
                return false;
        return table_set(&a->inodes, st.st_ino, a);
}

/* One name for each: where it has none, or another has it, a new one. Nobody else's has seven
 * characters. */
static void name_entry(Park *p, FdPageEntry *e)
{
        if (e->label[0] && !table_get(&p->by_name, key_of(e->label)))
                return;
        do
                (void) snprintf(e->label, sizeof(e->label), "+%06x", p->renamed++ & 0xffffffu);
        while (table_get(&p->by_name, key_of(e->label)));
}

static int remember(Adoption *a, const FdPageEntry *e)
{
        if (!GROW(a->found, a->n_allocated, a->n_found + 1))
                return -ENOMEM;
        a->found[a->n_found++] = *e;
        return 0;
}

/* What came in one message of a page. True in *ret_stale: more is in the page than its entries
 * say. */
static int adopt_message(Adoption *a, Page *page, FdPageEntry *entries, size_t n, bool *ret_stale)
{
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                FdPageEntry *e = entries + i;

                if (r < 0 || !is_new(a, e->fd)) {
                        close(e->fd);
                        *ret_stale = true;
                        continue;
                }
                name_entry(a->park, e);
                if (page->n < FD_PAGE_MAX && table_set(&a->park->by_name, key_of(e->label), page))
                        page->entries[page->n++] = *e;
                else {
                        (void) park_add(a->park, e->fd, e->label);
                        *ret_stale = true;
                }
                r = remember(a, e);
        }
        return r;
}

static int adopt_page(Adoption *a, FdPage *fds, const char *name)
{
        FdPageEntry entries[FD_PAGE_MAX];
        bool stale = false;
        Page *page;
        int n, r;

        r = append_page(a->park, fds, name, &page);
        if (r < 0)
                return r;
        while ((n = fd_page_peek(&page->fds, entries)) > 0) {
                r = adopt_message(a, page, entries, (size_t) n, &stale);
                if (r < 0)
                        return r;
        }
        /* What cannot be seen cannot be given to its owner either: it goes. */
        if (stale || n < 0)
                rewrite(a->park, page);
        return 0;
}

/* Stored by itself, by another version of ours: into a page, and out of the store. */
static int adopt_single(Adoption *a, int fd, const char *name)
{
        FdPageEntry e = { .fd = fd };

        if (!is_new(a, fd)) {
                close(fd);
                (void) notify_unstore_fd(name);
                return 0;
        }
        if (strlen(name) < sizeof(e.label))
                (void) stpcpy(e.label, name);
        name_entry(a->park, &e);
        (void) park_add(a->park, fd, e.label);
        (void) notify_unstore_fd(name);
        return remember(a, &e);
}

static bool is_page_name(const char *name)
{
        return strncmp(name, PAGE_PREFIX, strlen(PAGE_PREFIX)) == 0;
}

static char *take_name(Adoption *a, size_t i)
{
        return TAKE_PTR(a->names[i]);
}

/* Both ends of each page have its name. */
static int adopt_page_at(Adoption *a, size_t i)
{
        _cleanup_(freep) char *name = take_name(a, i), *other = NULL;
        unsigned serial = (unsigned) strtoul(name + strlen(PAGE_PREFIX), NULL, 10);
        int fd = -1, r;
        FdPage fds;

        for (size_t k = i + 1; k < a->n && fd < 0; k++)
                if (a->names[k] && strcmp(a->names[k], name) == 0) {
                        other = take_name(a, k);
                        fd = SD_LISTEN_FDS_START + (int) k;
                }
        a->park->serial = MAX_OF(a->park->serial, serial);
        r = fd_page_init_consume_fds(&fds, SD_LISTEN_FDS_START + (int) i, fd);
        if (r < 0) {
                (void) notify_unstore_fd(name);
                return 0;
        }
        return adopt_page(a, &fds, name);
}

/* Pages first: what is in one already need not be moved. */
static int adopt_all(Adoption *a)
{
        int r = 0;

        for (size_t i = 0; i < a->n && r >= 0; i++)
                if (a->names[i] && is_page_name(a->names[i]))
                        r = adopt_page_at(a, i);
        for (size_t i = 0; i < a->n && r >= 0; i++)
                if (a->names[i]) {
                        _cleanup_(freep) char *name = take_name(a, i);

                        r = adopt_single(a, SD_LISTEN_FDS_START + (int) i, name);
                }
        return r;
}

int park_adopt(Park *p, ParkAdopted adopted, void *userdata)
{
        Adoption a = { .park = p };
        int r;

        r = sd_listen_fds_with_names(true, &a.names);
        if (r <= 0)
                return r;
        a.n = (size_t) r;

        r = adopt_all(&a);
        for (size_t i = 0; i < a.n_found && r >= 0; i++)
                r = adopted(a.found[i].fd, a.found[i].label, userdata);

        for (size_t i = 0; i < a.n; i++)
                free(a.names[i]);
        free(a.names);
        free(a.found);
        table_deinit(&a.inodes);
        return r;
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
