/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Netlink answers: what the kernel sends as a row, bent. The first byte says which protocol was
 * asked for. */

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/sock-diag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const int protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP };
        char text[ADDRESS_PORT_TEXT_MAX];
        uint8_t *payload;
        Socket s;

        if (size < 1)
                return 0;
        /* A copy of exactly that size, aligned as netlink messages are: reading on is noticed. */
        payload = malloc(size);
        if (!payload)
                return 0;
        memcpy(payload, data + 1, size - 1);
        if (sock_diag_parse(payload, size - 1, protocols[data[0] % ELEMENTSOF(protocols)], &s) >=
            0) {
                assert(s.protocol == IPPROTO_TCP || s.protocol == IPPROTO_UDP);
                assert(s.family == AF_INET || s.family == AF_INET6);
                assert(s.state > 0 && s.state < _SOCKET_STATE_MAX);
                assert(strlen(address_format_port(&s.local, s.local_port, text)) < sizeof(text));
                assert(strlen(address_format_port(&s.remote, s.remote_port, text)) < sizeof(text));
                assert(socket_state_to_string(s.protocol, s.state));
        }
        free(payload);
        return 0;
}
