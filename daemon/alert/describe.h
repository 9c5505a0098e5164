/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A culprit in words, for messages and for fields that a catalog entry is made of. */

#include <stdio.h>

#include "model/holder.h"

/* "127.0.0.1:48121 -> 127.0.0.1:6379 ESTABLISHED". malloc'ed; NULL: no memory. */
char *describe_socket(const Holder *h);

/* How it came by the port: the other half of "… is taken:". */
const char *describe_how(const Holder *h);

/* What else is known of it, each with "; " in front: its user, command line, when it began and when
 * it was first seen there. */
void describe_put_more(FILE *f, const Holder *h);

/* One command that takes the port from it; that tells more, where none is sure to. malloc'ed; NULL:
 * no memory. */
char *describe_remedy(const Holder *h, int protocol, uint16_t port);
