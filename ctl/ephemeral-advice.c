/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/ephemeral-advice.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "base/printable.h"
#include "ctl/culprit.h"
#include "model/json.h"

/* Where a wider range may begin: above nearly all that servers are given, and if that is not enough,
 * above what only root may bind. */
static const uint16_t beginnings[] = { 10240, 1024 };

/* Takes command over; NULL: there is none. */
static int _printf_(3, 4) add(json_t *advice, char *command, const char *format, ...)
{
        _cleanup_(freep) _unused_ char *free_command = command, *message = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&message, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        return json_array_append_new(advice, json_pack("{s:o, s:o}", "message", json_text(message),
                                                       "command", json_text(command))) < 0
                       ? -ENOMEM
                       : 0;
}

static int advise_wider(const EphemeralLook *l, json_t *advice)
{
        const char *file = l->source ?: "a file of /etc/sysctl.d";
        unsigned first = l->first, ports, watched = 0, servers = 0;
        char *command;

        for (size_t i = 0; i < ELEMENTSOF(beginnings) && first == l->first; i++)
                first = MIN_OF(first, MAX_OF(beginnings[i], (unsigned) l->lowest));
        ports = (unsigned) (l->first - first) + (unsigned) (UINT16_MAX - l->last);
        if (ports == 0)
                return 0;
        for (unsigned port = first; port < PORTSET_PORTS; port++) {
                bool listed = portset_has(&l->reserved, (uint16_t) port);

                if (port >= l->first && port <= l->last)
                        continue;
                ports -= listed;
                if (!listed && portset_has(&l->declared, (uint16_t) port))
                        watched++;
                else if (!listed)
                        servers += portset_has(&l->listening, (uint16_t) port);
        }
        if (asprintf(&command, "sysctl -w net.ipv4.ip_local_port_range='%u 65535'", first) < 0)
                return -ENOMEM;
        if (watched + servers == 0)
                return add(advice, command, "a wider range brings %u port%s more; keep it in %s",
                           ports, PLURAL(ports), file);
        return add(advice, command,
                   "a wider range brings %u port%s more; keep it in %s. It would "
                   "cover %u declared port%s that the kernel's list does not have, and %u "
                   "that somebody listens on and nobody declared: declare those first",
                   ports, PLURAL(ports), file, watched, PLURAL(watched), servers);
}

static int advise_reserved(const EphemeralLook *l, json_t *advice)
{
        unsigned all = (unsigned) (l->last - l->first) + 1,
                 usable = portset_count(ephemeral_pool_usable(l->pool));

        if (usable * 2 > all)
                return 0;
        return add(advice, NULL,
                   "%u of the %u port%s of the range are reserved: reserve ports outside of it, or "
                   "move the range",
                   all - usable, all, PLURAL(all));
}

/* A program that has a tenth of all ports for itself. */
static int advise_program(const EphemeralLook *l, const EphemeralProgram *program,
                          const json_t *holder, json_t *advice)
{
        unsigned tenth = portset_count(ephemeral_pool_usable(l->pool)) / 10 + 1;
        _cleanup_(freep) char *who = culprit_name(holder);

        if (!who)
                return -ENOMEM;
        if (program->exclusive >= tenth &&
            add(advice, NULL,
                "%s has bound %u ports, which takes each of them from every destination: let it "
                "set "
                "the socket option IP_BIND_ADDRESS_NO_PORT before bind(), or not bind what it "
                "connects at all",
                who, program->exclusive) < 0)
                return -ENOMEM;
        if (program->udp >= tenth &&
            add(advice, NULL,
                "%s has %u UDP ports: one UDP socket can talk to any number of places", who,
                program->udp) < 0)
                return -ENOMEM;
        return 0;
}

/* Who connects to one place, up to the limit of that place. */
static int advise_peer(const EphemeralLook *l, const EphemeralPeer *peer, const json_t *holder,
                       json_t *advice)
{
        unsigned usable = portset_count(ephemeral_pool_usable(l->pool));
        _cleanup_(freep) char *who = culprit_name(holder);
        char remote[ADDRESS_PORT_TEXT_MAX], *command;

        if (!who)
                return -ENOMEM;
        if (peer->sample.protocol != IPPROTO_TCP || peer->binds_first == TRI_YES ||
            ephemeral_pool_percent(l->pool, peer->left) < EPHEMERAL_WARN ||
            peer->sockets * 10 < usable)
                return 0;
        (void) address_format_port(&peer->sample.remote, peer->sample.remote_port, remote);
        if (peer->timewait - peer->reusable >= peer->sockets / 4 && l->reuse != 1) {
                command = strdup("sysctl -w net.ipv4.tcp_tw_reuse=1");
                if (!command)
                        return -ENOMEM;
                if (add(advice, command,
                        "%u of the ports towards %s are in TIME_WAIT: let connect() take those "
                        "after %llu ms, where both sides have TCP timestamps; or let %s keep its "
                        "connections",
                        peer->timewait, remote, (unsigned long long) (l->delay_usec / 1000),
                        who) < 0)
                        return -ENOMEM;
        }
        return add(advice, NULL,
                   "%s has %u of %u port%s towards %s: each other address here, or there, and each "
                   "other port there brings %u more; or fewer connections, that last",
                   who, peer->sockets, usable, PLURAL(usable), remote, usable);
}

json_t *ephemeral_advice(const EphemeralLook *l, const json_t *peers, const json_t *programs)
{
        EphemeralUse tcp = ephemeral_pool_use(l->pool, IPPROTO_TCP),
                     udp = ephemeral_pool_use(l->pool, IPPROTO_UDP);
        unsigned worst = ephemeral_pool_percent(l->pool, MIN_OF(tcp.left_connect, udp.left_bind));
        _cleanup_(json_decrefp) json_t *advice = json_array();
        const EphemeralProgram *program;
        const EphemeralPeer *peer;
        const json_t *holder;
        size_t i;

        if (!advice)
                return NULL;
        (void) ephemeral_pool_peers(l->pool, &peer);
        json_array_foreach(peers, i, holder) {
                worst = MAX_OF(worst, ephemeral_pool_percent(l->pool, peer[i].left));
                if (advise_peer(l, &peer[i], holder, advice) < 0)
                        return NULL;
        }
        if (worst < EPHEMERAL_WARN)
                return TAKE_PTR(advice);
        (void) ephemeral_pool_programs(l->pool, &program);
        json_array_foreach(programs, i, holder)
                if (advise_program(l, &program[i], holder, advice) < 0)
                        return NULL;
        if (advise_reserved(l, advice) < 0 || advise_wider(l, advice) < 0)
                return NULL;
        if (json_array_size(advice) == 0 &&
            add(advice, NULL,
                "the range is as wide as it can be: fewer sockets at a time, or more addresses") <
                    0)
                return NULL;
        return TAKE_PTR(advice);
}
