/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/grow.h"

#include <stdint.h>
#include <stdlib.h>

bool grow(void *array, size_t *allocated, size_t need, size_t size)
{
        void **a = array, *q;
        size_t n;

        if (need <= *allocated)
                return true;
        n = *allocated ? *allocated : 8;
        while (n < need) {
                if (n > SIZE_MAX / 2)
                        return false;
                n *= 2;
        }
        q = reallocarray(*a, n, size);
        if (!q)
                return false;
        *a = q;
        *allocated = n;
        return true;
}
