/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests of what sock_diag says of one socket. To be included after cmocka.h. */

#include "kernel/sock-diag.h"
#include "sock-util.h"

static SockDiag *diag;
static Cgroups cgroups; /* of those that take diag_setup */

typedef struct Found {
        uint64_t cookie; /* 0: by port */
        uint16_t port;
        unsigned n;
        Socket row;
} Found;

static inline int on_found(const Socket *s, void *userdata)
{
        Found *f = userdata;

        if (f->cookie ? s->cookie == f->cookie : s->local_port == f->port) {
                f->row = *s;
                f->n++;
        }
        return 0;
}

static inline Found find(int protocol, uint32_t states, uint16_t port, uint64_t cookie,
                         bool automatic)
{
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        Found f = { .port = port, .cookie = cookie };
        PortSet ports = {};

        portset_add(&ports, port);
        assert_int_equal(diag_filter_new(&ports, automatic, &filter), 0);
        assert_int_equal(sock_diag_dump(diag, protocol, states, filter, on_found, &f), 0);
        return f;
}

/* Waits for the destroy event of that socket. */
static inline Found wait_destroyed(int events, uint64_t cookie)
{
        Found f = { .cookie = cookie };

        while (f.n == 0) {
                wait_readable(events);
                assert_int_equal(sock_diag_events_read(events, on_found, &f), 0);
        }
        return f;
}

static inline int diag_setup(void **state)
{
        cgroups_init(&cgroups);
        return loopback_up(state) < 0 || sock_diag_new(&diag) < 0 ? -1 : 0;
}

static inline int diag_teardown(void **state)
{
        static const char *const units[] = { "server.service", "client.service", NULL };

        diag = sock_diag_free(diag);
        cgroups_done(&cgroups, units);
        return 0;
}
