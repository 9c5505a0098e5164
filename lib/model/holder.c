/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/holder.h"

#include <stdlib.h>
#include <string.h>

void holder_init(Holder *h)
{
        *h = (Holder){ .kind = KIND_UNKNOWN };
}

void holder_done(Holder *h)
{
        free(h->unit);
        free(h->cgroup);
        free(h->exe);
        holder_init(h);
}

/* What is known about the process, " (pid 123, /usr/bin/foo)"; "" where nothing is. NULL: no
 * memory. */
static char *describe_process(const Holder *h)
{
        char *s;
        int r;

        if (h->pid > 0 && h->exe)
                r = asprintf(&s, " (pid %d, %s)", (int) h->pid, h->exe);
        else if (h->pid > 0)
                r = asprintf(&s, " (pid %d)", (int) h->pid);
        else if (h->exe)
                r = asprintf(&s, " (%s)", h->exe);
        else
                return strdup("");
        return r < 0 ? NULL : s;
}

char *holder_describe(const Holder *h)
{
        _cleanup_(freep) char *process = NULL;
        char *s;
        int r;

        process = describe_process(h);
        if (!process)
                return NULL;

        /* The path says more than the unit: which user's, which container's. The root cgroup says
         * nothing. */
        if (h->cgroup && h->cgroup[0] == '/' && h->cgroup[1])
                r = asprintf(&s, "%s%s", h->cgroup + 1, process);
        else if (h->unit)
                r = asprintf(&s, "%s%s", h->unit, process);
        else if (socket_uid_known(&h->socket))
                r = asprintf(&s, "uid %u%s", (unsigned) h->socket.uid, process);
        else if (h->socket.state == SOCKET_TIME_WAIT)
                r = asprintf(&s, "no process any more (TIME_WAIT)");
        else
                r = asprintf(&s, "unknown process%s", process);
        return r < 0 ? NULL : s;
}
