/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which files set a kernel parameter: those of the sysctl.d directories by the rules of sysctl.d(5),
 * then /etc/sysctl.conf, as systemd-sysctl(8) and sysctl(8) find them. Patterns (net.ipv4.*) are not
 * looked into. */

#include <stdbool.h>
#include <stddef.h>

#include "model/portset.h"

#define SYSCTL_RESERVED_PORTS "net/ipv4/ip_local_reserved_ports"

/* What sysctl(8) of procps gets into the list: one write, of which the kernel takes no more; the
 * rest is lost without a word. systemd-sysctl(8) writes on. */
#define SYSCTL_VALUE_MAX 4095u

typedef struct SysctlLine {
        const char *file; /* owned by the SysctlFiles, as it is on disk: not for a terminal */
        unsigned line;
        char *value; /* as written, without blanks around it */
} SysctlLine;

typedef struct SysctlFile {
        char *path;
        int error; /* negative errno: it could not be read */
} SysctlFile;

typedef struct SysctlFiles {
        SysctlLine *lines; /* in the order in which they are applied: the last wins */
        size_t n_lines, n_lines_allocated;
        SysctlFile *files; /* those that have such lines, or could not be read */
        size_t n_files, n_files_allocated;
} SysctlFiles;

/* Reads the files below root ("": the host's). parameter with slashes, as SYSCTL_RESERVED_PORTS. What
 * cannot be read is in ret->files. -ENOMEM, -ENAMETOOLONG. */
int sysctl_files_read(const char *root, const char *parameter, SysctlFiles *ret);
void sysctl_files_deinit(SysctlFiles *f);

/* The lines of one file's text. -ENOMEM. */
int sysctl_files_add_text(SysctlFiles *f, const char *path, const char *text, size_t size,
                          const char *parameter);

/* The ports of a line of SYSCTL_RESERVED_PORTS. False: the kernel would refuse its value. */
bool sysctl_line_ports(const SysctlLine *l, PortSet *ret);

/* A line that, applied, leaves exactly this list behind; of several the last. *ret_cut: only the
 * beginning of its value got in, as sysctl(8) leaves it. NULL: none. */
const SysctlLine *sysctl_files_find_list(const SysctlFiles *f, const PortSet *list, bool *ret_cut);

/* The last line with that port. NULL: none. */
const SysctlLine *sysctl_files_find_port(const SysctlFiles *f, uint16_t port);
