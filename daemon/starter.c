/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/starter.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/grow.h"
#include "kernel/runtime.h"

struct Starter {
        char **wanted; /* names of reservations, each once */
        size_t n_wanted, n_wanted_allocated;
};

int starter_new(Starter **ret)
{
        Starter *s;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *ret = s;
        return 0;
}

Starter *starter_free(Starter *s)
{
        if (!s)
                return NULL;
        while (s->n_wanted > 0)
                free(s->wanted[--s->n_wanted]);
        free(s->wanted);
        free(s);
        return NULL;
}

bool starter_forget(Starter *s, const char *reservation)
{
        for (size_t i = 0; i < s->n_wanted; i++)
                if (strcmp(s->wanted[i], reservation) == 0) {
                        free(s->wanted[i]);
                        s->wanted[i] = s->wanted[--s->n_wanted];
                        return true;
                }
        return false;
}

void starter_want(Starter *s, const char *reservation)
{
        char *name;

        (void) starter_forget(s, reservation);
        name = strdup(reservation);
        if (!name || !GROW(s->wanted, s->n_wanted_allocated, s->n_wanted + 1)) {
                free(name);
                return; /* no memory: then the unit is started by hand */
        }
        s->wanted[s->n_wanted++] = name;
}

int starter_request(const char *unit)
{
        const struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = ACT_SOCKET };
        _cleanup_(closep) int fd = -1;

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &sa, sizeof(sa)) < 0)
                return -errno;
        if (send(fd, unit, strlen(unit) + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        return 0;
}
