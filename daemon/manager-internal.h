/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the manager's files share: its parts call up through these tables. */

#include "daemon/manager.h"

extern const ReserveOps manager_reserve_ops;
extern const HoldOps manager_hold_ops;
extern const WatchOps manager_watch_ops;
extern const EvictorOps manager_evictor_ops;
extern const InspectOps manager_inspect_ops;
extern const UnitsOps manager_units_ops;
extern const AlertOps manager_alert_ops;
extern const AlertUnitOps manager_alert_unit_ops;
extern const BusOps manager_bus_ops;
extern const HandoverOps manager_handover_ops;
extern const ClientsOps manager_clients_ops;
extern const RuntimeDirOps manager_runtime_ops;
extern const GeneratedOps manager_generated_ops;
extern const RestartsOps manager_restarts_ops;

/* The configuration that a start begins with: applied.conf of a daemon that crashed, else the
 * administrator's files. */
int manager_load(Manager *m);
/* Puts config (taken over) into effect. */
int manager_apply(Manager *m, Config *config);
/* Puts the .socket units behind what config declares, and into m->reserved beside m->declared. */
void manager_merge_units(Manager *m, Config *config);
/* What is in effect, for whoever starts after a crash, and for the generator. */
void manager_save_applied(Manager *m);
/* Is the daemon told when this one's owner starts? userdata: the Manager. */
bool manager_is_announced(const Reservation *r, void *userdata);
/* Can owners reach us? Where they cannot, the holds let them in. */
void manager_set_unreachable(Manager *m, bool unreachable);
/* Generated units that are not there. */
void manager_log_generated(const Manager *m);
/* Would all placeholders outlive us? Asks PID 1 where that is not known, and tells if not. */
void manager_confirm_parked(Manager *m);
/* One of its holds is exclusive again: what was remembered of an owner that was started by hand goes
 * when all are. */
void manager_owner_left(Manager *m, const Reservation *r);
/* Asks which process it is. True: manager_tell_collision() comes with the answer. */
bool manager_inspect(Manager *m, const Collision *c);
/* A collision that has begun: alerts, and clears it where that is wanted. */
void manager_tell_collision(Manager *m, const Collision *c);
/* Has the owner any process: its unit, or a command of portreserve-exec? */
Tristate manager_owner_alive(Manager *m, const Reservation *r);
/* For watch and evictor: is that socket one of ours? Do we hold that port ourselves now? */
bool manager_on_asked_ours(uint64_t cookie, uint32_t inode, void *userdata);
bool manager_on_asked_held(const Endpoint *e, uint16_t port, void *userdata);
/* Its reservation may want that one off its port (Evict=): looks, soon. The same for all there are. */
void manager_evict(Manager *m, const Collision *c);
void manager_evict_all(Manager *m);
int manager_on_bus_evict(const BusEviction *q, char **ret_json, char **ret_error, void *userdata);
/* Path of a file in the runtime directory. */
int manager_runtime_path(const Manager *m, const char *name, char buf[static 4096]);
