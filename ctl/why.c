/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl why: who has a port, why a server cannot have it, and what to do. From
 * configuration and kernel, so it works without the daemon and for ports that nobody declared. */

#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "ctl/culprit.h"
#include "ctl/findings.h"
#include "ctl/output.h"
#include "ctl/port.h"
#include "ctl/reason.h"
#include "ctl/state.h"

static json_t *why_object(const Findings *f, const char *reason, json_t *remedy)
{
        const char *bind = would_bind_to_string(f->would_bind);
        json_t *o;

        o = json_pack("{s:i, s:s, s:O, s:b, s:b, s:O, s:s, s:s, s:O}", "port", (int) f->port,
                      "protocol", protocol_to_string(f->protocol), "declared", f->declared,
                      "ephemeral", (int) f->ephemeral, "reserved", (int) f->reserved, "holders",
                      f->holders, "would_bind", bind, "reason", reason, "remedy", remedy);
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

static void say_why(const Ctl *c, const Findings *f, const char *reason, const json_t *remedy)
{
        json_t *v;
        size_t i;

        say(c, "%u/%s: %s", f->port, protocol_to_string(f->protocol), reason);
        say(c, "%s", "");
        if (json_is_object(f->declared))
                say_line(c, "Declared", "%s, for %s, in %s", get_text(f->declared, "name"),
                         get_text(f->declared, "unit"), get_text(f->declared, "source"));
        else
                say_line(c, "Declared", "no");
        say_line(c, "Ephemeral range", "%s (%u to %u)", f->ephemeral ? "yes" : "no", f->range_first,
                 f->range_last);
        say_line(c, "Kernel's list", "%s", f->reserved ? "yes" : "no");
        say_line(c, "Would bind", "%s", would_bind_to_string(f->would_bind));

        json_array_foreach(f->holders, i, v) {
                _cleanup_(freep) char *who = culprit_text(v);

                say_line(c, i == 0 ? "Sockets" : "", "%s: %s", get_text(v, "kind"), who ?: "-");
        }
        if (f->look.dropped > 0)
                say_line(c, "", "and %zu more", f->look.dropped);
        json_array_foreach(remedy, i, v)
                say_line(c, i == 0 ? "What to do" : "", "%s", json_string_value(v));
}

Exit verb_why(const Ctl *c, char **args)
{
        _cleanup_(findings_done) Findings f = {};
        _cleanup_(json_decrefp) json_t *remedy = NULL;
        _cleanup_(freep) char *reason = NULL;
        Exit e;

        e = port_parse(c, args[0], &f.port, &f.protocol);
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
