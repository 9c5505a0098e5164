/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/holder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "model/unit-name.h"

/* The field of the journal and the key of JSON have all of it. */
#define COMMAND_SHOWN             120u
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

static int container_length(const char *container)
{
        size_t l = strlen(container);

        if (l == CONTAINER_ID_LENGTH && strspn(container, "0123456789abcdef") == l)
                return CONTAINER_ID_LENGTH_SHORT;
        return (int) l;
}

bool holder_put_inner(FILE *f, const char *container, const char *user_unit, const char *unit,
                      const char *user, uid_t uid)
{
        char manager[32];

        if (container)
                fprintf(f, "container %.*s", container_length(container), container);
        else if (user_unit)
                fputs(user_unit, f);
        else
                return false;
        /* Whose: anybody may call a unit of his own as he likes, and a container, too. */
        if (!user_unit)
                return true;
        (void) snprintf(manager, sizeof(manager), "user@%u.service", (unsigned) uid);
        if (user && unit && strcmp(unit, manager) == 0)
                fprintf(f, " of user %s", user);
        else if (unit)
                fprintf(f, " of %s", unit);
        return true;
}

static void put_name(FILE *f, const Holder *h)
{
        if (holder_put_inner(f, h->container, h->user_unit, h->unit, h->user, h->socket.uid))
                return;
        /* The path says more than the unit: which slice, which part. The root cgroup says nothing. */
        if (h->cgroup && h->cgroup[0] == '/' && h->cgroup[1])
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
        return memstream_end(f, &text);
}

void holder_put_command(FILE *f, const char *command)
{
        _cleanup_(freep) char *shown = printable_cut(command, COMMAND_SHOWN);

        if (shown)
                fprintf(f, "%s%s", shown, strlen(shown) < strlen(command) ? "…" : "");
}

bool holder_has_cgroup(const Holder *h)
{
        return h->cgroup && h->cgroup[0] && h->cgroup[1];
}

char *holder_stop_command(const Holder *h)
{
        char *text = NULL;
        int r = 0;

        if (!h->certain)
                return NULL;
        if (!h->container && h->user_unit && h->user && unit_name_is_stoppable(h->user_unit))
                r = asprintf(&text, "systemctl --user --machine='%s@.host' stop '%s'", h->user,
                             h->user_unit);
        else if (!h->container && !h->user_unit && h->unit && unit_name_is_stoppable(h->unit))
                /* Names may have a backslash. */
                r = strchr(h->unit, '\\') ? asprintf(&text, "systemctl stop '%s'", h->unit)
                                          : asprintf(&text, "systemctl stop %s", h->unit);
        else if (h->pid > 0)
                r = asprintf(&text, "kill %d", (int) h->pid);
        return r < 0 ? NULL : text;
}
