/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The name of who has a socket, from three sources:
 *
 *  - the socket's cgroup id. It says who made the socket, and is exact while that cgroup is there.
 *  - the process that has its inode open, with that process's cgroup: exact, for those who may look.
 *  - the path that a cgroup had which is there no more: only probably right.
 *
 * A name that contradicts itself in the meantime (a pid given to another, a directory made anew) is
 * left out. */

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/printable.h"
#include "kernel/identify-internal.h"
#include "kernel/process-facts.h"
#include "kernel/process.h"
#include "kernel/sock-diag.h"

/* A search that has begun may take so long, or the whole budget if that is more. */
#define SEARCH_USEC USEC_PER_SEC

/* Takes a path apart. */
static int name_path(const char *path, Holder *h)
{
        int r;

        h->cgroup = printable(path);
        if (!h->cgroup)
                return -ENOMEM;
        /* Valid unit names: printable. */
        r = cgroup_path_unit(path, &h->unit, &h->user_unit);
        if (r != -ENOMEM)
                r = cgroup_path_container(path, &h->container);
        return r == -ENOMEM ? r : 0;
}

static bool may_search(Identify *i, uint64_t now)
{
        uint64_t window = i->window_usec > 0 ? now / i->window_usec : 0;

        if (window != i->window) {
                i->window = window;
                i->searched_usec = 0;
        }
        return i->searched_usec < i->budget_usec;
}

/* As process_facts_find(); -ETIMEDOUT, too, where not even begun. */
static int find_process(Identify *i, const char *cgroup, uint32_t inode, ProcessFacts *ret)
{
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        char directory[PATH_MAX];
        int r;

        if (!may_search(i, begin))
                return -ETIMEDOUT;
        /* The root cgroup's list is no shorter than /proc. */
        if (!cgroup || !cgroup[1] ||
            path_join(directory, sizeof(directory), cgroup_map_root(i->map), cgroup + 1) < 0)
                cgroup = NULL;

        r = process_facts_find(cgroup ? directory : NULL, inode,
                               begin + MAX_OF(SEARCH_USEC, i->budget_usec), ret);
        i->searched_usec += now_usec(CLOCK_MONOTONIC) - begin;
        return r;
}

static int on_row(const Socket *s, void *userdata)
{
        const Socket **searched = userdata;

        if (*searched && s->cookie == (*searched)->cookie && s->inode == (*searched)->inode)
                *searched = NULL;
        return 0;
}

/* Is the socket still there, and with that inode? */
static bool is_there(const Socket *s)
{
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        _cleanup_(sock_diag_freep) SockDiag *diag = NULL;
        const Socket *searched = s;
        PortSet ports = {};
        Socket now;

        if (s->cookie == 0 || sock_diag_new(&diag) < 0)
                return false;
        if (s->protocol == IPPROTO_TCP && s->remote_port != 0)
                return sock_diag_find(diag, s, &now) == 1 && now.inode == s->inode;
        portset_add(&ports, s->local_port);
        return diag_filter_new(&ports, false, &filter) >= 0 &&
               sock_diag_dump(diag, s->protocol,
                              s->protocol == IPPROTO_TCP ? SOCK_DIAG_LISTENERS : SOCK_DIAG_ALL,
                              filter, on_row, &searched) >= 0 &&
               !searched;
}

/* For identify_observe(). cgroup: of the process, NULL: not known. */
static void learn(Identify *i, const Socket *s, const char *cgroup, uid_t uid, bool no_process)
{
        Known k = { .cookie = s->cookie, .uid = uid, .no_process = no_process };

        if (cgroup)
                (void) cgroup_map_id(i->map, cgroup, &k.cgroup);
        for (size_t n = 0; n < MIN_OF(i->n_known, KNOWN); n++)
                if (i->known[n].cookie == s->cookie) {
                        i->known[n] = k;
                        return;
                }
        i->known[i->n_known++ % KNOWN] = k;
}

static int name_process(Identify *i, const char *cgroup, const Socket *s, Holder *h)
{
        _cleanup_(process_facts_done) ProcessFacts facts = {};
        int r;

        r = find_process(i, cgroup, s->inode, &facts);
        if (r == -ENOMEM)
                return r;
        if (r == -ENOENT)
                /* Not where it has been closed while all were searched. */
                h->no_process = is_there(s);
        if (h->no_process)
                learn(i, s, NULL, UID_INVALID, true);
        if (r < 0) /* Not to be known here: that is what "missing" says. */
                return 0;
        h->pid = facts.pid;
        h->exe = TAKE_PTR(facts.exe);
        h->command = TAKE_PTR(facts.command);
        h->started_usec = facts.started_usec;
        learn(i, s, facts.cgroup, facts.uid, false);

        /* The cgroup that it was made in has gone: where who has it is now. */
        return h->cgroup || !facts.cgroup ? 0 : name_path(facts.cgroup, h);
}

