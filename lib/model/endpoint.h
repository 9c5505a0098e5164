/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An endpoint: protocol, address and a run of ports. */

#include <stdbool.h>
#include <stdint.h>

#include "model/address.h"

typedef struct Endpoint {
        int protocol;    /* IPPROTO_TCP or IPPROTO_UDP */
        Address address; /* AF_UNSPEC: every address, both families (Ports=, ListenStream=PORT) */
        bool v6only;     /* AF_INET6 wildcard that leaves IPv4 alone (BindIPv6Only=ipv6-only) */
        uint16_t port;   /* first */
        uint16_t last;   /* last, inclusive; equal to port for a single one */
        bool listen;     /* from a ListenStream= or ListenDatagram= line; else from Ports= */
        bool restart_needed; /* applied.conf: came or changed in the owner's run that Run= names */
        const char *file;    /* where it was declared; owned by the Config */
        unsigned line;
} Endpoint;

const char *protocol_to_string(int protocol); /* "tcp", "udp" */
int protocol_from_string(const char *s);      /* IPPROTO_…, or -EINVAL */

bool endpoint_has_port(const Endpoint *e, uint16_t port);

/* Would a socket bound at that address (v6only as it says) stand in the way of a bind on this
 * endpoint's port? By the rules of bind(2): wildcards meet everything of their family, [::] without
 * v6only meets IPv4 as well. Ports are not compared. */
bool endpoint_meets_address(const Endpoint *e, const Address *a, bool v6only);

/* The same protocol, a common port and addresses that meet: two reservations must not. */
bool endpoint_overlaps(const Endpoint *a, const Endpoint *b);

/* The same protocol, address, v6only: would the same socket serve both (ports not compared)?
 * AF_UNSPEC and [::] without v6only are one place. */
bool endpoint_same_place(const Endpoint *a, const Endpoint *b);

#define ENDPOINT_TEXT_MAX (ADDRESS_PORT_TEXT_MAX + 16)
/* "tcp 127.0.0.1:8443", "udp *:5000-5010". */
const char *endpoint_format(const Endpoint *e, char buf[static ENDPOINT_TEXT_MAX]);
