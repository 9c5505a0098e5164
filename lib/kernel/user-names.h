/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Login names of uids, for messages: from files alone, never from the name service. getpwuid(3) may
 * ask a directory server and hang for minutes, just when the network is what is wrong; the daemon
 * cannot wait for that, and a uid says as much. */

#include <sys/types.h>

#define USER_NAME_MAX 256u

/* Of /etc/passwd, and of systemd's DynamicUser=. malloc'ed, printable. -ENOENT: in neither. */
int user_name(uid_t uid, char **ret);

/* The same of other files (tests): passwd(5), and the directory of links "direct:UID" to names. */
int user_name_in(const char *passwd, const char *dynamic, uid_t uid, char **ret);
