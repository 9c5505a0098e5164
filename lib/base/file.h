/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whole files in and out, with caps. */

#include <stddef.h>
#include <sys/types.h>

/* Reads the whole file, at most max bytes, and terminates it with a NUL that *ret_size does not
 * count. The caller frees *ret. -EFBIG: longer than max. The first read() already offers max bytes:
 * files of /proc/sys answer only one. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_size);

/* The same from an open fd, at its offset. */
int file_read_fd(int fd, size_t max, char **ret, size_t *ret_size);

/* Replaces path by a file with that content and mode: temporary file beside it, then rename.
 * Readers see the old or the new. Not fsynced: for /run. */
int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode);

/* Joins directory and name into buf. -ENAMETOOLONG when it does not fit. */
int path_join(char *buf, size_t size, const char *directory, const char *name);
