/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/drift-text.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "kernel/kernel-list.h"
#include "kernel/sysctl-files.h"

/* Who writes more than once may have been seen in between. */
static bool came_after(const SysctlLine *l)
{
        PortSet ports, now;

        return sysctl_line_ports(l, &ports) && kernel_list_read(&now) >= 0 &&
               portset_contains(&now, &ports);
}

/* Nobody tells who wrote. But what is in the list now may be what a file sets, no more and no less:
 * then somebody has applied it (systemd-sysctl, sysctl -p), or typed the same. */
static void put_source(FILE *f, const PortSet *found)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles files = { 0 };
        const SysctlLine *l;
        bool cut;

        if (sysctl_files_read("", SYSCTL_RESERVED_PORTS, &files) < 0)
                return;
        l = sysctl_files_find_list(&files, found, &cut);
        if (l && cut && !came_after(l))
                fprintf(f, ", the beginning of what %s:%u sets (sysctl(8) leaves the rest out)",
                        l->file, l->line);
        else if (l)
                fprintf(f, ", as %s:%u sets", l->file, l->line);
}

char *drift_text(const ReserveDrift *d)
{
        char missing[PORTSET_SUMMARY_MAX], found[PORTSET_SUMMARY_MAX];
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        fprintf(f, "%s; instead it had %s", portset_summary(d->missing, missing),
                portset_summary(d->found, found));
        put_source(f, d->found);
        if (d->times > 1)
                fprintf(f, "; the %uth time since this was said last", d->times);
        if (d->error < 0)
                fprintf(f, "; they cannot be put back: %s", strerror(-d->error));
        if (fclose(f) != 0)
                return NULL;
        return printable(text);
}
