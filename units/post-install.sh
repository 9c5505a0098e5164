#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# After "meson install" on a real system: the user, its directory, and the new units. A package's own scripts do this otherwise.
set -e
[ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ] || exit 0

if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers portreserved.conf
fi
if [ -d /run/systemd/system ]; then
        systemd-tmpfiles --create portreserved.conf
        systemctl daemon-reload
        journalctl --update-catalog
fi
