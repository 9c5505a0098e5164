/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/describe.h"

#include <string.h>

#include "model/endpoint.h"
#include "model/eviction.h"
#include "model/json.h"

char *describe_socket(const Holder *h)
{
        char local[ADDRESS_PORT_TEXT_MAX], remote[ADDRESS_PORT_TEXT_MAX], *text;
        const Socket *s = &h->socket;
        bool connected = s->remote_port != 0;

        (void) address_format_port(&s->local, s->local_port, local);
        if (connected)
                (void) address_format_port(&s->remote, s->remote_port, remote);
        if (asprintf(&text, "%s%s%s %s", local, connected ? " -> " : "", connected ? remote : "",
                     socket_state_to_string(s->protocol, s->state)) < 0)
                return NULL;
        return text;
}

const char *describe_how(const Holder *h)
{
        switch (h->kind) {
        case KIND_EPHEMERAL:
                return h->socket.remote_port != 0
                               ? "the kernel chose the port for an outgoing connection"
                               : "the kernel chose the port for it";
        case KIND_SQUATTER:
                return "it bound the port explicitly";
        case KIND_STALE:
                return "remains of a closed connection";
        default:
                return h->no_process ? "the kernel uses it itself, for a device or a file system"
                                     : "whose it is cannot be told here";
        }
}

/* To the second: when it was is all that matters. */
static void put_time(FILE *f, uint64_t realtime_usec)
{
        char text[TIME_TEXT_MAX];

        (void) time_format(realtime_usec, text);
        fprintf(f, "%.*sZ", (int) strcspn(text, "."), text);
}

void describe_put_more(FILE *f, const Holder *h)
{
        if (h->user)
                fprintf(f, "; user %s", h->user);
        if (h->command) {
                fputs("; command: ", f);
                holder_put_command(f, h->command);
        }
        if (h->started_usec) {
                fputs("; running since ", f);
                put_time(f, h->started_usec);
        }
        if (h->since_usec) {
                fputs("; seen there since ", f);
                put_time(f, h->since_usec);
        }
}

char *describe_remedy(const Holder *h, int protocol, uint16_t port)
{
        const char *name = protocol_to_string(protocol);
        char *text = NULL;

        if (eviction_frees(h))
                return asprintf(&text, "portreservectl evict %u/%s", port, name) < 0 ? NULL : text;
        if (h->kind == KIND_SQUATTER || (h->kind == KIND_EPHEMERAL && holder_has_cgroup(h)))
                text = holder_stop_command(h);
        if (!text && asprintf(&text, "portreservectl why %u/%s", port, name) < 0)
                return NULL;
        return text;
}
