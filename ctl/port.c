/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/port.h"

#include <string.h>

#include "base/parse.h"
#include "ctl/output.h"
#include "model/endpoint.h"

Exit port_parse(const Ctl *c, const char *text, uint16_t *ret_port, int *ret_protocol)
{
        const char *slash = strchrnul(text, '/');
        size_t l = (size_t) (slash - text);
        char digits[8] = "";
        uint64_t port = 0;
        int protocol = 0;

        if (l < sizeof(digits))
                memcpy(digits, text, l);
        if (*slash)
                protocol = protocol_from_string(slash + 1);
        if (parse_uint(digits, 1, UINT16_MAX, &port) < 0 || protocol < 0)
                return fail(c, EXIT_USAGE,
                            "'%s' is no port: write a number from 1 to 65535, and /tcp or /udp "
                            "behind it if you like",
                            text);
        *ret_port = (uint16_t) port;
        *ret_protocol = protocol;
        return EXIT_OK;
}
