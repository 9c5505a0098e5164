/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is done when no daemon is left to do it. */

#include <errno.h>

#include "daemon/reserve/reserve.h"
#include "daemon/reserve/rewrite.h"
#include "kernel/record.h"
#include "kernel/runtime.h"

int reserve_release(const char *runtime_dir)
{
        PortSet ours;
        int r;

        r = rewrite_finish(runtime_dir);
        if (r < 0)
                return r;
        r = record_read(runtime_dir, RUNTIME_OURS, &ours);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        r = rewrite_remove(runtime_dir, &ours, false);
        /* Nobody comes after us to try again. */
        if (r == -EAGAIN)
                r = rewrite_remove(runtime_dir, &ours, true);
        if (r < 0 && r != -ENOENT)
                return r;
        return record_remove(runtime_dir, RUNTIME_OURS);
}
