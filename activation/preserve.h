/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* FileDescriptorStorePreserve=yes for portreserved.service, in a drop-in of its own: systemd knows
 * the key since 254, and an earlier one would warn of it at every boot. */

/* Writes it below the generator's directory, where this systemd knows it. -errno. */
int preserve_write(const char *target);
