/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* FNV-1a. Not proof against somebody who looks for two that meet. */

#include <stddef.h>
#include <stdint.h>

#define HASH_INITIAL UINT64_C(0xcbf29ce484222325)

/* Goes on from h with these bytes. */
static inline uint64_t hash_bytes(uint64_t h, const void *data, size_t size)
{
        const uint8_t *byte = data;

        for (size_t i = 0; i < size; i++)
                h = (h ^ byte[i]) * UINT64_C(0x100000001b3);
        return h;
}
