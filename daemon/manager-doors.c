/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is asked of us: by the control interface, by hand-over, by portreserve-exec. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "kernel/unit-file.h"

static int on_bus_reload(char **ret_json, char **ret_error, void *userdata)
{
        Manager *m = userdata;
        PortSet ports;
        int r;

        r = manager_reload(m, ret_error);
        if (r < 0)
                return r;
        config_ports(m->config, &ports);
        if (asprintf(ret_json, "{\"reservations\":%zu,\"ports\":%u}", m->config->n_reservations,
                     portset_count(&ports)) < 0) {
                *ret_json = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int on_bus_state(char **ret_json, void *userdata)
{
        Manager *m = userdata;

        return state_text(m->state, ret_json);
}

static bool on_bus_admits(uid_t uid, void *userdata)
{
        Manager *m = userdata;

        if (uid == 0 || uid == geteuid())
                return true;
        CONFIG_FOREACH_RESERVATION(m->config, r)
                if (r->user && r->uid == uid)
                        return true;
        return false;
}

/* Is that the cgroup of another unit than the owner's? */
static bool is_foreign_unit(const Reservation *r, const char *cgroup)
{
        _cleanup_(freep) char *unit = NULL, *owner = NULL;

        if (!cgroup || cgroup_path_unit(cgroup, &unit, NULL) < 0)
                return false;
        if (!r->unit || unit_resolve_alias("", r->unit, &owner) < 0)
                return true;
        return strcmp(unit, owner) != 0;
}

static bool is_owner_user(const Reservation *r, uid_t uid)
{
        return uid == 0 || (r->user && r->uid == uid);
}

/* May it be opened to a process of this user in this cgroup (NULL: could not be read)? */
static bool may_hand_over(const Reservation *r, uid_t uid, const char *cgroup)
{
        return is_owner_user(r, uid) && !(r->unit && is_foreign_unit(r, cgroup));
}

static void deny(Manager *m, const Reservation *r, uid_t uid, pid_t pid, const char *cgroup)
{
        _cleanup_(freep) char *detail = NULL;

        if (asprintf(&detail, "hand-over to process %d, uid %u, cgroup %s: only %s%s%s may have it",
                     (int) pid, (unsigned) uid, cgroup ?: "unknown", r->unit ?: "",
                     r->unit && r->user ? " and user " : "", r->user ?: "") < 0)
                detail = NULL;
        alert_event(m->alert, &(Event){ .kind = EVENT_DENIED, .reservation = r, .detail = detail });
}

/* The owner starts: its holds open. -EADDRINUSE: somebody else has one of its ports. */
static int open_holds(Manager *m, const Reservation *r)
{
        int n;

        n = hold_set_owner_starts(m->holds, r);
        state_touch(m->state);
        if (n < 0)
                return n;
        return n > 0 ? -EADDRINUSE : 0;
}

static int on_handover(const HandoverRequest *request, void *userdata)
{
        Manager *m = userdata;
        Reservation *r;
        int k;

        r = config_find(m->config, request->name);
        if (!r)
                return -ENOENT;
        if (!may_hand_over(r, request->uid, request->cgroup)) {
                deny(m, r, request->uid, request->pid, request->cgroup);
                return -EPERM;
        }
        if (!request->start)
                return hold_set_owner_stopped(m->holds, r);

        k = open_holds(m, r);
        if (owners_started(m->owners, r->name, request->cgroup, k == -EADDRINUSE) < 0)
                log_warning("%s: no memory to remember its owner", r->name);
        return k;
}

const HandoverOps manager_handover_ops = { .request = on_handover };

/* The listening sockets of a Hold=listen reservation, each under its name. */
static int listening_fds(Manager *m, const Reservation *r, int **ret_fds, size_t *ret_n,
                         char ***ret_names)
{
        const SocketKey *key = reservation_socket_key(r, "FileDescriptorName");
        const char *name = key ? key->value : r->name;
        size_t n = 0, count = 0;
        char **names;
        int *fds;

        for (size_t i = 0; i < r->n_endpoints; i++)
                count += (size_t) (r->endpoints[i].last - r->endpoints[i].port) + 1;

        fds = calloc(count + 1, sizeof(*fds));
        names = calloc(count + 1, sizeof(*names));
        for (size_t i = 0; fds && names && i < r->n_endpoints; i++) {
                const Endpoint *e = &r->endpoints[i];

                for (unsigned port = e->port; port <= e->last; port++) {
                        Hold *h = hold_set_find(m->holds, e, (uint16_t) port);

                        if (!h || hold_state(h) != HOLD_STATE_LISTENING)
                                continue;
                        names[n] = strdup(name);
                        if (!names[n])
                                goto fail;
                        fds[n++] = hold_fd(h);
                }
        }
        if (!fds || !names)
                goto fail;
        *ret_fds = fds;
        *ret_names = names;
        *ret_n = n;
        return 0;

fail:
        strv_free(names);
        free(fds);
        return -ENOMEM;
}

static int follow_client(Manager *m, const Reservation *r, pid_t pid, const char *cgroup)
{
        Identify *identify = watch_identify(m->watch);
        uint64_t id = 0;
        int k;

        /* In the root cgroup is everybody: that tells nothing. */
        if (cgroup && strcmp(cgroup, "/") != 0)
                (void) cgroup_map_id(identify_cgroups(identify), cgroup, &id);
        k = clients_add(m->clients, r->name, pid, id);
        if (k >= 0 && id != 0)
                (void) identify_add_cgroup(identify, r->name, id);
        return k;
}

static int on_bus_open(const char *name, uid_t uid, pid_t pid, int **ret_fds, size_t *ret_n,
                       char ***ret_names, char **ret_error, void *userdata)
{
        _cleanup_(freep) char *cgroup = NULL;
        Manager *m = userdata;
        Reservation *r;
        int k;

        r = config_find(m->config, name);
        if (!r) {
                *ret_error = strdup("no such reservation; 'portreservectl list' shows them");
                return -ENOENT;
        }
        if (!is_owner_user(r, uid)) {
                deny(m, r, uid, pid, NULL);
                *ret_error = strdup("only root and the reservation's User= may open it");
                return -EPERM;
        }
        if (r->hold == HOLD_LISTEN && notify_is_service()) {
                *ret_error = strdup(
                        "systemd listens for it, and starts its service with the first client");
                return -EPERM;
        }
        k = listening_fds(m, r, ret_fds, ret_n, ret_names);
        if (k < 0)
                return k;
        if (r->hold == HOLD_LISTEN && *ret_n > 0)
                return 0;

        (void) cgroup_of_pid(pid, &cgroup);
        k = open_holds(m, r);
        if (k >= 0)
                k = follow_client(m, r, pid, cgroup);
        if (k == -EADDRINUSE)
                *ret_error = strdup(
                        "somebody else has one of its ports; 'portreservectl status' names it");
        else if (k < 0)
                *ret_error = strdup(strerror(-k));
        if (k < 0) {
                /* What did open closes again: nobody would tell us when the command has ended. */
                if (!clients_has(m->clients, r->name))
                        (void) hold_set_owner_stopped(m->holds, r);
                *ret_names = strv_free(*ret_names);
                free(*ret_fds);
                *ret_fds = NULL;
                *ret_n = 0;
        }
        return k;
}

const BusOps manager_bus_ops = {
        .reload = on_bus_reload,
        .state = on_bus_state,
        .admits = on_bus_admits,
        .open = on_bus_open,
};

static void on_client_gone(const char *reservation, uint64_t cgroup, bool last, void *userdata)
{
        Manager *m = userdata;
        Reservation *r;

        if (cgroup != 0)
                (void) identify_remove_cgroup(watch_identify(m->watch), reservation, cgroup);
        r = config_find(m->config, reservation);
        /* Its unit may run, or start just now, beside the command that has ended. */
        if (r && last && manager_owner_alive(m, r) != TRI_YES)
                (void) hold_set_owner_stopped(m->holds, r);
        state_touch(m->state);
}

const ClientsOps manager_clients_ops = { .gone = on_client_gone };
