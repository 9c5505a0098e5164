#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# After "meson install" on a real system: the user, its directory, what journalctl -x says, and the new units. A package does this by
# scripts of its own.
set -e
[ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ] || exit 0

if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers portreserved.conf
fi
if command -v journalctl >/dev/null; then
        journalctl --update-catalog || echo "journalctl -x will not know our messages" >&2
fi
if [ -d /run/systemd/system ]; then
        systemd-tmpfiles --create portreserved.conf
        systemctl daemon-reload
        journalctl --update-catalog || echo "journalctl -x will not know our messages" >&2
fi
