/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The texts of /proc/PID: a process calls itself as it likes, and the kernel may add fields. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/printable.h"
#include "kernel/process-facts.h"
#include "model/holder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *text = strndup((const char *) data, size), *shown = NULL,
                              *again = NULL;
        uint64_t ticks = 77;
        uid_t uid = 77;

        if (!text)
                return 0;
        if (process_parse_stat(text, &ticks) < 0 && ticks != 77)
                abort();
        if (process_parse_status(text, &uid) < 0 ? uid != 77 : uid == (uid_t) -1)
                abort();

        /* A command line: what is shown is of that length, printable, and the beginning of it all. */
        shown = printable_cut(text, HOLDER_COMMAND_MAX);
        if (!shown)
                return 0;
        if (strlen(shown) > HOLDER_COMMAND_MAX)
                abort();
        again = printable(shown);
        if (again && strcmp(again, shown) != 0)
                abort();
        free(again);
        again = printable(text);
        if (again && strncmp(again, shown, strlen(shown)) != 0)
                abort();
        return 0;
}
