/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Arrays that grow by doubling. */

#include <stdbool.h>
#include <stddef.h>

/* Makes room for at least need elements of the given size at *array (NULL at first), updates
 * *allocated (elements). False: out of memory, nothing changed. */
bool grow(void *array, size_t *allocated, size_t need, size_t size);

/* GROW(array, allocated, need): the same for a typed array. */
#define GROW(array, allocated, need) grow(&(array), &(allocated), (need), sizeof((array)[0]))
