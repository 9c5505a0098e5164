/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Login names of uids, for messages: from files alone, never from the name service. getpwuid(3) may
 * ask a directory server and hang for minutes, just when the network is what is wrong; the daemon
 * cannot wait for that, and a uid says as much. */

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define USER_NAME_MAX 256u

typedef struct UserNames {
        const char *passwd, *dynamic;
        struct stat seen; /* of the passwd that was read */
        char *text;       /* of it, taken apart; NULL: none */
        struct UserEntry {
                uid_t uid;
                const char *name;
        } * entries; /* in its order */
        size_t n_entries, n_allocated;
} UserNames;

/* Embedded. Other files than the system's for tests: passwd(5), and a directory of links "direct:UID"
 * to names. NULL: the system's. */
void user_names_init(UserNames *u, const char *passwd, const char *dynamic);
void user_names_done(UserNames *u);

/* Of /etc/passwd, which is read again once it has changed, and of systemd's DynamicUser=. malloc'ed,
 * printable. -ENOENT: in neither. */
int user_names_get(UserNames *u, uid_t uid, char **ret);
