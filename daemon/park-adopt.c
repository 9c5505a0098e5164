/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/grow.h"
#include "daemon/notify.h"
#include "daemon/park-internal.h"

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
        if (e->label[0] && !table_get(&p->by_name, park_key_of(e->label)))
                return;
        do
                (void) snprintf(e->label, sizeof(e->label), "+%06x", p->renamed++ & 0xffffffu);
        while (table_get(&p->by_name, park_key_of(e->label)));
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
                if (page->n < FD_PAGE_MAX &&
                    table_set(&a->park->by_name, park_key_of(e->label), page))
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

        r = park_append_page(a->park, fds, name, &page);
        if (r < 0)
                return r;
        while ((n = fd_page_peek(&page->fds, entries)) > 0) {
                r = adopt_message(a, page, entries, (size_t) n, &stale);
                if (r < 0)
                        return r;
        }
        /* What cannot be seen cannot be given to its owner either: it goes, and all behind it. */
        if (n < 0)
                (void) fd_page_clear(&page->fds);
        if (stale || n < 0)
                park_rewrite(a->park, page);
        return 0;
}

/* A newer version may want it again. A socket it must not be: one of the Internet, or what is in the
 * queue of another, could keep an owner from its port. */
static bool may_stay(int fd)
{
        struct stat st;

        return fstat(fd, &st) == 0 && !S_ISSOCK(st.st_mode);
}

/* Stored by itself, by another version of ours: into a page, and out of the store. What is no socket
 * stays as it is. */
static int adopt_single(Adoption *a, int fd, const char *name)
{
        FdPageEntry e = { .fd = fd };

        if (may_stay(fd)) {
                close(fd);
                return 0;
        }
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

/* Both ends of each page have its name. */
static int adopt_page_at(Adoption *a, size_t i)
{
        _cleanup_(freep) char *name = TAKE_PTR(a->names[i]), *other = NULL;
        unsigned serial = (unsigned) strtoul(name + strlen(PAGE_PREFIX), NULL, 10);
        int fd = -1, r;
        FdPage fds;

        for (size_t k = i + 1; k < a->n && fd < 0; k++)
                if (a->names[k] && strcmp(a->names[k], name) == 0) {
                        other = TAKE_PTR(a->names[k]);
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
                        _cleanup_(freep) char *name = TAKE_PTR(a->names[i]);

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
