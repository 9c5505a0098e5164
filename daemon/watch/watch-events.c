/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Destroy events: they wake claims, and make collisions suspect. */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "daemon/watch/watch-internal.h"
#include "kernel/event-filter.h"

static int on_destroyed(const Socket *s, void *userdata)
{
        Watch *w = userdata;
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        if (!w->config)
                return 0;
        while (config_lookup(w->config, s->protocol, s->local_port, &iterator, &r, &e)) {
                CollisionEntry *x = collision_set_find(w->set, e, s->local_port, s->cookie);

                portset_add(s->protocol == IPPROTO_UDP ? &w->udp_freed : &w->tcp_freed,
                            s->local_port);
                if (x) {
                        x->suspect = x->destroyed = true;
                        watch_want_verify(w, 0);
                }
        }
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
