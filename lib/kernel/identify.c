/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose is a socket.
 *
 * The cgroup id of a socket is that of the process that called socket(); accepted ones have their
 * listener's. So the owner's sockets are in its unit's cgroup, or in that of a .socket unit that
 * listened for it. A unit is known here under each of its names: the cgroup bears the canonical
 * one, the configuration may say an alias. */

#include "kernel/identify-internal.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/grow.h"
#include "kernel/runtime.h"
#include "kernel/unit-sockets.h"
#include "model/unit-name.h"

/* portreserve-exec clients of one reservation. */
#define CLIENTS_MAX 256u

/* Looking through every process's fds is slow on a big machine, and strangers decide how often it
 * is wanted: no more than this in a second, what is left stays unnamed. */
#define SEARCH_BUDGET_USEC (100 * USEC_PER_MSEC)

int identify_new(Identify **ret)
{
        _cleanup_(identify_freep) Identify *i = NULL;
        int r;

        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        user_names_init(&i->users, NULL, NULL);
        i->budget_usec = SEARCH_BUDGET_USEC;
        i->window_usec = USEC_PER_SEC;
        r = cgroup_map_new(NULL, &i->map);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}

Identify *identify_free(Identify *i)
{
        if (!i)
                return NULL;
        for (size_t k = 0; k < i->n_owners; k++)
                owner_free(i->owners[k]);
        free(i->owners);
        user_names_done(&i->users);
        cgroup_map_free(i->map);
        free(i);
        return NULL;
}

void identify_take_time(Identify *i, uint64_t usec)
{
        i->budget_usec = usec;
        i->window_usec = 0;
}

CgroupMap *identify_cgroups(Identify *i)
{
        return i->map;
}

static void forget_memos(Identify *i)
{
        memset(i->memos, 0, sizeof(i->memos));
}

void identify_reset(Identify *i)
{
        size_t kept = 0;

        forget_memos(i);
        for (size_t k = 0; k < i->n_owners; k++) {
                Owner *o = i->owners[k];

                owner_forget_names(o);
                /* Clients of portreserve-exec live on. */
                if (o->n_cgroups > 0)
                        i->owners[kept++] = o;
                else
                        owner_free(o);
        }
        i->n_owners = kept;
}

/* The Owner of that name, made where there is none. NULL: no memory. */
static Owner *get_owner(Identify *i, const char *reservation)
{
        size_t low = 0, high = i->n_owners;
        Owner *o;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = strcmp(i->owners[middle]->reservation, reservation);

                if (c == 0)
                        return i->owners[middle];
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }

        if (!GROW(i->owners, i->n_owners_allocated, i->n_owners + 1))
                return NULL;
        o = owner_new(reservation);
        if (!o)
                return NULL;
        memmove(i->owners + low + 1, i->owners + low, (i->n_owners - low) * sizeof(Owner *));
        i->owners[low] = o;
        i->n_owners++;
        return o;
}

int identify_add_cgroup(Identify *i, const char *reservation, uint64_t cgroup)
{
        Owner *o = get_owner(i, reservation);

        if (!o)
                return -ENOMEM;
        if (cgroup == 0)
                return -EINVAL;
        if (o->n_cgroups >= CLIENTS_MAX)
                return -E2BIG;
        if (!GROW(o->cgroups, o->n_cgroups_allocated, o->n_cgroups + 1))
                return -ENOMEM;
        o->cgroups[o->n_cgroups++] = cgroup;
        forget_memos(i);
        return 0;
}

int identify_remove_cgroup(Identify *i, const char *reservation, uint64_t cgroup)
{
        Owner *o = get_owner(i, reservation);

        if (!o)
                return -ENOMEM;
        for (size_t k = 0; k < o->n_cgroups; k++)
                if (o->cgroups[k] == cgroup) {
                        o->cgroups[k] = o->cgroups[--o->n_cgroups];
                        forget_memos(i);
                        return 0;
                }
        return -ENOENT;
}

/* Is the cgroup one of a client, or below one? "/" has no "below": everything would be. */
static bool in_client_cgroup(Identify *i, const Owner *o, uint64_t id, const char *path)
{
        for (size_t k = 0; k < o->n_cgroups; k++) {
                const char *p;
                size_t l;

                if (o->cgroups[k] == id)
                        return true;
                if (!path || cgroup_map_path(i->map, o->cgroups[k], &p) < 0)
                        continue;
                l = strlen(p);
                if (l > 1 && strncmp(path, p, l) == 0 && path[l] == '/')
                        return true;
        }
        return false;
}

/* Where most units are: saves the answer when the path of the id cannot be had (no walk so
 * soon). */
static bool is_in_system_slice(Identify *i, const char *unit, uint64_t id)
{
        char path[UNIT_NAME_LENGTH_MAX + 32];
        uint64_t found;

        if ((size_t) snprintf(path, sizeof(path), "/system.slice/%s", unit) >= sizeof(path))
                return false;
        return cgroup_map_id(i->map, path, &found) >= 0 && found == id;
}

/* Compares the path where there is one, else the ids of the usual places. */
static bool in_unit(Identify *i, const char *path, uint64_t id, const char *unit)
{
        return path ? cgroup_path_in_unit(path, unit) : is_in_system_slice(i, unit, id);
}

/* A .socket unit that bears another name, and says in its file that it starts the owner? */
static bool is_owners_socket(const Owner *o, const char *path)
{
        _cleanup_(freep) char *unit = NULL;

        if (!path || cgroup_path_unit(path, &unit, NULL) < 0)
                return false;
        for (size_t k = 0; k < OWNER_NAMES_MAX && o->names[k]; k++)
                if (unit_socket_starts("", unit, o->names[k]))
                        return true;
        return false;
}

