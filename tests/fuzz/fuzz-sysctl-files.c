/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A file of sysctl.d. Whatever is found is one line's, and what it sets is found again by its list. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/sysctl-files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles f = { 0 };
        /* Of exactly that size, so that a sanitizer sees a byte too many. */
        _cleanup_(freep) char *copy = malloc(size ?: 1);
        PortSet ports;
        bool cut;

        if (!copy)
                return 0;
        memcpy(copy, data, size);
        if (sysctl_files_add_text(&f, "file", copy, size, SYSCTL_RESERVED_PORTS) < 0)
                abort();
        for (size_t i = 0; i < f.n_lines; i++) {
                if (f.lines[i].line == 0 || strchr(f.lines[i].value, '\n'))
                        abort();
                if (sysctl_line_ports(&f.lines[i], &ports) &&
                    !sysctl_files_find_list(&f, &ports, &cut))
                        abort();
        }
        return 0;
}