/* Who probably made it: the cgroup has gone. */
static int name_former(Identify *i, uint64_t cgroup, Holder *h)
{
        const char *path = cgroup_map_former_path(i->map, cgroup);

        if (!path)
                return 0;
        h->certain = false;
        return name_path(path, h);
}

/* A container has names of its own for its uids, but for those that users start themselves. */
static int name_user(Identify *i, Holder *h)
{
        int r;

        if (!socket_uid_known(&h->socket) || (h->container && !h->user_unit))
                return 0;
        r = user_names_get(&i->users, h->socket.uid, &h->user);
        return r == -ENOMEM ? r : 0;
}

static int name_all(Identify *i, const Socket *s, Holder *h)
{
        _cleanup_(freep) char *cgroup = NULL;
        const char *path;
        int r = 0;

        if (s->cgroup != 0 && cgroup_map_path(i->map, s->cgroup, &path) >= 0) {
                cgroup = strdup(path);
                r = cgroup ? name_path(cgroup, h) : -ENOMEM;
        }
        if (r >= 0 && s->inode != 0)
                r = name_process(i, cgroup, s, h);
        if (r >= 0 && s->cgroup != 0 && !h->cgroup)
                r = name_former(i, s->cgroup, h);
        return r < 0 ? r : name_user(i, h);
}

int identify_holder(Identify *i, const Socket *s, Kind kind, Holder *ret)
{
        _cleanup_(holder_done) Holder h;
        int r;

        holder_init(&h);
        h.kind = kind;
        h.socket = *s;
        h.since_usec = now_usec(CLOCK_REALTIME);
        r = name_all(i, s, &h);
        if (r < 0)
                return r;
        *ret = h;
        holder_init(&h);
        return 0;
}

static int replace_text(char **text, const char *by)
{
        char *copy = by ? strdup(by) : NULL;

        if (by && !copy)
                return -ENOMEM;
        free(*text);
        *text = copy;
        return 0;
}

/* A cgroup that is there names it better than one that was, or than none. */
static int take_cgroup(Identify *i, const char *path, Holder *h)
{
        int r;

        if (!path || (h->cgroup && h->certain))
                return 0;
        if (replace_text(&h->cgroup, NULL) < 0 || replace_text(&h->unit, NULL) < 0 ||
            replace_text(&h->user_unit, NULL) < 0 || replace_text(&h->container, NULL) < 0 ||
            replace_text(&h->user, NULL) < 0)
                return -ENOMEM;
        h->certain = true;
        r = name_path(path, h);
        return r < 0 ? r : name_user(i, h);
}

/* May everybody read the command lines of others? Not where /proc hides them (hidepid=), and what we
 * are told is for everybody: state.json. One that has gone meanwhile hides no more. */
static bool is_hidden(pid_t pid)
{
        _cleanup_(closep) int process = process_open(pid), fd = -1;

        if (process >= 0)
                fd = process_open_file(process, "cmdline", 0);
        return fd < 0 && kill(pid, 0) < 0 && errno == EPERM;
}

int identify_take_answer(Identify *i, const InspectAnswer *a, Holder *h)
{
        _cleanup_(freep) char *cgroup = NULL;
        int r;

        r = take_cgroup(i, a->cgroup, h);
        if (r < 0)
                return r;
        if (a->outcome == INSPECT_NOBODY)
                h->no_process = is_there(&h->socket);
        if (h->no_process)
                learn(i, &h->socket, NULL, UID_INVALID, true);
        if (a->outcome != INSPECT_FOUND)
                return 0;
        if (replace_text(&h->exe, a->exe) < 0 ||
            replace_text(&h->command, is_hidden(a->pid) ? NULL : a->command) < 0)
                return -ENOMEM;
        h->pid = a->pid;
        h->started_usec = a->started_usec;
        h->socket.reuse = a->reuse;
        /* The answer's cgroup is the one that the socket was made in. Everybody may read where a
         * process is; by now the pid may be another's. */
        if (process_facts_cgroup(a->pid, a->started_usec, &cgroup) == -ENOMEM)
                return -ENOMEM;
        learn(i, &h->socket, cgroup, a->uid, false);
        /* That one has gone: where who has it is now. */
        return take_cgroup(i, cgroup, h);
}
