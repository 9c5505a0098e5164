/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/bus/interface.h"
#include "daemon/bus/listener.h"
#include "daemon/bus/peer.h"
#include "kernel/runtime.h"

/* Users share one half, so that they cannot keep root out together. A connection takes four fds. */
#define PEERS_MAX       64u
#define PEERS_USERS_MAX 32u
#define PEERS_ROOT_MAX  32u
#define PEERS_UID_MAX   16u

#define TICK_USEC 1000000u

struct Bus {
        sd_event *event;
        const BusOps *ops;
        void *userdata;
        Listener *listener;
        sd_event_source *post, *tick;
        Peer *peers[PEERS_MAX];
        unsigned n_peers;
        LogLimit refused;
};

/* Tends to all, frees those that are to be dropped; with admission also those whose user the
 * configuration names no longer. Never called from within a peer's own callback. */
static void tend(Bus *b, bool admission)
{
        unsigned kept = 0;
        uint64_t now = 0;

        (void) sd_event_now(b->event, CLOCK_MONOTONIC, &now);
        for (unsigned i = 0; i < b->n_peers; i++) {
                Peer *p = b->peers[i];

                if (peer_tend(p, now) && (!admission || b->ops->admits(peer_uid(p), b->userdata)))
                        b->peers[kept++] = p;
                else
                        peer_free(p);
        }
        b->n_peers = kept;
}

static int on_post(sd_event_source *s, void *userdata)
{
        tend(userdata, false);
        return 0;
}

static void arm_tick(Bus *b)
{
        int r;

        r = sd_event_source_set_time_relative(b->tick, TICK_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->tick, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error("Cannot arm the timer of the control connections: %s", strerror(-r));
}

/* The clock of the deadlines runs only while somebody is connected. */
static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
        Bus *b = userdata;

        tend(b, true);
        if (b->n_peers > 0)
                arm_tick(b);
        return 0;
}

static bool has_room(const Bus *b, uid_t uid)
{
        unsigned same = 0, users = 0;

        for (unsigned i = 0; i < b->n_peers; i++) {
                same += peer_uid(b->peers[i]) == uid;
                users += peer_uid(b->peers[i]) != 0;
        }
        if (b->n_peers >= PEERS_MAX)
                return false;
        return uid == 0 ? same < PEERS_ROOT_MAX : same < PEERS_UID_MAX && users < PEERS_USERS_MAX;
}

static void on_accept(int fd, const struct ucred *credentials, void *userdata)
{
        Bus *b = userdata;
        Peer *p;
        int r;

        if (!b->ops->admits(credentials->uid, b->userdata) || !has_room(b, credentials->uid)) {
                log_limited(&b->refused, LOG_NOTICE, "Hung up on pid %d, uid %u at %s: %s",
                            (int) credentials->pid, (unsigned) credentials->uid, RUNTIME_CONTROL,
                            b->ops->admits(credentials->uid, b->userdata)
                                    ? "too many connections"
                                    : "neither root nor named by User=");
                close(fd);
                return;
        }
        r = peer_new(b->event, fd, credentials, b->ops, b->userdata, &p);
        if (r < 0) {
                log_warning("Cannot serve a control connection of uid %u: %s",
                            (unsigned) credentials->uid, strerror(-r));
                return;
        }
        b->peers[b->n_peers++] = p;
        if (b->n_peers == 1)
                arm_tick(b);
}

int bus_new(sd_event *event, const char *runtime_dir, const BusOps *ops, void *userdata, Bus **ret)
{
        _cleanup_(bus_freep) Bus *b = NULL;
        int r;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->ops = ops;
        b->userdata = userdata;
        r = sd_event_add_post(event, &b->post, on_post, b);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &b->tick, CLOCK_MONOTONIC, 0, 0, on_tick, b);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(b->tick, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = listener_new(event, runtime_dir, RUNTIME_CONTROL, SOCK_STREAM, 0666, on_accept, b,
                         &b->listener);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

Bus *bus_free(Bus *b)
{
        if (!b)
                return NULL;
        listener_free(b->listener);
        for (unsigned i = 0; i < b->n_peers; i++)
                peer_free(b->peers[i]);
        sd_event_source_disable_unref(b->post);
        sd_event_source_disable_unref(b->tick);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}

int bus_restore(Bus *b)
{
        return listener_restore(b->listener);
}

void bus_emit_event(Bus *b, const char *json)
{
        /* One that does not read is dropped by the next tend(), for the length of its queue. */
        for (unsigned i = 0; i < b->n_peers; i++)
                if (peer_subscribed(b->peers[i]))
                        (void) interface_emit_event(peer_bus(b->peers[i]), json);
}
