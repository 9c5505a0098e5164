/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/grow.h"
#include "model/reservation.h"

/* Users share one half, so that they cannot keep root out together. */
#define CLIENTS_MAX       1024u
#define CLIENTS_USERS_MAX 512u
#define CLIENTS_UID_MAX   128u

struct Client {
        Clients *clients;
        char reservation[RESERVATION_NAME_MAX + 1];
        uint64_t cgroup;
        uid_t uid;
        int fd; /* a pidfd, Linux 5.3: readable when the process has ended */
        sd_event_source *source;
};

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

void clients_drop(Clients *c, Client *client)
{
        _cleanup_(client_freep) Client *gone = client;

        for (size_t i = 0; i < c->n; i++)
                if (c->list[i] == gone) {
                        c->list[i] = c->list[--c->n];
                        break;
                }
        c->ops->gone(gone->reservation, gone->cgroup, !clients_has(c, gone->reservation),
                     c->userdata);
}

static int on_pidfd(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Client *gone = userdata;

        clients_drop(gone->clients, gone);
        return 0;
}

static bool has_room(const Clients *c, uid_t uid)
{
        unsigned same = 0, users = 0;

        for (size_t i = 0; i < c->n; i++) {
                same += c->list[i]->uid == uid;
                users += c->list[i]->uid != 0;
        }
        return c->n < CLIENTS_MAX &&
               (uid == 0 || (same < CLIENTS_UID_MAX && users < CLIENTS_USERS_MAX));
}

int clients_add(Clients *c, const char *reservation, uid_t uid, int pidfd, uint64_t cgroup,
                Client **ret)
{
        _cleanup_(client_freep) Client *new = NULL;
        int r;

        if (!has_room(c, uid))
                return -EBUSY;
        if (!GROW(c->list, c->allocated, c->n + 1))
                return -ENOMEM;
        new = calloc(1, sizeof(*new));
        if (!new)
                return -ENOMEM;
        new->clients = c;
        new->cgroup = cgroup;
        new->uid = uid;
        (void) snprintf(new->reservation, sizeof(new->reservation), "%s", reservation);
        new->fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
        if (new->fd < 0)
                return -errno;
        r = sd_event_add_io(c->event, &new->source, new->fd, EPOLLIN, on_pidfd, new);
        if (r < 0)
                return r;
        *ret = c->list[c->n++] = TAKE_PTR(new);
        return 0;
}
