/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text of one configuration file into a Config: inih, with a reader of our own in front of
 * it. */

#include <stddef.h>

#include "model/config.h"

/* Mistakes go to c->errors. data need not end in NUL, may have any bytes. -ENOMEM. */
int config_text_read(Config *c, const char *file, const char *data, size_t size);
