/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A cgroup path taken apart: between cgroup-path.c and cgroup-container.c. */

#include <stdbool.h>
#include <stddef.h>

typedef struct Component {
        const char *name;
        size_t length;
} Component;

/* The next component at *p, with a leading "_" taken off. False: no more. */
bool cgroup_path_next(const char **p, Component *ret);

bool component_is(const Component *c, const char *name);
bool component_has_prefix(const Component *c, const char *prefix); /* and something behind it */
bool component_has_suffix(const Component *c, const char *suffix); /* and something before it */

bool component_is_slice(const Component *c);
bool component_is_unit(const Component *c);         /* of a type that has a cgroup; no slice */
bool component_is_user_manager(const Component *c); /* user@UID.service */
