/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Findings in a sentence, and what to do about them. */

#include <jansson.h>

#include "ctl/findings.h"

/* Why a server can or cannot bind the port. The caller frees; NULL: no memory. */
char *reason_text(const Findings *f);

/* Commands as an array of strings, the best first. NULL: no memory. */
json_t *reason_remedy(const Findings *f);
