/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pwd.h>
#include <string.h>

#include "base/parse.h"

static int service_port(const char *name, int protocol, uint16_t *ret)
{
        struct servent entry, *found = NULL;
        char buf[4096];

        if (getservbyname_r(name, protocol_to_string(protocol), &entry, buf, sizeof(buf), &found) !=
                    0 ||
            !found)
                return -ENOENT;
        *ret = ntohs((uint16_t) found->s_port);
        return 0;
}

/* A number need not be anybody's yet: it is what it is. */
static int user_id(const char *name, uid_t *ret)
{
        struct passwd entry, *found = NULL;
        char buf[16384];
        uint64_t v;

        if (parse_uint(name, 0, UID_INVALID - 1u, &v) == 0) {
                *ret = (uid_t) v;
                return 0;
        }
        if (getpwnam_r(name, &entry, buf, sizeof(buf), &found) != 0 || !found)
                return -ENOENT;
        *ret = found->pw_uid;
        return 0;
}

const ConfigOps names_ops = { .service_port = service_port, .user_id = user_id };
