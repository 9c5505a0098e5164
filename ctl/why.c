/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl why: who has a port, why a server cannot have it, and what to do. From
 * configuration and kernel, so it works without the daemon and for ports that nobody declared. */

#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "ctl/culprit.h"
#include "ctl/findings.h"
#include "ctl/output.h"
#include "ctl/port.h"
#include "ctl/reason.h"
#include "ctl/state.h"
#include "model/json.h"

/* Who wants to read them all asks for JSON. */
#define SHOWN_MAX 16u

static json_t *why_object(const Findings *f, const char *reason, json_t *remedy)
{
        const Prediction *p = &f->prediction;
        uint64_t seconds = prediction_free_sec(p);
        json_t *o;

        o = json_pack("{s:i, s:s, s:O, s:b, s:b, s:O, s:s, s:s, s:O, s:b, s:o, s:o, s:o, s:O}",
                      "port", (int) f->place.port, "protocol",
                      protocol_to_string(f->place.protocol), "declared", f->declared, "ephemeral",
                      (int) f->ephemeral, "reserved", (int) f->reserved, "holders", f->holders,
                      "would_bind", would_bind_to_string(p->would_bind), "reason", reason, "remedy",
                      remedy, "would_bind_certain", (int) p->certain, "free_sec",
                      seconds > 0 ? json_integer((json_int_t) seconds) : json_null(), "reserved_by",
                      json_text(findings_reserved_by(f)), "reserved_source",
                      json_text(f->reserved_source), "not_seen", f->not_seen);
        if (o && f->look.dropped > 0)
                (void) json_object_set_new(o, "holders_dropped",
                                           json_integer((json_int_t) f->look.dropped));
        return o;
}

/* A line of the report; an empty label goes on with the one above. */
static void _printf_(3, 4) say_line(const Ctl *c, const char *label, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        say(c, "%16s%s %s", label, *label ? ":" : " ", text ?: "");
}

static void say_declared(const Ctl *c, const Findings *f)
{
        const char *name = get_text(f->declared, "name"), *unit = get_text(f->declared, "unit"),
                   *source = get_text(f->declared, "source");

        if (!json_is_object(f->declared))
                say_line(c, "Declared", "no");
        else if (f->pool)
                say_line(c, "Declared", "in pool %s, in %s", name, source);
        else if (strcmp(unit, "-") == 0)
                say_line(c, "Declared", "%s, in %s", name, source);
        else
                say_line(c, "Declared", "%s, for %s, in %s", name, unit, source);
}

static void say_reserved(const Ctl *c, const Findings *f)
{
        const char *by = findings_reserved_by(f);

        if (!by)
                say_line(c, "Kernel's list", "no");
        else if (f->reserved_source)
                say_line(c, "Kernel's list", "yes, by %s; %s names it", by, f->reserved_source);
        else
                say_line(c, "Kernel's list", "yes, by %s", by);
}

static void say_would_bind(const Ctl *c, const Prediction *p)
{
        static const char *const words[] = {
                [WOULD_BIND_YES] = "yes",
                [WOULD_BIND_WITH_REUSEADDR] = "with SO_REUSEADDR; without it, no",
                [WOULD_BIND_NO] = "no, not even with SO_REUSEADDR",
        };
        const char *probably = p->certain ? "" : "probably ";
        uint64_t seconds = prediction_free_sec(p);

        if (seconds > 0)
                say_line(c, "Would bind", "%s%s, for another %" PRIu64 " s", probably,
                         words[p->would_bind], seconds);
        else
                say_line(c, "Would bind", "%s%s", probably, words[p->would_bind]);
}

static void say_sockets(const Ctl *c, const Findings *f)
{
        size_t n = json_array_size(f->holders), shown = MIN_OF(n, SHOWN_MAX);

        for (size_t i = 0; i < shown; i++) {
                const json_t *v = json_array_get(f->holders, i);
                _cleanup_(freep) char *who = culprit_text(v), *details = culprit_details(v);

                say_line(c, i == 0 ? "Sockets" : "", "%s: %s", get_text(v, "kind"), who ?: "-");
                if (details && *details)
                        say_line(c, "", "    %s", details);
        }
        if (n + f->look.dropped > shown)
                say_line(c, "", "and %zu more", n + f->look.dropped - shown);
}

static void say_why(const Ctl *c, const Findings *f, const char *reason, const json_t *remedy)
{
        const char *protocol = protocol_to_string(f->place.protocol);
        char address[ADDRESS_PORT_TEXT_MAX];
        json_t *v;
        size_t i;

        if (f->place.address.family == AF_UNSPEC)
                say(c, "%u/%s: %s", f->place.port, protocol, reason);
        else
                say(c, "%s/%s: %s", address_format_port(&f->place.address, f->place.port, address),
                    protocol, reason);
        say(c, "%s", "");
        say_declared(c, f);
        say_line(c, "Ephemeral range", "%s (%u to %u)", f->ephemeral ? "yes" : "no", f->range_first,
                 f->range_last);
        say_reserved(c, f);
        say_would_bind(c, &f->prediction);

        say_sockets(c, f);
        json_array_foreach(f->not_seen, i, v)
                say_line(c, i == 0 ? "Not seen" : "", "%s", json_string_value(v));
        json_array_foreach(remedy, i, v)
                say_line(c, i == 0 ? "What to do" : "", "%s", json_string_value(v));
}

Exit verb_why(const Ctl *c, char **args)
{
        _cleanup_(findings_done) Findings f = {};
        _cleanup_(json_decrefp) json_t *remedy = NULL;
        _cleanup_(freep) char *reason = NULL;
        Exit e;

        e = port_parse_place(c, args[0], &f.place);
        if (e != EXIT_OK)
                return e;
        e = findings_gather(c, &f);
        if (e != EXIT_OK)
                return e;

        reason = reason_text(&f);
        remedy = reason_remedy(&f);
        if (!reason || !remedy)
                return fail(c, EXIT_FAILED, "out of memory");
        if (c->json != JSON_OFF)
                return print_json(c, why_object(&f, reason, remedy), EXIT_OK);
        say_why(c, &f, reason, remedy);
        return EXIT_OK;
}
