/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cgroup v2 ids to paths, and paths to unit names (systemd's rules: slices, escapes, user units,
 * machines). */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

typedef struct CgroupMap CgroupMap;

/* Finds the cgroup2 mount (/sys/fs/cgroup, or .../unified in hybrid mode) through
 * /proc/self/mountinfo. Without one every look-up answers -ENODATA. root overrides (tests), else
 * NULL. */
int cgroup_map_new(const char *root, CgroupMap **ret);
CgroupMap *cgroup_map_free(CgroupMap *m);
DEFINE_CLEANUP(CgroupMap, cgroup_map_free);

/* Is there a cgroup v2 hierarchy here? */
bool cgroup_map_available(const CgroupMap *m);
const char *cgroup_map_root(const CgroupMap *m);

/* The path below the root ("/system.slice/nginx.service", "/" for the root) of an id; owned by the
 * map, valid until the next call. With CAP_DAC_READ_SEARCH the kernel answers; else a cached path
 * is checked by stat first, and an id not known causes a walk: at most a twentieth of the time, and
 * never for ids that a walk did not find (deleted cgroups). -ENOENT: gone. -EAGAIN: not looked for,
 * so soon after other walks. */
int cgroup_map_path(CgroupMap *m, uint64_t id, const char **ret);

/* The path that the id had when it was last seen, for those that cgroup_map_path() does not find any
 * more: of what was asked for or walked over before. Not proof of anything: the directory has gone,
 * and another may bear its name. NULL: never seen. Valid until the next call. */
const char *cgroup_map_former_path(const CgroupMap *m, uint64_t id);

/* How many walks there were. */
unsigned cgroup_map_walks(const CgroupMap *m);

/* The id of a path below the root. -ENOENT. */
int cgroup_map_id(CgroupMap *m, const char *path, uint64_t *ret);

/* The unit of a path: the innermost service, scope, socket … of the system manager
 * ("user@1000.service" for user units; *ret_user_unit then gets theirs, else NULL). Both malloc'ed;
 * ret_user_unit may be NULL. -ENXIO: no unit there. */
int cgroup_path_unit(const char *path, char **ret_unit, char **ret_user_unit);

/* The container that the path is of, by the names that docker, podman, CRI-O, containerd, machined and
 * LXC give their cgroups: an id of 64 hexadecimal digits, or a name, unescaped and printable. Of
 * nested ones the outermost. malloc'ed. -ENXIO: of none. */
int cgroup_path_container(const char *path, char **ret);

/* Is it the cgroup of a login session, or of a user's own service manager: of programs that people
 * start by hand? */
bool cgroup_path_is_login(const char *path);

/* Is path the unit's cgroup or below? Compares whole path components, unescaped. */
bool cgroup_path_in_unit(const char *path, const char *unit);

/* The cgroup v2 path of a process from /proc/PID/cgroup. malloc'ed. -ENOENT, -EACCES, -ENODATA (no
 * v2). pid 0: ourselves. */
int cgroup_of_pid(pid_t pid, char **ret);

/* The "0::" line of the text of a /proc/PID/cgroup. malloc'ed. -ENODATA, -EBADMSG. The parser
 * alone. */
int cgroup_parse_proc(const char *text, char **ret);
