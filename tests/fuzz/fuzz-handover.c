/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A request of hand-over. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/bus/handover-request.h"
#include "model/reservation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* A copy of exactly that size, so that a sanitizer sees a byte too many. */
        _cleanup_(freep) char *request = malloc(size + !size);
        HandoverNames names;

        if (!request)
                return 0;
        memcpy(request, data, size);
        if (handover_request_parse(request, size, &names) < 0)
                return 0;
        if (names.n == 0 || names.n > HANDOVER_NAMES_MAX)
                abort();
        for (size_t i = 0; i < names.n; i++)
                if (names.names[i] < request ||
                    names.names[i] + strlen(names.names[i]) >= request + size ||
                    !reservation_name_valid(names.names[i]))
                        abort();
        return 0;
}
