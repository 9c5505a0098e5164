/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* EphemeralFloor=: so many ports stay for outgoing connections. */

#include "model/config.h"

int config_reservable(Config *c, const PortSet *foreign, uint16_t first, uint16_t last,
                      PortSet *ret)
{
        unsigned before = portset_ephemeral_left(foreign, first, last);
        PortSet all = *foreign, ours = {};

        CONFIG_FOREACH_RESERVATION(c, r) {
                PortSet with = all;
                unsigned left;

                reservation_add_ports(r, &with);
                left = portset_ephemeral_left(&with, first, last);
                if (left < before && left < c->daemon.ephemeral_floor) {
                        int k = config_error(
                                c, r->file, r->line,
                                "[%s] would leave %u ephemeral ports of %u-%u, fewer than "
                                "EphemeralFloor=%u: not put into the kernel's list; reserve fewer "
                                "ports, or widen net.ipv4.ip_local_port_range",
                                r->name, left, first, last, c->daemon.ephemeral_floor);

                        if (k < 0)
                                return k;
                        continue;
                }
                reservation_add_ports(r, &ours);
                all = with;
                before = left;
        }
        *ret = ours;
        return 0;
}
