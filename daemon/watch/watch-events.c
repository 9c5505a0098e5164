/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was destroyed: it wakes claims, and makes collisions suspect. The kernel tells of a socket when
 * it is freed, which of one that was aborted is when its process closes it; of TIME_WAIT never. */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "daemon/watch/watch-internal.h"
#include "kernel/event-filter.h"

static void suspect(Watch *w, const Endpoint *e, uint16_t port, uint64_t cookie)
{
        CollisionEntry *x = collision_set_find(w->set, e, port, cookie);

        if (!x)
                return;
        x->suspect = x->destroyed = true;
        watch_want_verify(w, 0);
}

bool watch_suspect_destroyed(Watch *w, const Socket *s)
{
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;
        bool declared = false;

        while (w->config &&
               config_lookup(w->config, s->protocol, s->local_port, &iterator, &r, &e)) {
                declared = true;
                suspect(w, e, s->local_port, s->cookie);
                if (s->timewait) /* of all remains */
                        suspect(w, e, s->local_port, 0);
        }
        return declared;
}

void watch_destroyed(Watch *w, const Socket *s)
{
        if (watch_suspect_destroyed(w, s) && w->ops.freed)
                w->ops.freed(s->protocol, s->local_port, w->userdata);
}

static int on_destroyed(const Socket *s, void *userdata)
{
        Watch *w = userdata;

        if (watch_suspect_destroyed(w, s))
                portset_add(s->protocol == IPPROTO_UDP ? &w->udp_freed : &w->tcp_freed,
                            s->local_port);
        return 0;
}

static void tell_freed(Watch *w, int protocol, PortSet *freed)
{
        PortSet ports = *freed;

        portset_clear(freed);
        PORTSET_FOREACH_RUN(&ports, first, last)
                for (unsigned port = first; port <= last; port++)
                        if (w->ops.freed)
                                w->ops.freed(protocol, (uint16_t) port, w->userdata);
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Watch *w = userdata;
        int r;

        r = sock_diag_events_read(fd, on_destroyed, w);
        if (r == -ENOBUFS) {
                /* What went is not known: it may be any. */
                w->events_lost++;
                portset_unite(&w->tcp_freed, &w->tcp_ports);
                portset_unite(&w->udp_freed, &w->udp_ports);
                watch_want_verify(w, 0);
                watch_tell_trouble(w, TROUBLE_LOST, r);
        } else if (r < 0) {
                watch_close_events(w);
                watch_tell_trouble(w, TROUBLE_EVENTS, r); /* the next sweep opens it anew */
        }
        tell_freed(w, IPPROTO_TCP, &w->tcp_freed);
        tell_freed(w, IPPROTO_UDP, &w->udp_freed);
        return 0;
}

void watch_close_events(Watch *w)
{
        w->events_source = sd_event_source_disable_unref(w->events_source);
        closep(&w->events_fd);
        w->events_fd = -1;
}

void watch_filter_events(Watch *w)
{
        PortSet ports = w->tcp_ports;

        portset_unite(&ports, &w->udp_ports);
        if (w->events_fd >= 0)
                (void) event_filter_attach(w->events_fd, &ports); /* else all come */
}

int watch_open_events(Watch *w)
{
        int r;

        if (w->events_fd >= 0)
                return 0;
        r = sock_diag_events_open(&w->events_fd);
        if (r >= 0) {
                r = sd_event_add_io(w->event, &w->events_source, w->events_fd, EPOLLIN, on_events,
                                    w);
                if (r < 0) {
                        closep(&w->events_fd);
                        w->events_fd = -1;
                }
        }
        watch_filter_events(w);
        watch_tell_trouble(w, TROUBLE_EVENTS, r);
        return r;
}
