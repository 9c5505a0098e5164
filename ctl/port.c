/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/port.h"

#include <string.h>

#include "ctl/output.h"
#include "kernel/names.h"
#include "model/endpoint-parse.h"

static Exit refuse(const Ctl *c, const char *text, const char *besides)
{
        return fail(c, EXIT_USAGE,
                    "'%s' is no port: write a number from 1 to 65535 or a name of /etc/services, "
                    "and /tcp or /udp behind it if you like%s",
                    text, besides);
}

static int parse_plain(const char *text, Endpoint *ret)
{
        char unused[ENDPOINT_MISTAKE_MAX];
        Endpoint e[2] = {};
        size_t n;
        int r;

        r = endpoint_parse_ports(text, &names_ops, e, &n, unused);
        if (r < 0)
                return r;
        if (e[0].port != e[0].last)
                return -1;
        *ret = e[0];
        /* Of both: which is not said. */
        if (n > 1 && e[1].port == e[0].port)
                ret->protocol = 0;
        return 0;
}

static int parse_with_address(const char *text, Endpoint *ret)
{
        char unused[ENDPOINT_MISTAKE_MAX], word[ADDRESS_PORT_TEXT_MAX + 8], *slash;
        int protocol = 0, r;

        if (strlen(text) >= sizeof(word))
                return -1;
        strcpy(word, text);
        slash = strchr(word, '/');
        if (slash) {
                *slash = 0;
                protocol = protocol_from_string(slash + 1);
                if (protocol < 0)
                        return protocol;
        }
        r = endpoint_parse_listen(word, protocol, ret, unused);
        ret->listen = false;
        return r;
}

Exit port_parse_place(const Ctl *c, const char *text, Endpoint *ret)
{
        int r = strchr(text, ':') ? parse_with_address(text, ret) : parse_plain(text, ret);

        return r < 0 ? refuse(c, text, "; or ADDRESS:PORT, as 127.0.0.1:80 or [::1]:80/udp")
                     : EXIT_OK;
}

Exit port_parse(const Ctl *c, const char *text, uint16_t *ret_port, int *ret_protocol)
{
        Endpoint e;

        if (parse_plain(text, &e) < 0)
                return refuse(c, text, "");
        *ret_port = e.port;
        *ret_protocol = e.protocol;
        return EXIT_OK;
}