/* A listener keeps the cgroup of the .socket unit that made it, also when that has another name by
 * now. Not where there is a unit of that name, and it is another reservation's. */
static bool is_of_former_unit(const char *path)
{
        _cleanup_(freep) char *unit = NULL;
        char file[PATH_MAX];
        struct stat st;

        if (cgroup_path_unit(path, &unit, NULL) < 0 ||
            strncmp(unit, "portreserved-", strlen("portreserved-")) != 0 ||
            !unit_name_has_suffix(unit, ".socket") ||
            path_join(file, sizeof(file), GENERATOR_DIR, unit) < 0)
                return false;
        return lstat(file, &st) < 0 ? errno == ENOENT : S_ISLNK(st.st_mode);
}

static Relation find_relation(Identify *i, const Owner *o, uint64_t id)
{
        _cleanup_(freep) char *path = NULL;
        const char *p;

        /* Where it was is as good as where it is: what was made there was made by the unit of then. */
        if (cgroup_map_path(i->map, id, &p) < 0)
                p = cgroup_map_former_path(i->map, id);
        if (p) {
                path = strdup(p);
                if (!path)
                        return RELATION_UNKNOWN;
        }
        if (in_client_cgroup(i, o, id, path))
                return RELATION_OWNER;
        if (in_unit(i, path, id, o->generated) ||
            (o->former[0] && in_unit(i, path, id, o->former)) || (path && is_of_former_unit(path)))
                return RELATION_GENERATED;
        for (size_t k = 0; k < OWNER_NAMES_MAX && o->names[k]; k++)
                if (in_unit(i, path, id, o->names[k]))
                        return RELATION_OWNER;
        if (is_owners_socket(o, path))
                return RELATION_OWNER;
        if (path && cgroup_path_in_unit(path, "portreserved.service"))
                return RELATION_OURS;
        /* In the root cgroup everybody is who is in none. */
        return path && path[1] ? RELATION_NONE : RELATION_UNKNOWN;
}

static Relation get_relation(Identify *i, const Owner *o, uint64_t id)
{
        Memo *m = &i->memos[(id * 31 + (uintptr_t) o / sizeof(Owner)) % MEMOS];

        if (id == 0 || !cgroup_map_available(i->map))
                return RELATION_UNKNOWN;
        if (m->owner == o && m->cgroup == id)
                return m->relation;
        *m = (Memo){ .owner = o, .cgroup = id, .relation = find_relation(i, o, id) };
        if (m->relation == RELATION_UNKNOWN)
                m->owner = NULL;
        return m->relation;
}

static bool is_gone(Identify *i, uint64_t cgroup)
{
        const char *path;

        return cgroup != 0 && cgroup_map_available(i->map) &&
               cgroup_map_path(i->map, cgroup, &path) == -ENOENT;
}

/* The relation of a cgroup to the reservation's owner. */
static Relation relation_to_owner(Identify *i, const Reservation *r, uint64_t cgroup)
{
        Owner *owner = get_owner(i, r->name);
        int k = owner ? owner_resolve(owner, r) : -ENOMEM;

        if (k > 0)
                forget_memos(i);
        return k >= 0 ? get_relation(i, owner, cgroup) : RELATION_UNKNOWN;
}

static const Known *find_known(const Identify *i, const Socket *s)
{
        for (size_t k = 0; s->cookie != 0 && k < MIN_OF(i->n_known, KNOWN); k++)
                if (i->known[k].cookie == s->cookie)
                        return i->known + k;
        return NULL;
}

/* Does the process that has it run in the owner's unit, or as the owner? It was moved there, or got the
 * socket from elsewhere, or has changed its uid. */
static bool is_owners_process(Identify *i, const Reservation *r, const Known *k)
{
        return (r->uid != UID_INVALID && k->uid == r->uid) ||
               relation_to_owner(i, r, k->cgroup) == RELATION_OWNER;
}

void identify_observe(Identify *i, const Reservation *r, Observation *o)
{
        const Socket *s = &o->socket;
        bool uid_known = r->uid != UID_INVALID && socket_uid_known(s);
        Relation relation = relation_to_owner(i, r, s->cgroup);
        const Known *known = find_known(i, s);

        /* The owner runs with a listener that PID 1 has let go, since it changed. Its cgroup went with
         * it. */
        if ((relation == RELATION_UNKNOWN || relation == RELATION_GENERATED) && r->run &&
            is_gone(i, s->cgroup))
                relation = RELATION_OWNER;

        o->pid1_listener = relation == RELATION_GENERATED &&
                           (s->state == SOCKET_LISTEN ||
                            (s->protocol == IPPROTO_UDP && s->state == SOCKET_CLOSE));

        if (relation == RELATION_OWNER || relation == RELATION_GENERATED ||
            (uid_known && s->uid == r->uid) || (known && is_owners_process(i, r, known)))
                o->owner = TRI_YES;
        else if (r->unit)
                o->owner = relation == RELATION_NONE ? TRI_NO : TRI_UNKNOWN;
        else
                o->owner = uid_known ? TRI_NO : TRI_UNKNOWN;
        o->no_process = known && known->no_process;
        o->cgroup_gone = relation == RELATION_UNKNOWN && is_gone(i, s->cgroup);
        /* A listener that we had passed to the owner. We make no connections. */
        if (relation == RELATION_OURS)
                o->listener_legitimate = true;
}
