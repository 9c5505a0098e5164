/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* RUNTIME/state.json: what the daemon published last. Its keys are not trusted to be there or to be
 * of their type: what is odd reads as "-", 0 or nothing. */

#include <jansson.h>
#include <sys/types.h>

#include "ctl/ctl.h"

#define STATE_SIZE_MAX (64u << 20)

/* Does somebody listen on RUNTIME/control? 0: yes. -ENOENT, -ECONNREFUSED: not running; -EACCES and
 * others. */
int state_probe(const Ctl *c);

/* Loads RUNTIME/state.json, whoever wrote it. -ENOENT, -EFBIG; -EBADMSG: no JSON object. */
int state_read(const Ctl *c, json_t **ret);

/* The user that wrote it, who is the daemon's. -ENOENT … */
int state_owner(const Ctl *c, uid_t *ret);

/* Probes and reads, and fails for the verb where either does not work: EXIT_OK with *ret, or the
 * exit code. */
Exit state_load(const Ctl *c, json_t **ret);

/* EXIT_NOT_RUNNING and the like for a negative return of state_probe(). */
Exit state_fail(const Ctl *c, int error);

/* Members, tolerant. */
const char *get_text(const json_t *object, const char *key);  /* "-" */
json_int_t get_number(const json_t *object, const char *key); /* 0; an array's length */
json_t *get_array(const json_t *object,
                  const char *key); /* NULL: json_array_foreach() takes it as empty */

/* The RES of that name, borrowed, or NULL. */
json_t *state_find(const json_t *state, const char *name);
