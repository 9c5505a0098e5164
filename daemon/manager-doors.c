/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is asked of us: by the control interface, by hand-over, by portreserve-exec. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "kernel/unit-sockets.h"

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

/* Whose cgroup a request comes from. */
typedef enum Asker {
        ASKER_OWNER,    /* the owner's, or it cannot be told */
        ASKER_INFORMAL, /* nobody's unit: a login session; or all is in one unit with us */
        ASKER_FOREIGN,
} Asker;

/* Without systemd everybody may be in the cgroup of the unit that runs the container, as we are. */
static bool is_our_unit(const char *unit)
{
        _cleanup_(freep) char *cgroup = NULL, *ours = NULL;

        return !notify_is_service() && cgroup_of_pid(0, &cgroup) >= 0 &&
               cgroup_path_unit(cgroup, &ours, NULL) >= 0 && strcmp(ours, unit) == 0;
}

static Asker judge_asker(const Reservation *r, const char *cgroup)
{
        _cleanup_(freep) char *unit = NULL, *owner = NULL;

        if (!cgroup || cgroup_path_unit(cgroup, &unit, NULL) < 0)
                return ASKER_OWNER;
        if (r->unit && unit_resolve_alias("", r->unit, &owner) >= 0 &&
            (strcmp(unit, owner) == 0 || unit_socket_starts("", unit, owner)))
                return ASKER_OWNER;
        if (cgroup_path_is_login(cgroup) || is_our_unit(unit))
                return ASKER_INFORMAL;
        return ASKER_FOREIGN;
}

static bool is_owner_user(const Reservation *r, uid_t uid)
{
        return uid == 0 || (r->user && r->uid == uid);
}

/* The service manager's word comes from the owner's unit; portrelease is also run by hand. A process
 * of a pid namespace that we do not see is no unit's. */
