/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where one thing ends in what a D-Bus client sends: lines until BEGIN, then messages. Only sizes
 * are read; what they mean is sd-bus's to judge. D-Bus specification, "Authentication Protocol" and
 * "Message Format". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All lines together, and one message. Our longest call is a name of 48 letters. */
#define FRAME_AUTH_MAX    4096u
#define FRAME_MESSAGE_MAX 65536u

typedef struct Frame {
        bool begun;         /* BEGIN has been passed */
        size_t auth_length; /* of the lines that have */
} Frame;

/* The size of the line or message at p, of which n bytes are there; it counts as passed. 0: not
 * complete yet. -EMSGSIZE: longer than allowed, -EBADMSG: no D-Bus message. */
ssize_t frame_next(Frame *f, const uint8_t *p, size_t n);
