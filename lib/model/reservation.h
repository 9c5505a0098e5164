/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A reservation: one section of the configuration. Owned by its Config. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "model/endpoint.h"
#include "model/portset.h"

#define RESERVATION_NAME_MAX 48

typedef enum HoldMode {
        HOLD_NONE,
        HOLD_SHARED,
        HOLD_BOUND,
        HOLD_LISTEN,
} HoldMode;

typedef enum ReuseAddress {
        REUSE_YES, /* the owner sets SO_REUSEADDR: the hold shares until the owner has bound */
        REUSE_NO,  /* it does not: the hold is closed at start, taken back at stop */
        REUSE_ALWAYS,
} ReuseAddress;

typedef enum Exclusive {
        EXCLUSIVE_NO,
        EXCLUSIVE_AUDIT,
        EXCLUSIVE_YES,
} Exclusive;

typedef enum Evict {
        EVICT_NO,
        EVICT_EPHEMERAL,
        EVICT_ANY,
} Evict;

/* A key of systemd.socket(5)'s [Socket] section that goes into the generated unit as it is. */
typedef struct SocketKey {
        char *key;
        char *value;
        const char *file;
        unsigned line;
} SocketKey;

typedef struct Reservation {
        char *name;
        char *unit; /* the owner: Unit= as written, else NAME.service; NULL: only User= is given */
        bool unit_explicit; /* Unit= was written */
        char *user;         /* User=, or NULL */
        uid_t uid;          /* of user; UID_INVALID without */
        HoldMode hold;
        bool hold_explicit;
        ReuseAddress reuse;
        Exclusive exclusive;
        Evict evict;
        char *alert_unit;  /* AlertUnit=, or NULL */
        char *description; /* Description=, or NULL */
        const char *file;  /* where the section was first opened; owned by the Config */
        unsigned line;

        Endpoint *endpoints;
        size_t n_endpoints, n_endpoints_allocated;
        SocketKey *socket_keys; /* each key once */
        size_t n_socket_keys, n_socket_keys_allocated;

        bool exclusive_explicit; /* Exclusive= was written here, not in [Daemon] */
        bool damaged;            /* some of its lines were mistakes, and are left out */
        char *former_name;       /* applied.conf: it had that name until it was renamed, or NULL */
        char *run; /* applied.conf: the run of its unit that lacks what restart_needed marks */
        const char *hold_file; /* of the Hold= line */
        unsigned hold_line;

        char *socket_unit;  /* nobody declared it: of this .socket unit (SocketUnits=); else NULL */
        char *socket_path;  /* that unit's file, or NULL */
        bool socket_failed; /* for want of a resource: nearly always the port */
} Reservation;

#define UID_INVALID ((uid_t) -1)

/* What a socket is judged against where nothing declares its port: nobody owns it, so nobody squats on
 * it either. */
extern const Reservation reservation_nobody;

Reservation *reservation_free(Reservation *r);
DEFINE_CLEANUP(Reservation, reservation_free);

/* "none", "shared" …; NULL-terminated tables in reservation.c. The from_ functions return
 * -EINVAL. */
const char *hold_mode_to_string(HoldMode m);
int hold_mode_from_string(const char *s);
const char *reuse_address_to_string(ReuseAddress m);
int reuse_address_from_string(const char *s);
const char *exclusive_to_string(Exclusive m);
int exclusive_from_string(const char *s);
const char *evict_to_string(Evict m);
int evict_from_string(const char *s);

/* Letters, digits, "_ . @ -", 1 to 48 of them, not "Daemon" or "Pool"; an '@' has something on both
 * sides, as it makes the name of a template's instance. */
bool reservation_name_valid(const char *s);

/* A name whose .socket unit would stand in for one of our own ("portreserved-act.socket"). */
bool reservation_name_is_taken(const char *s);

/* How this endpoint is kept: hold of the reservation, but none for a Ports= line beside
 * Hold=listen. */
HoldMode reservation_endpoint_hold(const Reservation *r, const Endpoint *e);

/* Puts its ports, of both protocols, into the set. */
void reservation_add_ports(const Reservation *r, PortSet *s);

/* The name of the generated unit: "portreserved-NAME.socket". */
#define RESERVATION_UNIT_MAX (RESERVATION_NAME_MAX + 32)
const char *reservation_socket_unit(const Reservation *r, char buf[static RESERVATION_UNIT_MAX]);

/* The pass-through key of that name, or NULL. */
const SocketKey *reservation_socket_key(const Reservation *r, const char *key);
void reservation_remove_socket_key(Reservation *r, const char *key);
