/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* AlertUnit=: for an alert, the template's instance NAME@ID.service is started, which finds the fields
 * of the alert in RUNTIME/alerts/ID (EnvironmentFile=). portreserved-act starts it, when it gets to it;
 * nobody waits. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/alert/event.h"

/* A unit costs PID 1 some milliseconds: no more than so many are started in ten seconds, whatever
 * AlertIntervalSec= says of each reservation. */
#define ALERT_UNITS_MAX    30u
#define ALERT_UNITS_WINDOW UINT64_C(10000000)
/* So many of the newest files are kept: one lives for five minutes at least, which is more than a
 * unit waits to be started (DefaultTimeoutStartSec=90s, of those before it). */
#define ALERT_FILES_MAX 1000u

typedef struct AlertUnit AlertUnit;

typedef struct AlertUnitOps {
        /* One could not be started: -EBUSY, too many; -ENOENT, -ECONNREFUSED, -EAGAIN:
         * portreserved-act does not take it; of its file else. Once for each change; 0: one was,
         * again. */
        void (*failed)(int error, void *userdata);
} AlertUnitOps;

int alert_unit_new(sd_event *event, const char *runtime_dir, const AlertUnitOps *ops,
                   void *userdata, AlertUnit **ret);
AlertUnit *alert_unit_free(AlertUnit *u);
DEFINE_CLEANUP(AlertUnit, alert_unit_free);

/* Writes the file now and asks for the start in the next turn of the loop: by then applied.conf, by
 * which portreserved-act judges, is that of the configuration that names the template. Other
 * arguments as for fields_fill(). */
void alert_unit_start(AlertUnit *u, const char *template, const Event *e, const char *message,
                      unsigned suppressed);
