/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/clients.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "base/grow.h"
#include "model/reservation.h"

#define CLIENTS_MAX 1024u

typedef struct Client {
        Clients *clients;
        char reservation[RESERVATION_NAME_MAX + 1];
        uint64_t cgroup;
        int fd;
        sd_event_source *source;
} Client;

struct Clients {
        sd_event *event;
        const ClientsOps *ops;
        void *userdata;
        Client **list;
        size_t n, allocated;
};

static Client *client_free(Client *c)
{
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->source);
        closep(&c->fd);
        free(c);
        return NULL;
}

DEFINE_CLEANUP(Client, client_free);

int clients_new(sd_event *event, const ClientsOps *ops, void *userdata, Clients **ret)
{
        Clients *c;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->event = sd_event_ref(event);
        c->ops = ops;
        c->userdata = userdata;
        *ret = c;
        return 0;
}

Clients *clients_free(Clients *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n; i++)
                client_free(c->list[i]);
        free(c->list);
        sd_event_unref(c->event);
        free(c);
        return NULL;
}

bool clients_has(const Clients *c, const char *reservation)
{
        for (size_t i = 0; i < c->n; i++)
                if (strcmp(c->list[i]->reservation, reservation) == 0)
                        return true;
        return false;
}

static int on_pidfd(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        _cleanup_(client_freep) Client *gone = userdata;
        Clients *c = gone->clients;

        for (size_t i = 0; i < c->n; i++)
                if (c->list[i] == gone) {
                        c->list[i] = c->list[--c->n];
                        break;
                }
        c->ops->gone(gone->reservation, gone->cgroup, !clients_has(c, gone->reservation),
                     c->userdata);
        return 0;
}

int clients_add(Clients *c, const char *reservation, pid_t pid, uint64_t cgroup)
{
        _cleanup_(client_freep) Client *new = NULL;
        int r;

        if (c->n >= CLIENTS_MAX)
                return -EBUSY;
        if (!GROW(c->list, c->allocated, c->n + 1))
                return -ENOMEM;
        new = calloc(1, sizeof(*new));
        if (!new)
                return -ENOMEM;
        new->clients = c;
        new->cgroup = cgroup;
        (void) snprintf(new->reservation, sizeof(new->reservation), "%s", reservation);
        /* Linux 5.3; readable when the process has ended. */
        new->fd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (new->fd < 0)
                return -errno;
        r = sd_event_add_io(c->event, &new->source, new->fd, EPOLLIN, on_pidfd, new);
        if (r < 0)
                return r;
        c->list[c->n++] = TAKE_PTR(new);
        return 0;
}
