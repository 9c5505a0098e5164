/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the administrator declared: [Daemon], reservations, pools, and every mistake found on the
 * way. Pure: text comes from kernel/config-file.h line by line through config_set();
 * config_finish() then judges the whole.
 *
 * Shape of use: config_new(); config_section()/config_set() per line; config_finish(); read-only
 * from there on. Names of /etc/services and users are looked up through ConfigOps, so that this
 * file touches nothing outside. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "model/reservation.h"
#include "model/socket-unit.h"

#define CONFIG_PLACEHOLDERS_MAX 25000u
#define CONFIG_POOLS_MAX        1000u
#define CONFIG_DIAGNOSTICS_MAX  1000u /* of each kind; more are counted */

typedef struct Config Config;

typedef struct Diagnostic {
        const char *file; /* owned by the Config */
        unsigned line;    /* 0: the file as a whole */
        char *message;    /* "what; what to write instead", one line, printable */
} Diagnostic;

typedef struct Pool {
        char *name;
        PortSet ports;
        char **users; /* NULL-terminated, or NULL */
        unsigned max_per_user;
        uint64_t max_lease_usec; /* 0: no limit */
        const char *file;
        unsigned line;
} Pool;

typedef struct ConfigOps {
        /* A name of /etc/services to its port; protocol IPPROTO_…. -ENOENT. */
        int (*service_port)(const char *name, int protocol, uint16_t *ret);
        /* A user's name or number to its uid. -ENOENT. */
        int (*user_id)(const char *name, uid_t *ret);
} ConfigOps;

typedef struct ConfigDaemon {
        uint64_t scan_interval_usec;  /* ScanIntervalSec=, 1s */
        unsigned scan_budget_percent; /* ScanBudgetPercent=, 1 */
        bool socket_units;            /* SocketUnits=, yes */
        unsigned ephemeral_floor;     /* EphemeralFloor=, 4096 */
        uint64_t alert_interval_usec; /* AlertIntervalSec=, 10s: of a reservation and kind */
        char *alert_unit;
        Exclusive exclusive;
        bool exclusive_keep; /* ExclusiveOnExit= */
        char *portserver_socket;
        char *portreserve_directory;
        char *metrics_file;
} ConfigDaemon;

struct Config {
        ConfigDaemon daemon;
        Reservation **reservations; /* in order of first appearance */
        size_t n_reservations, n_reservations_allocated;
        size_t n_units; /* the last so many are of .socket units, and nobody declared them */
        Pool **pools;
        size_t n_pools, n_pools_allocated;
        Diagnostic *errors;
        size_t n_errors, n_errors_allocated;
        size_t n_errors_dropped; /* beyond 1,000 they are only counted */
        Diagnostic *warnings;    /* keys without effect in this build, and the like */
        size_t n_warnings, n_warnings_allocated;
        struct ConfigPrivate *private;
};

int config_new(const ConfigOps *ops, Config **ret);
Config *config_free(Config *c);
DEFINE_CLEANUP(Config, config_free);

/* A section header was met. file is copied once and shared. -ENOMEM only: mistakes go to
 * c->errors. */
int config_section(Config *c, const char *file, unsigned line, const char *section);

/* KEY=VALUE in the section last opened. Same errors. */
int config_set(Config *c, const char *file, unsigned line, const char *key, const char *value);

/* A line that goes on with the value of KEY= before it: one more item of a list, a mistake for keys
 * of one value. */
int config_continue(Config *c, const char *file, unsigned line, const char *key, const char *value);

/* A new file: no section is open. And a header that was a mistake: what follows belongs to
 * nothing. */
void config_begin_file(Config *c);
void config_skip_section(Config *c);

/* This is applied.conf: Source=FILE:LINE is a key, and FormerName=, Run= and RestartNeeded=; what
 * is not known was written by a newer version, and costs nothing but itself. */
void config_allow_source(Config *c);

/* Records a mistake, or a remark that does not count as one. */
int config_error(Config *c, const char *file, unsigned line, const char *format, ...)
        _printf_(4, 5);
int config_warn(Config *c, const char *file, unsigned line, const char *format, ...) _printf_(4, 5);

/* All lines are in: fills defaults, drops what contradicts (overlaps, pools, caps), builds the
 * index by port. -ENOMEM. */
int config_finish(Config *c);

/* Do these two names mean the same service? By aliases, which only the outside knows. */
typedef bool (*ConfigSameService)(const char *a, const char *b);

/* What of the .socket units is left out, since another section has it. */
typedef struct UnitConflicts {
        size_t n;
        char first[320]; /* "port 80/tcp of nginx.socket is reserved by [web]" */
} UnitConflicts;

/* Puts a reservation (Hold=none) for each .socket unit behind the declared ones, in the place of
 * those that are there from before. What is declared wins: an endpoint that meets a declared one is
 * left out, without a word if that is for the same service. Of two units with the same endpoint,
 * one that listens comes before one that failed, and that before one that does neither. The
 * declared reservations stay where they are; those replaced live until config_forget_replaced().
 * -ENOMEM: nothing has changed. */
int config_set_units(Config *c, const SocketUnits *l, ConfigSameService same, UnitConflicts *ret);
void config_forget_replaced(Config *c);

/* All that the kernel's list must hold for it: the ports of the reservations. (Pools have no effect
 * in this build.) */
void config_ports(const Config *c, PortSet *ret);

/* What of them may be in the kernel's list, beside the ports of others that are there: reservations
 * in their order. One that would leave fewer than EphemeralFloor= of the ephemeral ports first..last
 * is a mistake, and left out; it is held and watched all the same. -ENOMEM. */
int config_reservable(Config *c, const PortSet *foreign, uint16_t first, uint16_t last,
                      PortSet *ret);

Reservation *config_find(const Config *c, const char *name);

/* c takes the place of old: reservations that only have another name now get their former_name.
 * -ENOMEM. */
int config_note_renamed(Config *c, const Config *old);
/* By that one. */
Reservation *config_find_former(const Config *c, const char *name);

/* Visits the endpoints that have this protocol and port. *iterator starts at 0. False: no more.
 * O(1) to the first. */
bool config_lookup(const Config *c, int protocol, uint16_t port, unsigned *iterator,
                   const Reservation **ret_reservation, const Endpoint **ret_endpoint);

/* Writes it as applied.conf: canonical text that reads back to an equal Config, with
 * Source=FILE:LINE kept per reservation (a key that only applied.conf may have), without the
 * mistakes. The caller frees. */
int config_format(const Config *c, char **ret, size_t *ret_size);

/* "ListenStream=[::1]:80" and a newline; unit: for a unit file, where "%" is doubled. */
void config_format_listen(const Endpoint *e, bool unit, FILE *f);

#define CONFIG_FOREACH_RESERVATION(c, r)                                                           \
        for (size_t _i = 0; _i < (c)->n_reservations; _i++)                                        \
                for (Reservation *r = (c)->reservations[_i]; r; r = NULL)
