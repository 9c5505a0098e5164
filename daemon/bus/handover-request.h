/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The request of hand-over, taken apart (kernel/runtime.h). */

#include <stdbool.h>
#include <stddef.h>

#include "kernel/runtime.h"

typedef struct HandoverNames {
        bool start;   /* else stop */
        bool release; /* a start by portrelease */
        size_t n;
        const char *names[HANDOVER_NAMES_MAX]; /* into the request */
} HandoverNames;

/* -EBADMSG: anything but that form, with one to HANDOVER_NAMES_MAX valid names of reservations. */
int handover_request_parse(const char *request, size_t size, HandoverNames *ret);
