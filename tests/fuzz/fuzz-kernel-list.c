/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernel's list as text. Whatever is taken must come back the same from its own text form. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/portset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char text[PORTSET_TEXT_MAX];
        PortSet s, back;
        unsigned count = 0;
        int n;

        memset(&s, 0x55, sizeof(s));
        back = s;
        if (portset_parse((const char *) data, size, &s) < 0) {
                /* Untouched. */
                if (!portset_equal(&s, &back))
                        abort();
                return 0;
        }

        n = portset_format(&s, text, sizeof(text));
        if (n < 0 || (size_t) n != strlen(text))
                abort();
        if (portset_parse(text, (size_t) n, &back) < 0 || !portset_equal(&s, &back))
                abort();
        /* Its own text is the shortest for the set, newline aside. */
        if ((size_t) n > size)
                abort();
        PORTSET_FOREACH_RUN(&s, first, last)
                count += last - first + 1;
        if (count != portset_count(&s))
                abort();
        return 0;
}
