/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Applying 10,000 scattered ports against the bare write and read of the same text. Each starts
 * from an empty list; the best of some rounds counts. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/reserve/reserve.h"
#include "kernel/kernel-list.h"
#include "kernel/runtime.h"
#include "tests/bench/report.h"

#define PORTS  10000u
#define ROUNDS 30

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static void must(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(1);
}

static int open_list(void)
{
        int fd = open(KERNEL_LIST_PATH, O_RDWR | O_CLOEXEC);

        must(fd < 0 ? -errno : 0, KERNEL_LIST_PATH);
        return fd;
}

static void empty_list(void)
{
        _cleanup_(closep) int fd = open_list();

        must(write(fd, "\n", 1) == 1 ? 0 : -errno, "write");
}

/* As much as each write takes, on from where it stopped, and one read. */
static void bare(const char *text, size_t size)
{
        static char back[256 * 1024];
        _cleanup_(closep) int fd = open_list();
        ssize_t n;

        while (size > 0) {
                n = write(fd, text, size);
                must(n > 0 ? 0 : -errno, "write");
                text += n;
                size -= (size_t) n;
        }
        n = pread(fd, back, sizeof(back), 0);
        must(n > 0 ? 0 : -errno, "read");
}

static void check(const PortSet *want)
{
        PortSet is;

        must(kernel_list_read(&is), "read");
        must(portset_equal(&is, want) ? 0 : -EBADMSG, "the list is another");
}

static void on_drift(const ReserveDrift *d, void *userdata)
{
        must(-EIO, "drift");
}

static void on_writable(int error, void *userdata)
{
        must(error, "apply");
}

/* The time of a reserve_apply() on a new Reserve. */
static double apply(sd_event *event, const char *directory, const PortSet *want)
{
        static const ReserveOps ops = { .drift = on_drift, .writable = on_writable };
        _cleanup_(reserve_freep) Reserve *r = NULL;
        double start, took;

        must(reserve_new(event, directory, &ops, NULL, &r), "reserve_new");
        start = now();
        must(reserve_apply(r, want), "reserve_apply");
        took = now() - start;
        check(want);
        must(reserve_release(directory), "reserve_release");
        return took;
}

int main(void)
{
        char text[PORTSET_TEXT_MAX], directory[] = "/tmp/bench-apply.XXXXXX";
        double best_bare = 1e9, best_add = 1e9, best_remove = 1e9, best_apply = 1e9, start;
        sd_event *event = NULL;
        PortSet want = {};
        int n;

        for (unsigned i = 0; i < PORTS; i++)
                portset_add(&want, (uint16_t) (1025 + i * 6));
        n = portset_format(&want, text, sizeof(text));
        must(n, "format");
        must(mkdtemp(directory) ? 0 : -errno, directory);
        must(sd_event_new(&event), "sd_event_new");

        for (unsigned i = 0; i < ROUNDS; i++) {
                empty_list();
                start = now();
                bare(text, (size_t) n);
                best_bare = MIN_OF(best_bare, now() - start);
                check(&want);

                empty_list();
                start = now();
                must(kernel_list_add(&want), "kernel_list_add");
                best_add = MIN_OF(best_add, now() - start);
                check(&want);

                start = now();
                must(kernel_list_remove(&want, NULL), "kernel_list_remove");
                best_remove = MIN_OF(best_remove, now() - start);

                best_apply = MIN_OF(best_apply, apply(event, directory, &want));
        }
        (void) rmdir(directory);
        sd_event_unref(event);

        report("kernel-list-add", PORTS, "ms", best_add, best_bare, "a bare write and read");
        report("kernel-list-remove", PORTS, "ms", best_remove, best_bare, "a bare write and read");
        report("reserve-apply", PORTS, "ms", best_apply, best_bare, "a bare write and read");
        return 0;
}
