/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/starter.h"

#include <string.h>

#include "base/cleanup.h"
#include "kernel/act-client.h"

int starter_request(const char *unit)
{
        _cleanup_(closep) int fd = -1;

        return act_request(unit, strlen(unit) + 1, &fd);
}
