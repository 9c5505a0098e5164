/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The reserve layer: what is ours is in the kernel's list, always, and what is not ours is never
 * touched.
 *
 * What is ours is recorded in RUNTIME/ours before it is added and after it is removed, so that a
 * crash at any instant never turns ours into foreign or the reverse. inotify tells of other writers
 * at once; a re-read each second backs it up, since another procfs mount's writers are not seen.
 * After a clobber: put back at once, whatever the event loop does meanwhile (guard.h), and tell it
 * once for a series (drift.h). */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/portset.h"

typedef struct Reserve Reserve;

typedef struct ReserveDrift {
        const PortSet *missing;
        const PortSet *found; /* the list, as somebody has left it */
        unsigned times; /* to be told: clobbers since the last that was, and this one; else 0 */
        int error;      /* 0: they are back; else the negative errno of the repair */
} ReserveDrift;

typedef struct ReserveOps {
        /* Ours were missing, and by now are back or not: after each try. */
        void (*drift)(const ReserveDrift *d, void *userdata);
        /* The list can be written again, or not any more (error; 0: it can). Once per change. */
        void (*writable)(int error, void *userdata);
} ReserveOps;

int reserve_new(sd_event *event, const char *runtime_dir, const ReserveOps *ops, void *userdata,
                Reserve **ret);
Reserve *reserve_free(Reserve *r); /* leaves the list alone */
DEFINE_CLEANUP(Reserve, reserve_free);

/* Makes ours what want says: records, adds, then removes what is ours no longer. A list that cannot
 * be written is not fatal: reported through ops->writable, retried. -errno: out of memory and the
 * like. */
int reserve_apply(Reserve *r, const PortSet *want);

/* Takes ours out of the list, exactly, and forgets the record. For stop without systemd, and for
 * the companion's ExecStop. */
int reserve_release(const char *runtime_dir);

/* Is the port in the kernel's list now, as last read? */
bool reserve_has(const Reserve *r, uint16_t port);

/* What of the kernel's list, as last read, is not ours. */
const PortSet *reserve_foreign(const Reserve *r);

unsigned reserve_drifts(const Reserve *r);
/* 0, or the negative errno of the last failure to write. */
int reserve_error(const Reserve *r);
