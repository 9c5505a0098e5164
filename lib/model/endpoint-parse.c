/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/endpoint-parse.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define DIGITS "0123456789"
/* As much of a word as a message repeats. */
#define WORD "%.64s"

static _printf_(2, 3) int refuse(char mistake[static ENDPOINT_MISTAKE_MAX], const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(mistake, ENDPOINT_MISTAKE_MAX, format, ap);
        va_end(ap);
        return -EINVAL;
}

/* A port number; what says what the number stands in. */
static int parse_port(const char *s, uint16_t *ret, char *mistake)
{
        uint64_t v;
        int r;

        r = parse_uint(s, 1, 65535, &v);
        if (r == 0) {
                *ret = (uint16_t) v;
                return 0;
        }
        if (r == -ERANGE && strcmp(s, "0") == 0)
                return refuse(mistake, "port 0 stands for \"any\" and cannot be reserved; write a "
                                       "port from 1 to 65535");
        if (r == -ERANGE)
                return refuse(mistake,
                              "port \"" WORD "\" is too large; write a port from 1 to 65535", s);
        if (s[0] == '0' && strspn(s, DIGITS) == strlen(s))
                return refuse(mistake, "port \"" WORD "\" begins with a zero; write it without", s);
        return refuse(mistake, "\"" WORD "\" is no port; write a number from 1 to 65535", s);
}

/* "N" or "N-M" */
static int parse_run(char *s, uint16_t *ret_first, uint16_t *ret_last, char *mistake)
{
        uint16_t first = 0, last;
        char *dash;
        int r;

        if (s[0] == '-')
                return refuse(mistake,
                              "\"" WORD
                              "\" is negative; write a port from 1 to 65535, or a run as 8000-8010",
                              s);
        dash = strchr(s, '-');
        if (dash)
                *dash++ = 0;
        r = parse_port(s, &first, mistake);
        if (r < 0)
                return r;
        last = first;
        if (dash) {
                if (!*dash)
                        return refuse(mistake, "run \"" WORD "-\" has no end; write it as %u-LAST",
                                      s, first);
                r = parse_port(dash, &last, mistake);
                if (r < 0)
                        return r;
        }
        if (last < first)
                return refuse(mistake, "run %u-%u is backwards; write %u-%u", first, last, last,
                              first);
        *ret_first = first;
        *ret_last = last;
        return 0;
}

static const int protocols[] = { IPPROTO_TCP, IPPROTO_UDP };

/* only: 0, or the protocol asked for. */
static int parse_service(const char *name, int only, const ConfigOps *ops, Endpoint *ret,
                         size_t *ret_n, char *mistake)
{
        const char *has = NULL;
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(protocols); i++) {
                uint16_t port;

                if (!ops || !ops->service_port ||
                    ops->service_port(name, protocols[i], &port) < 0 || port == 0)
                        continue;
                has = protocol_to_string(protocols[i]);
                if (!only || only == protocols[i])
                        ret[n++] =
                                (Endpoint){ .protocol = protocols[i], .port = port, .last = port };
        }
        if (n == 0 && has)
                return refuse(mistake,
                              "service \"" WORD "\" is not a service of %s; write " WORD
                              "/%s, or the port's number",
                              name, protocol_to_string(only), name, has);
        if (n == 0)
                return refuse(mistake,
                              "\"" WORD "\" is no port, and no service in /etc/services; write N, "
                              "N-M or a known name, with /tcp, /udp or neither",
                              name);
        *ret_n = n;
        return 0;
}

int endpoint_parse_ports(const char *item, const ConfigOps *ops, Endpoint ret[static 2],
                         size_t *ret_n, char mistake[static ENDPOINT_MISTAKE_MAX])
{
        uint16_t first = 0, last = 0;
        char word[128], *slash;
        int only = 0, r;
        size_t n = 0;

        if (strlen(item) >= sizeof(word))
                return refuse(mistake,
                              "\"" WORD "...\" is no port; write N, N-M or a name of /etc/services",
                              item);
        strcpy(word, item);

        if (strchr(word, ','))
                return refuse(mistake, "\"" WORD "\" has a comma; separate ports by blanks", item);
        slash = strchr(word, '/');
        if (slash) {
                *slash++ = 0;
                only = protocol_from_string(slash);
                if (only < 0)
                        return refuse(mistake,
                                      "\"" WORD
                                      "\" is no protocol; write /tcp or /udp, or neither for both",
                                      slash);
        }
        if (!word[0])
                return refuse(mistake, "no port before \"/" WORD "\"; write it as 80/" WORD, slash,
                              slash);
        if (strchr(word, ':') || strchr(word, '['))
                return refuse(mistake,
                              "\"" WORD "\" is an address; write it in a line of its own, as "
                              "ListenStream= or ListenDatagram=",
                              word);

        /* Names may begin with a digit and contain "-" ("3com-tsmux"): a number is what has nothing
         * else. */
        if (strspn(word, DIGITS "+-") != strlen(word))
                return parse_service(word, only, ops, ret, ret_n, mistake);

        r = parse_run(word, &first, &last, mistake);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(protocols); i++)
                if (!only || only == protocols[i])
                        ret[n++] =
                                (Endpoint){ .protocol = protocols[i], .port = first, .last = last };
        *ret_n = n;
        return 0;
}

