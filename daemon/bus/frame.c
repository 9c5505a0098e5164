/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HEADER_SIZE      16u
#define PROTOCOL_VERSION 1

static ssize_t next_line(Frame *f, const uint8_t *p, size_t n)
{
        static const char begin[] = "BEGIN\r\n";
        const uint8_t *end = memchr(p, '\n', n);
        size_t length = end ? (size_t) (end - p) + 1 : n;

        if (f->auth_length + length > FRAME_AUTH_MAX)
                return -EMSGSIZE;
        if (!end)
                return 0;
        f->auth_length += length;
        f->begun = length == strlen(begin) && memcmp(p, begin, length) == 0;
        return (ssize_t) length;
}

static uint32_t read_u32(const uint8_t *p, bool little)
{
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return little ? le32toh(v) : be32toh(v);
}

static ssize_t next_message(const uint8_t *p, size_t n)
{
        uint64_t size, fields, body;

        /* Byte order, type, flags, version, u32 size of the body, u32 serial, u32 size of the
         * fields, which are padded to 8. */
        if (n >= 1 && p[0] != 'l' && p[0] != 'B')
                return -EBADMSG;
        if (n >= 4 && p[3] != PROTOCOL_VERSION)
                return -EBADMSG;
        if (n < HEADER_SIZE)
                return 0;
        body = read_u32(p + 4, p[0] == 'l');
        fields = read_u32(p + 12, p[0] == 'l');
        size = HEADER_SIZE + ((fields + 7) & ~UINT64_C(7)) + body;
        if (size > FRAME_MESSAGE_MAX)
                return -EMSGSIZE;
        return size <= n ? (ssize_t) size : 0;
}

ssize_t frame_next(Frame *f, const uint8_t *p, size_t n)
{
        return f->begun ? next_message(p, n) : next_line(f, p, n);
}
