/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/holder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTAINER_ID_LENGTH       64u
#define CONTAINER_ID_LENGTH_SHORT 12u

void holder_init(Holder *h)
{
        *h = (Holder){
                .kind = KIND_UNKNOWN,
                .socket = { .reuse = TRI_UNKNOWN, .automatic = TRI_UNKNOWN },
                .certain = true, /* of nothing */
        };
}

void holder_done(Holder *h)
{
        free(h->unit);
        free(h->user_unit);
        free(h->cgroup);
        free(h->container);
        free(h->exe);
        free(h->command);
        free(h->user);
        holder_init(h);
}

int holder_container_length(const char *container)
{
        size_t l = strlen(container);

        if (l == CONTAINER_ID_LENGTH && strspn(container, "0123456789abcdef") == l)
                return CONTAINER_ID_LENGTH_SHORT;
        return (int) l;
}

static void put_name(FILE *f, const Holder *h)
{
        if (h->container)
                fprintf(f, "container %.*s", holder_container_length(h->container), h->container);
        else if (h->user_unit && h->user)
                fprintf(f, "%s of user %s", h->user_unit, h->user);
        else if (h->user_unit && h->unit)
                fprintf(f, "%s of %s", h->user_unit, h->unit);
        /* The path says more than the unit: which slice, which part. The root cgroup says nothing. */
        else if (h->cgroup && h->cgroup[0] == '/' && h->cgroup[1])
                fputs(h->cgroup + 1, f);
        else if (h->unit)
                fputs(h->unit, f);
        else if (h->user)
                fprintf(f, "user %s", h->user);
        else if (socket_uid_known(&h->socket))
                fprintf(f, "uid %u", (unsigned) h->socket.uid);
        else
                fputs("unknown process", f);
}

char *holder_describe(const Holder *h)
{
        size_t size = 0;
        char *text = NULL;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        if (!h->certain)
                fputs("probably ", f);
        if (h->socket.state == SOCKET_TIME_WAIT && !h->cgroup && !h->unit)
                fputs("no process any more (TIME_WAIT)", f);
        else
                put_name(f, h);
        if (h->pid > 0 && h->exe)
                fprintf(f, " (pid %d, %s)", (int) h->pid, h->exe);
        else if (h->pid > 0)
                fprintf(f, " (pid %d)", (int) h->pid);
        else if (h->exe)
                fprintf(f, " (%s)", h->exe);
        else if (h->no_process)
                fputs(" (no process has it: the kernel's own)", f);
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}
