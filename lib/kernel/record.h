/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of ports in a file of the runtime directory, bound to this boot and this network namespace:
 * what it says of another kernel's list is not believed.
 *
 * Two lines: the ports in the kernel's form, then "namespace COOKIE BOOT". A file cut short lacks
 * its last newline. */

#include "model/portset.h"

/* -ENOENT: no file, or one of another namespace or boot; -EBADMSG: not what record_write() wrote;
 * other errors of open and read. */
int record_read(const char *directory, const char *name, PortSet *ret);

/* Replaces the file; makes the directory where somebody has removed it. */
int record_write(const char *directory, const char *name, const PortSet *s);

/* No file is no error. */
int record_remove(const char *directory, const char *name);
