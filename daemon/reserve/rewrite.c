/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/reserve/rewrite.h"

#include "kernel/kernel-list.h"
#include "kernel/record.h"
#include "kernel/runtime.h"

static int rewrite_prepare(const PortSet *keep, void *userdata)
{
        return record_write(*(const char **) userdata, RUNTIME_REWRITE, keep);
}

int rewrite_finish(const char *directory)
{
        PortSet keep;
        int r;

        r = record_read(directory, RUNTIME_REWRITE, &keep);
        /* None, as nearly always; or it cannot be read: then there is nothing to put back. */
        if (r < 0)
                return 0;
        r = kernel_list_add(&keep);
        if (r < 0)
                return r;
        return record_remove(directory, RUNTIME_REWRITE);
}

int rewrite_remove(const char *directory, const PortSet *ports, bool force)
{
        const KernelListRemove how = {
                .prepare = rewrite_prepare,
                .userdata = &directory,
                .force = force,
        };
        int r;

        r = kernel_list_remove(ports, &how);
        if (r < 0)
                return r;
        return record_remove(directory, RUNTIME_REWRITE);
}
