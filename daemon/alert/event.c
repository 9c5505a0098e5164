/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/event.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "daemon/alert/describe.h"
#include "daemon/alert/message-ids.h"
#include "model/json.h"

static const struct {
        const char *name;
        const char *message_id;
        int priority;
} kinds[_EVENT_KIND_MAX] = {
        [EVENT_COLLISION] = { "collision", MESSAGE_ID_COLLISION, LOG_WARNING },
        [EVENT_RESOLVED] = { "resolved", MESSAGE_ID_RESOLVED, LOG_NOTICE },
        [EVENT_DRIFT] = { "drift", MESSAGE_ID_DRIFT, LOG_WARNING },
        [EVENT_REPAIRED] = { "repaired", MESSAGE_ID_REPAIRED, LOG_NOTICE },
        [EVENT_HELD] = { "held", MESSAGE_ID_HELD, LOG_DEBUG },
        [EVENT_PENDING] = { "pending", MESSAGE_ID_PENDING, LOG_NOTICE },
        [EVENT_CLAIMED] = { "claimed", MESSAGE_ID_CLAIMED, LOG_NOTICE },
        [EVENT_HANDED_OVER] = { "handed-over", MESSAGE_ID_HANDED_OVER, LOG_DEBUG },
        [EVENT_EVICTED] = { "evicted", MESSAGE_ID_EVICTED, LOG_WARNING },
        [EVENT_DENIED] = { "denied", MESSAGE_ID_DENIED, LOG_WARNING },
        [EVENT_LEASE] = { "lease", MESSAGE_ID_LEASE, LOG_DEBUG },
};

const char *event_kind_to_string(EventKind k)
{
        return kinds[k].name;
}

const char *event_kind_message_id(EventKind k)
{
        return kinds[k].message_id;
}

int event_kind_priority(EventKind k)
{
        return kinds[k].priority;
}

static void put_holder(FILE *f, const Holder *h)
{
        _cleanup_(freep) char *who = holder_describe(h), *socket = describe_socket(h);

        fprintf(f, "%s, %s", who ?: "unknown", socket ?: "");
}

static void put_why(FILE *f, const Event *e)
{
        fprintf(f, "portreservectl why %u/%s", e->port, protocol_to_string(e->endpoint->protocol));
}

static void put_collision(FILE *f, const Event *e)
{
        _cleanup_(freep) char *remedy = NULL;
        bool more;

        fputs("is taken by ", f);
        if (e->holder) {
                put_holder(f, e->holder);
                fprintf(f, "; %s", describe_how(e->holder));
                describe_put_more(f, e->holder);
                remedy = describe_remedy(e->holder, e->endpoint->protocol, e->port);
        } else
                fputs("somebody", f);
        /* Where no command is sure to free it, the remedy is to look. */
        more = remedy && !strstr(remedy, "portreservectl why");
        fputs(". What to do: ", f);
        if (more)
                fprintf(f, "%s (more: ", remedy);
        put_why(f, e);
        if (more)
                fputc(')', f);
}

static void put_duration(FILE *f, uint64_t usec)
{
        if (usec < 1000000)
                fprintf(f, "%u ms", (unsigned) (usec / 1000));
        else
                fprintf(f, "%llu.%01u s", (unsigned long long) (usec / 1000000),
                        (unsigned) (usec / 100000 % 10));
}

static void put_sentence(FILE *f, const Event *e)
{
        switch (e->kind) {
        case EVENT_COLLISION:
                put_collision(f, e);
                break;
        case EVENT_RESOLVED:
                fputs("is free again", f);
                if (e->holder) {
                        fputs(" of ", f);
                        put_holder(f, e->holder);
                }
                fputs(", after ", f);
                put_duration(f, e->duration_usec);
                break;
        case EVENT_DRIFT:
                fputs("net.ipv4.ip_local_reserved_ports was overwritten by another program; "
                      "missing",
                      f);
                break;
        case EVENT_REPAIRED:
                fputs("net.ipv4.ip_local_reserved_ports holds our ports again", f);
                break;
        case EVENT_HELD:
                fputs("is held", f);
                break;
        case EVENT_PENDING:
                fputs("cannot be held yet", f);
                break;
        case EVENT_CLAIMED:
                fputs("has come free and is held now", f);
                break;
        case EVENT_HANDED_OVER:
                fputs("is open to its owner", f);
                break;
        case EVENT_EVICTED:
                fputs("was cleared of ", f);
                if (e->holder) {
                        put_holder(f, e->holder);
                        describe_put_more(f, e->holder);
                }
                break;
        case EVENT_DENIED:
                fputs("was refused", f);
                break;
        case EVENT_LEASE:
                fputs("is leased", f);
                break;
        case _EVENT_KIND_MAX:
                break;
        }
        if (e->detail)
                fprintf(f, ": %s", e->detail);
        if (e->kind == EVENT_PENDING && e->endpoint) {
                fputs(". What to do: ", f);
                put_why(f, e);
        }
}

char *event_message(const Event *e)
{
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        if (e->reservation)
                fprintf(f, "%s: ", e->reservation->name);
        if (e->endpoint && e->port) {
                Endpoint one = *e->endpoint;
                char buf[ENDPOINT_TEXT_MAX];

                one.port = one.last = e->port;
                fprintf(f, "%s ", endpoint_format(&one, buf));
        }
        put_sentence(f, e);
        return memstream_end(f, &text);
}

json_t *event_to_json(const Event *e, uint64_t realtime_usec)
{
        char time[TIME_TEXT_MAX], address[ADDRESS_TEXT_MAX];
        _cleanup_(freep) char *message = event_message(e);
        const Endpoint *at = e->endpoint;
        json_t *o;

        o = json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:o, s:o, s:o}", "time",
                      time_format(realtime_usec, time), "event", event_kind_to_string(e->kind),
                      "name", e->reservation ? e->reservation->name : NULL, "protocol",
                      at ? protocol_to_string(at->protocol) : NULL, "address",
                      at ? address_format(&at->address, address) : NULL, "port",
                      e->port ? json_integer(e->port) : json_null(), "holder",
                      e->holder ? json_from_holder(e->holder) : json_null(), "message",
                      json_text(message));
        if (o && e->kind == EVENT_RESOLVED &&
            json_object_set_new(o, "duration_usec", json_integer((json_int_t) e->duration_usec)) <
                    0) {
                json_decref(o);
                return NULL;
        }
        return o;
}
