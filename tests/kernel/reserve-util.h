/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Reserve with its event loop and a runtime directory of its own, and what it told. To be
 * included after cmocka.h. */

#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "base/file.h"
#include "daemon/reserve/reserve.h"
#include "kernel/runtime.h"
#include "list-util.h"

typedef struct Fixture {
        char base[32], directory[40];
        sd_event *event;
        Reserve *reserve;
        unsigned *clobbers; /* shared with child processes */

        unsigned drifts;
        PortSet missing, found;
        int drift_error;
        unsigned writables;
        int writable_error;
} Fixture;

static void fixture_drift(const ReserveDrift *d, void *userdata)
{
        Fixture *f = userdata;

        if (d->times == 0)
                return;
        f->drifts++;
        f->missing = *d->missing;
        f->found = *d->found;
        f->drift_error = d->error;
}

static void fixture_writable(int error, void *userdata)
{
        Fixture *f = userdata;

        f->writables++;
        f->writable_error = error;
}

static inline void fixture_start(Fixture *f)
{
        static const ReserveOps ops = { .drift = fixture_drift, .writable = fixture_writable };

        assert_int_equal(sd_event_new(&f->event), 0);
        assert_int_equal(reserve_new(f->event, f->directory, &ops, f, &f->reserve), 0);
}

static inline void fixture_stop(Fixture *f)
{
        f->reserve = reserve_free(f->reserve);
        f->event = sd_event_unref(f->event);
}

static inline void fixture_apply(Fixture *f, const char *ports)
{
        PortSet s;

        assert_int_equal(portset_parse(ports, strlen(ports), &s), 0);
        assert_int_equal(reserve_apply(f->reserve, &s), 0);
}

/* Fails after half a minute, which only a hung machine needs. */
static inline void fixture_run_until(Fixture *f, bool (*condition)(Fixture *))
{
        time_t end = time(NULL) + 30;

        while (!condition(f)) {
                assert_true(time(NULL) < end);
                assert_true(sd_event_run(f->event, 10000) >= 0);
        }
}

static inline void fixture_path(const Fixture *f, const char *name, char path[static 80])
{
        assert_int_equal(path_join(path, 80, f->directory, name), 0);
}

static inline bool fixture_has(const Fixture *f, const char *name)
{
        char path[80];

        fixture_path(f, name, path);
        return access(path, F_OK) >= 0;
}

static inline void fixture_write(const Fixture *f, const char *name, const char *text)
{
        char path[80];

        fixture_path(f, name, path);
        assert_int_equal(file_write_atomic(path, text, strlen(text), 0644), 0);
}

/* Removes the runtime directory, as rm -r: with the temporary files that a kill may leave. */
static inline void fixture_remove(const Fixture *f)
{
        DIR *dir = opendir(f->directory);
        struct dirent *entry;

        assert_non_null(dir);
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        closedir(dir);
        assert_int_equal(rmdir(f->directory), 0);
}

static inline int fixture_setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        strcpy(f->base, "/tmp/reserve-test.XXXXXX");
        assert_non_null(mkdtemp(f->base));
        assert_int_equal(path_join(f->directory, sizeof(f->directory), f->base, "run"), 0);
        assert_int_equal(mkdir(f->directory, 0755), 0);
        f->clobbers = mmap(NULL, sizeof(*f->clobbers), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(f->clobbers != MAP_FAILED);
        list_replace("\n");
        *state = f;
        return 0;
}

static inline int fixture_setup_as_daemon(void **state)
{
        assert_int_equal(as_daemon(state), 0);
        return fixture_setup(state);
}

static inline int fixture_teardown(void **state)
{
        Fixture *f = *state;

        assert_int_equal(as_root(state), 0);
        fixture_stop(f);
        fixture_remove(f);
        assert_int_equal(rmdir(f->base), 0);
        munmap(f->clobbers, sizeof(*f->clobbers));
        free(f);
        return 0;
}

#define FIXTURE_TEST_AS_DAEMON(test)                                                               \
        {                                                                                          \
#test " as daemon", test, fixture_setup_as_daemon, fixture_teardown, NULL          \
        }

#define FIXTURE_TEST(test)                                                                         \
        cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown),                    \
                FIXTURE_TEST_AS_DAEMON(test)
