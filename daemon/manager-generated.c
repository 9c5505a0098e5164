/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who tells us that owners start, and what becomes of the holds where nobody does. */

#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"

bool manager_is_announced(const Reservation *r, void *userdata)
{
        const Manager *m = userdata;

        return !m->generated ||
               (!m->leaving && !m->unreachable && generated_announces(m->generated, r));
}

void manager_log_generated(const Manager *m)
{
        if (m->generated && generated_missing(m->generated))
                log_warning("No generated units for %s, so nobody tells when their services start. "
                            "Those that are bound are left open to servers with SO_REUSEADDR; "
                            "those that listen are not started by clients. Run 'portreservectl "
                            "reload'; if that does not help, see what portreserved-generator says "
                            "in the journal.",
                            generated_missing(m->generated));
}

/* Without the runtime directory (its unit was masked while we run, and its companion stopped for
 * that) the helper does not reach us either. */
void manager_set_unreachable(Manager *m, bool unreachable)
{
        if (!m->generated || !m->config || m->unreachable == unreachable)
                return;
        m->unreachable = unreachable;
        if (hold_set_apply(m->holds, m->config) < 0)
                log_error("Cannot hold all ports: out of memory");
}

static void on_generated_changed(bool reloaded, void *userdata)
{
        Manager *m = userdata;
        int r;

        if (!m->config)
                return;
        if (reloaded)
                park_renew(m->park);
        manager_confirm_parked(m);
        if (!generated_look(m->generated, m->config))
                return;
        manager_log_generated(m);
        if (!generated_missing(m->generated))
                log_notice("All generated units are there; bound ports are closed to others");
        r = hold_set_apply(m->holds, m->config);
        if (r < 0)
                log_error("Cannot hold all ports: %s", strerror(-r));
        (void) state_write(m->state);
}

const GeneratedOps manager_generated_ops = { .changed = on_generated_changed };