static bool may_hand_over(const Reservation *r, const HandoverRequest *q, Asker asker)
{
        if (!is_owner_user(r, q->uid) || q->pid == 0)
                return false;
        if (!r->unit || asker == ASKER_OWNER)
                return true;
        return asker == ASKER_INFORMAL && (q->release || !notify_is_service());
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

/* What was started by hand is in the cgroup that asked, and its sockets are the owner's. NULL: no
 * longer. */
static void lend_cgroup(Manager *m, const Reservation *r, const char *cgroup)
{
        Identify *identify = watch_identify(m->watch);
        uint64_t id = 0, before;

        /* In the root cgroup is everybody: that tells nothing. */
        if (cgroup && strcmp(cgroup, "/") != 0)
                (void) cgroup_map_id(identify_cgroups(identify), cgroup, &id);
        before = owners_lend(m->owners, r->name, id);
        if (before == id)
                return;
        if (before != 0)
                (void) identify_remove_cgroup(identify, r->name, before);
        if (id != 0 && identify_add_cgroup(identify, r->name, id) < 0)
                (void) owners_lend(m->owners, r->name, 0);
}

void manager_owner_left(Manager *m, const Reservation *r)
{
        for (size_t i = 0; i < r->n_endpoints; i++)
                for (unsigned port = r->endpoints[i].port; port <= r->endpoints[i].last; port++) {
                        Hold *h = hold_set_find(m->holds, &r->endpoints[i], (uint16_t) port);

                        if (h && (hold_state(h) == HOLD_STATE_SHARING ||
                                  hold_state(h) == HOLD_STATE_IN_USE))
                                return;
                }
        lend_cgroup(m, r, NULL);
}

static int on_handover(const HandoverRequest *q, void *userdata)
{
        Manager *m = userdata;
        Reservation *r;
        Asker asker;
        bool by_hand;
        int k;

        r = config_find(m->config, q->name);
        if (!r) /* renamed, and PID 1 has not loaded the new drop-in */
                r = config_find_former(m->config, q->name);
        if (!r)
                return -ENOENT;
        asker = judge_asker(r, q->cgroup);
        if (!may_hand_over(r, q, asker)) {
                deny(m, r, q->uid, q->pid, q->cgroup);
                return -EPERM;
        }
        if (!q->start)
                return hold_set_owner_stopped(m->holds, r);

        /* Whether anybody is left in a session says nothing of the server. */
        by_hand = asker == ASKER_INFORMAL;
        if (owners_started(m->owners, r->name, by_hand ? NULL : q->cgroup) < 0)
                log_warning("%s: no memory to remember its owner", r->name);
        lend_cgroup(m, r, by_hand ? q->cgroup : NULL);
        k = open_holds(m, r);
        /* What portrelease asks for need not be a unit's start; a unit's own start says so itself. */
        if (!q->release)
                owners_set_failed(m->owners, r->name, k == -EADDRINUSE);
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

static int follow_client(Manager *m, const Reservation *r, const BusCaller *caller,
                         const char *cgroup, Client **ret)
{
        Identify *identify = watch_identify(m->watch);
        uint64_t id = 0;
        int k;

        /* In the root cgroup is everybody: that tells nothing. */
        if (cgroup && strcmp(cgroup, "/") != 0)
                (void) cgroup_map_id(identify_cgroups(identify), cgroup, &id);
        k = clients_add(m->clients, r->name, caller->uid, caller->pidfd, id, ret);
        if (k >= 0 && id != 0)
                (void) identify_add_cgroup(identify, r->name, id);
        return k;
}

/* What a command opened closes again, unless its unit, or another command, is there as well. */
static void close_holds(Manager *m, const Reservation *r)
{
        if (manager_owner_alive(m, r) != TRI_YES)
                (void) hold_set_owner_stopped(m->holds, r);
        state_touch(m->state);
}

static int refuse_open(char **ret_error, int r, const char *why)
{
        *ret_error = strdup(why);
        return r;
}

static int open_listening(Manager *m, const Reservation *r, int **ret_fds, size_t *ret_n,
                          char ***ret_names, char **ret_error)
{
        int k;

        k = listening_fds(m, r, ret_fds, ret_n, ret_names);
        if (k < 0)
                return k;
        if (*ret_n == 0) {
                *ret_names = strv_free(*ret_names);
                free(*ret_fds);
                *ret_fds = NULL;
                return refuse_open(ret_error, -EADDRNOTAVAIL,
                                   "none of its addresses can be listened on; 'portreservectl "
                                   "status' says why");
        }
        return 0;
}

static int on_bus_open(const char *name, const BusCaller *caller, int **ret_fds, size_t *ret_n,
                       char ***ret_names, char **ret_error, void *userdata)
{
        _cleanup_(freep) char *cgroup = NULL;
        Manager *m = userdata;
        Client *client = NULL;
        Reservation *r;
        int k;

        (void) cgroup_of_pid(caller->pid, &cgroup);
        r = config_find(m->config, name);
        if (!r) {
                log_limited(&m->refused, LOG_WARNING,
                            "No reservation '%.64s' to open, asked by pid %d, uid %u, cgroup %s",
                            name, (int) caller->pid, (unsigned) caller->uid, cgroup ?: "unknown");
                return refuse_open(ret_error, -ENOENT,
                                   "no such reservation; 'portreservectl list' shows them");
        }
        if (!is_owner_user(r, caller->uid)) {
                deny(m, r, caller->uid, caller->pid, cgroup);
                return refuse_open(ret_error, -EPERM,
                                   "only root and the reservation's User= may open it");
        }
        if (r->hold == HOLD_LISTEN && notify_is_service())
                return refuse_open(ret_error, -EPERM,
                                   "systemd listens for it, and starts its service with the first "
                                   "client");

        /* Followed first: nothing is opened that nobody would close. */
        k = follow_client(m, r, caller, cgroup, &client);
        if (k == -EBUSY) {
                log_limited(&m->refused, LOG_WARNING,
                            "%s: not opened to pid %d, uid %u: too many commands have reservations "
                            "open",
                            r->name, (int) caller->pid, (unsigned) caller->uid);
                return refuse_open(ret_error, k, "too many commands have reservations open");
        }
        if (k < 0)
                return k;
        /* A listener that could not be had at first may be had by now. */
        k = open_holds(m, r);
        if (k >= 0 && r->hold == HOLD_LISTEN)
                k = open_listening(m, r, ret_fds, ret_n, ret_names, ret_error);
        if (k < 0)
                clients_drop(m->clients, client); /* tells on_client_gone() */
        if (k == -EADDRINUSE && !*ret_error)
                return refuse_open(ret_error, k,
                                   "somebody else has one of its ports; 'portreservectl status' "
                                   "names it");
        return k;
}

const BusOps manager_bus_ops = {
        .reload = on_bus_reload,
        .state = on_bus_state,
        .admits = on_bus_admits,
        .open = on_bus_open,
        .evict = manager_on_bus_evict,
};

static void on_client_gone(const char *reservation, uint64_t cgroup, bool last, void *userdata)
{
        Manager *m = userdata;
        Reservation *r;

        if (cgroup != 0)
                (void) identify_remove_cgroup(watch_identify(m->watch), reservation, cgroup);
        r = config_find(m->config, reservation);
        /* Its unit may run, or start just now, beside the command that has ended. */
        if (r && last)
                close_holds(m, r);
}

const ClientsOps manager_clients_ops = { .gone = on_client_gone };
