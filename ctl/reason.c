/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/culprit.h"
#include "ctl/output.h"
#include "ctl/state.h"
#include "model/json.h"

/* More than that are repetitions for further connections. */
#define REMEDIES_MAX 6u

static bool unguarded(const Findings *f)
{
        return f->ephemeral && !f->reserved;
}

/* Of a port that nobody has now. */
static void put_free(FILE *f, const Findings *d)
{
        fputs(d->look.sees_bound ? "nobody has it, a server can bind it"
                                 : "nobody is seen on it; this kernel does not list sockets that "
                                   "are bound only",
              f);
        if (!unguarded(d))
                return;
        fprintf(f,
                "; but any outgoing connection may be given it: it is ephemeral (%u to %u) and "
                "not ",
                d->range_first, d->range_last);
        fputs(json_is_object(d->declared)
                      ? (d->running ? "in the kernel's list, though declared"
                                    : "in the kernel's list, since portreserved is not running")
                      : "reserved",
              f);
}

static const char *owner_name(const Findings *d)
{
        const char *unit = get_text(d->declared, "unit");

        return strcmp(unit, "-") == 0 ? "its owner" : unit;
}

/* Whose socket it is does not follow from its kind alone: "X listens on it". */
static void put_bound(FILE *f, const Findings *d)
{
        _cleanup_(freep) char *who = culprit_name(d->worst);

        fprintf(f, "%s %s", who ?: "somebody",
                strcmp(get_text(d->worst, "state"), "LISTEN") == 0 ? "listens on it"
                                                                   : "has it bound");
}

/* What it means for a server that wants the port. */
static void put_consequence(FILE *f, const Findings *d)
{
        const Prediction *p = &d->prediction;
        uint64_t seconds = prediction_free_sec(p);

        fputs(p->certain ? "; " : "; probably ", f);
        if (p->would_bind == WOULD_BIND_WITH_REUSEADDR) {
                fputs("only a server with SO_REUSEADDR can bind beside that", f);
                if (json_is_object(d->declared) && d->reuse == REUSE_NO)
                        fprintf(f, ", which %s does not set (ReuseAddress=no)", owner_name(d));
                if (seconds > 0)
                        fprintf(f, "; without it, in %" PRIu64 " s", seconds);
        } else {
                fputs("no bind() succeeds beside that, not even with SO_REUSEADDR", f);
                if (seconds > 0)
                        fprintf(f, ", for another %" PRIu64 " s", seconds);
        }
}

static void put_worst(FILE *f, const Findings *d, const char *who)
{
        bool listens = strcmp(get_text(d->worst, "state"), "LISTEN") == 0;

        switch (kind_from_string(get_text(d->worst, "kind"))) {
        case KIND_HOLD:
                fprintf(f, "portreserved %s it for %s", listens ? "listens on" : "holds",
                        owner_name(d));
                if (!listens)
                        fputs(" and lets that in as it starts; everybody else is refused", f);
                return;
        case KIND_LISTENER:
                fprintf(f, "systemd listens on it for %s and starts that with the first client",
                        owner_name(d));
                return;
        case KIND_OWNER:
                fprintf(f, "%s has it, as it should", owner_name(d));
                return;
        case KIND_ACCEPTED:
                fprintf(f, "connections of a server are there: %s", who);
                break;
        case KIND_STALE:
                fprintf(f, "remains of a closed connection are there: %s", who);
                break;
        case KIND_EPHEMERAL:
                fprintf(f, "the kernel gave it to an outgoing connection of %s", who);
                break;
        case KIND_SQUATTER:
                put_bound(f, d);
                fprintf(f, ", and is not %s", owner_name(d));
                break;
        default:
                put_bound(f, d);
                if (json_is_object(d->declared))
                        fputs("; whether that is its owner cannot be told here", f);
        }
        /* That nobody can bind beside a listener need not be said. */
        if (!listens)
                put_consequence(f, d);
}

