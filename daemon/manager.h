/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager owns every part of the daemon and carries what one tells to the others. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/alert/alert-unit.h"
#include "daemon/alert/alert.h"
#include "daemon/alert/log.h"
#include "daemon/bus/bus.h"
#include "daemon/bus/handover-server.h"
#include "daemon/bus/open-door.h"
#include "daemon/clients.h"
#include "daemon/evict/evictor.h"
#include "daemon/generated.h"
#include "daemon/hold/hold.h"
#include "daemon/inspect/inspect.h"
#include "daemon/owners.h"
#include "daemon/park.h"
#include "daemon/reserve/reserve.h"
#include "daemon/restarts.h"
#include "daemon/runtime-dir.h"
#include "daemon/state.h"
#include "daemon/units/units.h"
#include "daemon/watch/watch.h"
#include "model/config.h"

typedef struct ManagerOptions {
        const char *config; /* --config, or NULL: the search path */
        const char *runtime_dir;
        const char *state_dir;
        bool keep_list; /* at SIGTERM leave the kernel's list: portreserved-list.service does it */
} ManagerOptions;

typedef struct Manager {
        ManagerOptions options;
        sd_event *event;

        Config *config;
        PortSet declared;      /* of the configuration, what may be in the kernel's list
                                  (EphemeralFloor=) */
        PortSet reserved;      /* the same, and of the .socket units */
        PortSet listening_tcp; /* ports that PID 1's listener or the owner was seen on, for
                                  Hold=listen */
        PortSet listening_udp;
        LogLimit refused;    /* lines about commands that were not given a port */
        unsigned held_told;  /* `held` events told since the last apply */
        bool sees_processes; /* of everybody: nobody needs to be asked */
        bool is_fresh;       /* started, not restarted */
        unsigned adopted;    /* sockets of our last run */
        bool unreachable;    /* the runtime directory is gone */
        bool leaving;        /* stopped for good, and the holds are left open */
        bool told_unparked;  /* that not all would outlive us */
        char *units_note;    /* what of the .socket units is not reserved, or NULL */
        char *watch_error;   /* what the watch cannot see at the moment, or NULL */

        sd_event_source *gave_up; /* looks for units that have failed though their port is held */

        RuntimeDir *runtime;
        Reserve *reserve;
        HoldSet *holds;
        Park *park;
        Generated *generated; /* NULL: no systemd, and nothing is generated */
        Watch *watch;
        Inspect *inspect;
        Evictor *evictor;
        Units *units;
        Alert *alert;
        AlertUnit *alert_unit;
        Bus *bus;
        HandoverServer *handover;
        OpenDoor *door;
        Clients *clients;
        Owners *owners;
        Restarts *restarts;
        State *state;
} Manager;

int manager_new(const ManagerOptions *options, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager, manager_free);

/* Adopts the sockets of the fd store, reads the configuration, puts it into effect and opens the
 * doors. Mistakes in the configuration are reported and cost only themselves. */
int manager_start(Manager *m);

/* Until SIGTERM or SIGINT. */
int manager_run(Manager *m);

/* Reads /etc again and puts it into effect, whole or not at all. -EINVAL with *ret_error
 * (malloc'ed) where there is any mistake; what runs goes on. */
int manager_reload(Manager *m, char **ret_error);
