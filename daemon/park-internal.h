/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What park.c (pages and what is put into them) and park-adopt.c (what our last run left) share. */

#include <stdint.h>

#include "base/table.h"
#include "daemon/park.h"
#include "kernel/fd-page.h"

/* A page's name in the fd store; another version's pages would have another. */
#define PAGE_PREFIX    "page1-"
#define PAGE_NAME_SIZE 16u

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

uint64_t park_key_of(const char *name);
/* The ends of fds are the page's, or closed. */
int park_append_page(Park *p, FdPage *fds, const char *name, Page **ret);
/* Brings the page to what its entries say. */
void park_rewrite(Park *p, Page *page);
