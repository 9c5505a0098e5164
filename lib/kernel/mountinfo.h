/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is mounted where: proc_pid_mountinfo(5). */

typedef struct Mount {
        const char *root;    /* the directory of the file system that is mounted */
        const char *where;   /* the mount point */
        const char *type;    /* "proc" */
        const char *options; /* of the file system: "rw,hidepid=invisible" */
} Mount;

/* Calls f for each mount of a mountinfo file, until that returns other than 0, and returns this; else
 * 0, or the negative errno of reading. */
int mountinfo_read(const char *file, int (*f)(const Mount *m, void *userdata), void *userdata);
