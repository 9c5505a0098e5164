/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A collision is told when it is known which process it is, or when that has taken too long. Whose it
 * is, the daemon can mostly see by itself, from the cgroup; what runs there it may not. */

#include <errno.h>
#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"

/* False: who has it is its owner, and c is gone. */
static bool take_answer(Manager *m, const Collision *c, const InspectAnswer *a, bool told)
{
        int r;

        r = watch_take_answer(m->watch, c, a, told);
        if (r < 0)
                log_warning("Cannot take in who has port %u: %s", c->port, strerror(-r));
        return r <= 0;
}

static void on_answered(void *about, const InspectAnswer *a, void *userdata)
{
        const Collision *c = about;
        Manager *m = userdata;

        if (!a || take_answer(m, c, a, false))
                manager_tell_collision(m, c);
}

static void on_answered_late(void *about, const InspectAnswer *a, void *userdata)
{
        Manager *m = userdata;

        if (take_answer(m, about, a, true))
                manager_evict(m, about);
        state_touch(m->state);
}

static void on_problem(void *userdata)
{
        Manager *m = userdata;
        const char *problem = inspect_problem(m->inspect);

        if (problem)
                log_warning("Cannot tell which process has a port: %s", problem);
        else
                log_notice("It can be told again which process has a port");
        state_touch(m->state);
}

const InspectOps manager_inspect_ops = {
        .answered = on_answered,
        .answered_late = on_answered_late,
        .problem = on_problem,
};

bool manager_inspect(Manager *m, const Collision *c)
{
        const Holder *h = &c->holder;

        /* Who may look has looked. What no process has (remains, orphans) has no inode. */
        if (h->socket.inode == 0 || h->pid > 0 || h->no_process || m->sees_processes)
                return false;
        return inspect_ask(m->inspect, (void *) c, &h->socket) >= 0;
}
