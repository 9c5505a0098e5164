/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/socket-unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/grow.h"
#include "model/endpoint-parse.h"
#include "model/unit-name.h"

#define SUFFIX     ".socket"
#define OUR_PREFIX "portreserved-"

#define NUMBER_LENGTH (sizeof("-01234567") - 1)

static const char *const states[_SOCKET_UNIT_STATE_MAX] = {
        [SOCKET_UNIT_ACTIVE] = "active",
        [SOCKET_UNIT_FAILED] = "failed",
        [SOCKET_UNIT_INACTIVE] = "inactive",
};

const char *socket_unit_state_to_string(SocketUnitState s)
{
        return states[s];
}

static int state_from_string(const char *s)
{
        for (int i = 0; i < _SOCKET_UNIT_STATE_MAX; i++)
                if (strcmp(states[i], s) == 0)
                        return i;
        return -EBADMSG;
}

static void unit_deinit(SocketUnit *u)
{
        free(u->name);
        free(u->service);
        free(u->path);
        free(u->endpoints);
}

SocketUnits *socket_units_free(SocketUnits *l)
{
        if (!l)
                return NULL;
        for (size_t i = 0; i < l->n; i++)
                unit_deinit(&l->units[i]);
        free(l->units);
        free(l);
        return NULL;
}

/* The next word of a line; NULL: there is none. */
static char *next_word(char **line)
{
        char *word = *line, *blank;

        if (!*word)
                return NULL;
        blank = strchrnul(word, ' ');
        *line = *blank ? blank + 1 : blank;
        *blank = 0;
        return word;
}

/* "-": none. */
static int copy_word(const char *word, char **ret)
{
        if (strcmp(word, "-") == 0)
                return 0;
        *ret = strdup(word);
        return *ret ? 0 : -ENOMEM;
}

static int parse_unit(SocketUnits *l, char *rest)
{
        char *name = next_word(&rest), *state = next_word(&rest), *service = next_word(&rest);
        SocketUnit *u;
        int s, r;

        if (!service || !*rest || !unit_name_valid(name) || !unit_name_has_suffix(name, SUFFIX) ||
            (strcmp(service, "-") != 0 && !unit_name_valid(service)))
                return -EBADMSG;
        s = state_from_string(state);
        if (s < 0)
                return s;
        if (!GROW(l->units, l->n_allocated, l->n + 1))
                return -ENOMEM;
        u = &l->units[l->n++];
        *u = (SocketUnit){ .state = (SocketUnitState) s };
        r = copy_word(name, &u->name);
        if (r >= 0)
                r = copy_word(service, &u->service);
        if (r >= 0)
                r = copy_word(rest, &u->path);
        return r;
}

static int parse_endpoint(SocketUnits *l, int protocol, char *rest)
{
        SocketUnit *u = l->n > 0 ? &l->units[l->n - 1] : NULL;
        const char *address = next_word(&rest), *v6only = next_word(&rest);
        char mistake[ENDPOINT_MISTAKE_MAX];
        Endpoint e;

        if (!u || !address || *rest || (v6only && strcmp(v6only, "v6only") != 0))
                return -EBADMSG;
        if (endpoint_parse_listen(address, protocol, &e, mistake) < 0)
                return 0;
        if (e.address.family == AF_INET6 && address_is_wildcard(&e.address)) {
                e.v6only = v6only;
                if (!v6only)
                        e.address = (Address){ .family = AF_UNSPEC };
        }
        if (l->n_endpoints >= SOCKET_UNITS_ENDPOINTS_MAX) {
                l->n_dropped++;
                return 0;
        }
        if (!GROW(u->endpoints, u->n_endpoints_allocated, u->n_endpoints + 1))
                return -ENOMEM;
        u->endpoints[u->n_endpoints++] = e;
        l->n_endpoints++;
        return 0;
}

static int compare(const void *a, const void *b)
{
        return strcmp(((const SocketUnit *) a)->name, ((const SocketUnit *) b)->name);
}

/* By name, without those that are left without an endpoint. */
static int finish(SocketUnits *l)
{
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++)
                if (l->units[i].n_endpoints > 0)
                        l->units[n++] = l->units[i];
                else
                        unit_deinit(&l->units[i]);
        l->n = n;
        if (n > 1)
                qsort(l->units, n, sizeof(l->units[0]), compare);
        for (size_t i = 1; i < n; i++)
                if (compare(&l->units[i - 1], &l->units[i]) == 0)
                        return -EBADMSG;
        return 0;
}

/* 1: it was the last. */
static int parse_line(SocketUnits *l, char *line)
{
        const char *word = next_word(&line);

        if (!word)
                return -EBADMSG;
        if (strcmp(word, "unit") == 0)
                return parse_unit(l, line);
        if (strcmp(word, "stream") == 0)
                return parse_endpoint(l, IPPROTO_TCP, line);
        if (strcmp(word, "datagram") == 0)
                return parse_endpoint(l, IPPROTO_UDP, line);
        return strcmp(word, "end") == 0 && !*line ? 1 : -EBADMSG;
}

int socket_units_parse(const char *text, SocketUnits **ret)
{
        _cleanup_(socket_units_freep) SocketUnits *l = NULL;
        _cleanup_(freep) char *copy = NULL;
        char *line, *end;
        int r = 0;

        l = calloc(1, sizeof(*l));
        copy = strdup(text);
        if (!l || !copy)
                return -ENOMEM;
        for (line = copy; r == 0; line = end + 1) {
                end = strchr(line, '\n');
                if (!end)
                        return -EBADMSG;
                *end = 0;
                r = parse_line(l, line);
        }
        if (r < 0)
                return r;
        if (*line)
                return -EBADMSG;
        r = finish(l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

const SocketUnit *socket_units_find(const SocketUnits *l, const char *name)
{
        const SocketUnit key = { .name = (char *) name };

        return l->n > 0 ? bsearch(&key, l->units, l->n, sizeof(l->units[0]), compare) : NULL;
}

/* FNV-1a. */
static uint32_t hash(const char *s)
{
        uint32_t h = 2166136261u;

        for (; *s; s++)
                h = (h ^ (uint8_t) *s) * 16777619u;
        return h;
}

const char *socket_unit_reservation_name(const char *unit, SocketUnitName how,
                                         char buf[static RESERVATION_NAME_MAX + 1])
{
        size_t n = strlen(unit) - (how == SOCKET_UNIT_NAME_FULL ? 0 : strlen(SUFFIX));
        bool number = how == SOCKET_UNIT_NAME_NUMBER || n > RESERVATION_NAME_MAX;

        if (number)
                n = MIN_OF(n, RESERVATION_NAME_MAX - NUMBER_LENGTH);
        (void) snprintf(buf, n + 1, "%s", unit);
        for (char *p = buf; *p; p++)
                if (*p == ':' || *p == '\\')
                        *p = '_';
        if (number)
                (void) snprintf(buf + n, NUMBER_LENGTH + 1, "-%08x", hash(unit));
        return buf;
}

bool socket_unit_is_ours(const char *unit)
{
        return strncmp(unit, OUR_PREFIX, strlen(OUR_PREFIX)) == 0;
}
