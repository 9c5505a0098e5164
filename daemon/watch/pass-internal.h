/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between pass.c and pass-listeners.c. */

#include "daemon/watch/pass.h"

/* A TCP listener on one of our ports, judged for one reservation. Connections with its local port
 * may be its children. */
struct PassListener {
        const Reservation *reservation;
        Address address;
        uint16_t port;
        bool v6only;
        bool legitimate;
        uint64_t cgroup;
};

/* Is there a listener of this reservation's port that may have accepted the connection? *ret_elsewhere:
 * none of the same cgroup. */
bool pass_has_listener(const Pass *p, const Reservation *r, const Socket *s, bool legitimate,
                       bool *ret_elsewhere);

/* -ENOMEM. More than LISTENERS_MAX are not noted. */
int pass_note_listener(Pass *p, const Reservation *r, const Socket *s, bool legitimate);

/* Before pass_has_listener() is asked. */
void pass_sort_listeners(Pass *p);
