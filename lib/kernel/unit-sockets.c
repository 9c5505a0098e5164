/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/unit-sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/parse.h"
#include "model/endpoint-parse.h"

#define OURS "portreserved-"

/* The canonical name of the service that a .socket unit starts. -ENOENT: there is none such. */
static int get_service(const char *root, const UnitFile *socket, char **ret)
{
        _cleanup_(unit_value_done) UnitValue accept = { 0 }, service = { 0 };
        const char *name = unit_file_name(socket);
        char other[UNIT_NAME_LENGTH_MAX + 2];
        bool each;
        int r;

        r = unit_file_get(socket, "Socket", "Accept", &accept);
        if (r >= 0)
                r = unit_file_get(socket, "Socket", "Service", &service);
        if (r < 0)
                return r;
        if (accept.text && parse_bool(accept.text, &each) >= 0 && each)
                return -ENOENT;
        snprintf(other, sizeof(other), "%.*s.service", (int) (strrchr(name, '.') - name), name);
        r = unit_resolve_alias(root, service.text ?: other, ret);
        return r == -ELOOP ? -ENOENT : r;
}

bool unit_socket_starts(const char *root, const char *unit, const char *service)
{
        _cleanup_(unit_file_freep) UnitFile *file = NULL;
        _cleanup_(freep) char *started = NULL;

        return unit_name_has_suffix(unit, ".socket") && unit_file_load(root, unit, &file) >= 0 &&
               get_service(root, file, &started) >= 0 && strcmp(started, service) == 0;
}

static int add(UnitSockets *s, const char *root, const char *name)
{
        _cleanup_(unit_file_freep) UnitFile *file = NULL;
        _cleanup_(freep) char *service = NULL;
        int r;

        r = unit_file_load(root, name, &file);
        if (r < 0)
                return r;
        if (strcmp(unit_file_name(file), name) != 0)
                return 0; /* an alias: the unit itself is in the list, too */
        r = get_service(root, file, &service);
        if (r < 0)
                return r;
        if (!GROW(s->items, s->n_allocated, s->n + 1))
                return -ENOMEM;
        s->items[s->n++] = (UnitSocket){ .file = TAKE_PTR(file), .service = TAKE_PTR(service) };
        return 0;
}

static int compare(const void *a, const void *b)
{
        return strcmp(unit_file_name(((const UnitSocket *) a)->file),
                      unit_file_name(((const UnitSocket *) b)->file));
}

int unit_sockets_load(const char *root, UnitSockets *ret)
{
        _cleanup_(unit_sockets_done) UnitSockets s = { 0 };
        _cleanup_(strv_freep) char **names = NULL;
        int r;

        r = unit_files_list(root, ".socket", &names);
        if (r < 0)
                return r;
        for (char **n = names; n && *n; n++)
                if (strncmp(*n, OURS, strlen(OURS)) != 0 && !unit_name_is_template(*n) &&
                    add(&s, root, *n) == -ENOMEM)
                        return -ENOMEM;
        if (s.n > 0)
                qsort(s.items, s.n, sizeof(s.items[0]), compare);
        *ret = s;
        s = (UnitSockets){ 0 };
        return 0;
}

void unit_sockets_done(UnitSockets *s)
{
        for (size_t i = 0; i < s->n; i++) {
                unit_file_free(s->items[i].file);
                free(s->items[i].service);
        }
        free(s->items);
        *s = (UnitSockets){ 0 };
}

/* Does one of the addresses meet the reservation? Paths and the like do not parse. */
static bool meets(char *addresses, int protocol, const Reservation *r)
{
        char mistake[ENDPOINT_MISTAKE_MAX], *state = NULL;

        for (char *word = strtok_r(addresses, " \t", &state); word;
             word = strtok_r(NULL, " \t", &state)) {
                Endpoint e;

                if (endpoint_parse_listen(word, protocol, &e, mistake) < 0)
                        continue;
                for (size_t i = 0; i < r->n_endpoints; i++)
                        if (endpoint_overlaps(&e, &r->endpoints[i]))
                                return true;
        }
        return false;
}

int unit_socket_meets(const UnitSocket *s, const Reservation *r, UnitValue *ret)
{
        static const struct {
                const char *key;
                int protocol;
        } keys[] = { { "ListenStream", IPPROTO_TCP }, { "ListenDatagram", IPPROTO_UDP } };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                _cleanup_(unit_value_done) UnitValue v = { 0 };
                int k;

                k = unit_file_get_list(s->file, "Socket", keys[i].key, &v);
                if (k < 0)
                        return k;
                if (!v.text || !meets(v.text, keys[i].protocol, r))
                        continue;
                *ret = v;
                v = (UnitValue){ 0 };
                return 1;
        }
        return 0;
}
