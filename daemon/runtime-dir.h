/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The runtime directory: made where it is missing, locked against a second daemon, watched for
 * somebody who clears it away. */

#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct RuntimeDir RuntimeDir;

typedef struct RuntimeDirOps {
        /* Something of ours in it was deleted, or all of it; it is there again now: put your files
         * back. */
        void (*restored)(void *userdata);
        /* They cannot be made again: nobody reaches us. Called at each try, until restored(). */
        void (*lost)(void *userdata);
} RuntimeDirOps;

/* -EBUSY: another daemon runs on it. */
int runtime_dir_new(sd_event *event, const char *path, const RuntimeDirOps *ops, void *userdata,
                    RuntimeDir **ret);
RuntimeDir *runtime_dir_free(RuntimeDir *d);
DEFINE_CLEANUP(RuntimeDir, runtime_dir_free);

/* Deletes a file in it without taking that for somebody else's doing. */
void runtime_dir_unlink(RuntimeDir *d, const char *name);
