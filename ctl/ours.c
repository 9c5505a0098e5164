/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/ours.h"

#include <errno.h>
#include <string.h>

#include "ctl/state.h"
#include "kernel/process.h"
#include "model/endpoint.h"

#define UNIT "portreserved.service"

const json_t *ours_published(const Ours *o, int protocol, uint16_t port)
{
        const json_t *reservation, *ep;
        size_t i, j;

        json_array_foreach(get_array(o->state, "list"), i, reservation)
                json_array_foreach(get_array(reservation, "endpoints"), j, ep)
                        if (strcmp(get_text(ep, "protocol"), protocol_to_string(protocol)) == 0 &&
                            get_number(ep, "port") <= port && get_number(ep, "last") >= port)
                                return ep;
        return NULL;
}

bool ours_holds(const json_t *ep)
{
        const char *state = get_text(ep, "state");

        return strcmp(state, "exclusive") == 0 || strcmp(state, "sharing") == 0 ||
               strcmp(state, "in-use") == 0;
}

/* For those who may not read the daemon's fds, or not even see its process (hidepid=): a socket of
 * its user that is as the daemon says its hold there is. */
static bool is_as_published(const Ours *o, const Socket *s)
{
        const json_t *ep = ours_published(o, s->protocol, s->local_port);
        bool listens = strcmp(get_text(ep, "state"), "listening") == 0;

        if (!listens && !ours_holds(ep))
                return false;
        if ((s->state == SOCKET_LISTEN) != (listens && s->protocol == IPPROTO_TCP))
                return false;
        return s->uid == o->uid;
}

bool ours_has(const Ours *o, const Socket *s)
{
        const char *path;
        int r = -ESRCH;

        /* A hold is never connected. */
        if (s->remote_port != 0 || s->inode == 0)
                return false;
        if (o->pid > 0) {
                r = process_has_inode(o->pid, s->inode);
                if (r > 0)
                        return true;
        }
        /* While the daemon restarts, PID 1 has its sockets; they stay in the cgroup they were made
         * in. */
        if (cgroup_map_path(o->cgroups, s->cgroup, &path) >= 0 && cgroup_path_in_unit(path, UNIT))
                return true;
        return r < 0 && is_as_published(o, s);
}
