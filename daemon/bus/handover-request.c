/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/handover-request.h"

#include <errno.h>
#include <string.h>

#include "model/reservation.h"

int handover_request_parse(const char *request, size_t size, HandoverNames *ret)
{
        const char *p = request, *end = request + size;
        HandoverNames names = {};

        if (size == 0 || size > HANDOVER_MESSAGE_MAX || end[-1] != 0)
                return -EBADMSG;
        names.release = strcmp(p, HANDOVER_RELEASE) == 0;
        names.start = names.release || strcmp(p, HANDOVER_START) == 0;
        if (!names.start && strcmp(p, HANDOVER_STOP) != 0)
                return -EBADMSG;

        for (p += strlen(p) + 1; p < end; p += strlen(p) + 1) {
                if (names.n == HANDOVER_NAMES_MAX || !reservation_name_valid(p))
                        return -EBADMSG;
                names.names[names.n++] = p;
        }
        if (names.n == 0)
                return -EBADMSG;
        *ret = names;
        return 0;
}
