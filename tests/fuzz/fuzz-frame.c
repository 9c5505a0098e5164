/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The gate before sd-bus: whatever way the bytes come in, it must cut them alike, and within
 * bounds. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Frame f = {};

        while (size > 0) {
                Frame slow = f;
                ssize_t n, m = 0;

                n = frame_next(&f, data, size);
                for (size_t have = 1; have <= size && m == 0; have++)
                        m = frame_next(&slow, data, have);
                if (n > 0 && (n != m || (size_t) n > size || n > (ssize_t) FRAME_MESSAGE_MAX))
                        abort();
                if (f.auth_length > FRAME_AUTH_MAX)
                        abort();
                if (n <= 0)
                        break;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}