/* Does the daemon wait for it to come free? */
static bool is_awaited(const Findings *d)
{
        int kind = d->worst ? kind_from_string(get_text(d->worst, "kind")) : -EINVAL;

        return d->running && d->hold != HOLD_NONE && d->prediction.would_bind == WOULD_BIND_NO &&
               kind >= 0 && kind_is_collision((Kind) kind);
}

char *reason_text(const Findings *d)
{
        _cleanup_(freep) char *who = NULL;
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        if (d->worst) {
                who = culprit_text(d->worst);
                if (!who)
                        return NULL;
        }
        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        if (!d->worst)
                put_free(f, d);
        else if (d->prediction.would_bind == WOULD_BIND_YES &&
                 kind_from_string(get_text(d->worst, "kind")) != KIND_HOLD)
                fprintf(f, "a server can bind it; %s is there and not in the way", who);
        else
                put_worst(f, d, who);
        if (is_awaited(d))
                fputs("; portreserved claims it as soon as it is free", f);
        return memstream_end(f, &text);
}

/* What keeps it from being taken the next time. */
static int remedy_lasting(const Findings *d, json_t *array)
{
        static const char start[] = "systemctl enable --now portreserved";

        if (json_is_object(d->declared))
                return d->running ? 0 : json_append_text(array, "%s", start);
        if (!unguarded(d))
                return 0;
        return json_append_text(array,
                                "printf '\\n[NAME]\\nPorts=%u/%s\\n' >>/etc/portreserved.conf && "
                                "%s  # for NAME.service",
                                d->place.port, protocol_to_string(d->place.protocol),
                                d->running ? "portreservectl reload" : start);
}

/* Are others taken off the port by the daemon? */
static bool by_daemon(const Findings *d)
{
        return d->running && json_is_object(d->declared) && !d->pool;
}

/* Of what a server with SO_REUSEADDR can live with, only remains are worth a command: some servers
 * do not set it. */
static bool is_to_go(const Findings *d, size_t i)
{
        const Occupant *o = &d->occupants.items[i];

        return o->in_way && (d->prediction.would_bind == WOULD_BIND_NO ||
                             (d->prediction.would_bind == WOULD_BIND_WITH_REUSEADDR &&
                              o->holder.kind == KIND_STALE));
}

static bool is_remains(const Findings *d, size_t i)
{
        return is_to_go(d, i) && d->occupants.items[i].holder.socket.state == SOCKET_TIME_WAIT;
}

/* A busy server leaves more than anybody wants to type: all in one command. */
static int remedy_remains(const Findings *d, json_t *array)
{
        size_t n = 0;

        for (size_t i = 0; i < d->occupants.n; i++)
                n += is_remains(d, i);
        if (n <= REMEDIES_MAX || by_daemon(d))
                return 0;
        return json_append_text(array, "ss --kill --numeric --tcp state time-wait 'sport = :%u'",
                                d->place.port) < 0
                       ? -ENOMEM
                       : 1;
}

json_t *reason_remedy(const Findings *d)
{
        _cleanup_(json_decrefp) json_t *array = json_array();
        const char *protocol = protocol_to_string(d->place.protocol);
        json_t *holder;
        size_t i;
        int at_once;

        if (!array)
                return NULL;
        at_once = remedy_remains(d, array);
        if (at_once < 0)
                return NULL;
        json_array_foreach(d->holders, i, holder)
                if (is_to_go(d, i) && !(at_once && is_remains(d, i)) &&
                    culprit_remedy(holder, protocol, d->place.port, by_daemon(d), array) < 0)
                        return NULL;
        json_drop_repeated(array); /* a process has many sockets */
        while (json_array_size(array) > REMEDIES_MAX)
                (void) json_array_remove(array, REMEDIES_MAX);
        if (remedy_lasting(d, array) < 0)
                return NULL;
        return TAKE_PTR(array);
}