/* What is not an address with a port at all. */
static int check_kind(const char *value, char *mistake)
{
        if (value[0] == '/')
                return refuse(mistake,
                              "\"" WORD "\" is a path, and there is no port in it to reserve; put "
                              "it into a .socket unit of your own",
                              value);
        if (value[0] == '@')
                return refuse(mistake,
                              "\"" WORD "\" is an abstract socket, and there is no port in it to "
                              "reserve; put it into a .socket unit of your own",
                              value);
        if (strncmp(value, "vsock", 5) == 0)
                return refuse(mistake,
                              "\"" WORD "\" is a VSOCK address, which has no TCP or UDP port; put "
                              "it into a .socket unit of your own",
                              value);
        if (strchr(value, '/'))
                return refuse(mistake,
                              "\"" WORD "\" has a protocol; ListenStream= is TCP and "
                              "ListenDatagram= UDP: write the port alone",
                              value);
        if (strpbrk(value, " \t,"))
                return refuse(mistake,
                              "\"" WORD
                              "\" is more than one address; write each in a line of its own",
                              value);
        return 0;
}

/* "[V6]:PORT", with the scope at either place. */
static int parse_bracketed(char *s, Endpoint *e, char *mistake)
{
        char address[ADDRESS_TEXT_MAX], *close, *scope;
        int r;

        close = strchr(s, ']');
        if (!close || close[1] != ':')
                return refuse(mistake,
                              "\"" WORD "\" is no IPv6 address with a port; write it as [::1]:80",
                              s);
        *close = 0;
        s++;
        scope = strchr(close + 2, '%');
        if (scope)
                *scope++ = 0;
        if (!strchr(s, ':') ||
            (size_t) snprintf(address, sizeof(address), "%s%s%s", s, scope ? "%" : "",
                              scope ? scope : "") >= sizeof(address) ||
            address_parse(address, &e->address) < 0) {
                if (scope || strchr(s, '%'))
                        return refuse(mistake,
                                      "\"" WORD "\" is no IPv6 address, or there is no such "
                                      "interface now; check both, or write the address "
                                      "without \"%%\"",
                                      address);
                return refuse(mistake, "\"" WORD "\" is no IPv6 address; write it as [::1]:80", s);
        }
        r = parse_port(close + 2, &e->port, mistake);
        return r;
}

int endpoint_parse_listen(const char *value, int protocol, Endpoint *ret,
                          char mistake[static ENDPOINT_MISTAKE_MAX])
{
        Endpoint e = { .protocol = protocol, .listen = true };
        char word[160], *colon;
        int r;

        r = check_kind(value, mistake);
        if (r < 0)
                return r;
        if (strlen(value) >= sizeof(word))
                return refuse(mistake,
                              "\"" WORD
                              "...\" is no address; write PORT, ADDRESS:PORT or [ADDRESS]:PORT",
                              value);
        strcpy(word, value);

        colon = strrchr(word, ':');
        if (word[0] == '[') {
                r = parse_bracketed(word, &e, mistake);
        } else if (colon) {
                *colon++ = 0;
                if (strcmp(word, "*") == 0 || !word[0])
                        return refuse(mistake,
                                      "\"" WORD
                                      "\" is no address; write the port alone for every address",
                                      value);
                if (strchr(word, ':'))
                        return refuse(
                                mistake,
                                "an IPv6 address needs brackets before its port; write [%s]:%s",
                                word, colon);
                if (address_parse(word, &e.address) < 0 || e.address.family != AF_INET)
                        return refuse(mistake,
                                      "\"" WORD "\" is no address, and names are not looked up; "
                                      "write it in numbers, as 127.0.0.1:80",
                                      word);
                r = parse_port(colon, &e.port, mistake);
        } else {
                if (strchr(word, '.'))
                        return refuse(mistake, "\"" WORD "\" has no port; write " WORD ":PORT",
                                      word, word);
                e.address.family = AF_UNSPEC;
                r = parse_port(word, &e.port, mistake);
        }
        if (r < 0)
                return r;
        e.last = e.port;
        *ret = e;
        return 0;
}
