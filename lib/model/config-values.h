/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a row of the table of keys is, and the parsers of values that rows name. Private to
 * config*.c.
 *
 * A parser gets the struct that the key belongs to (base), takes "" for "back to the default",
 * reports mistakes itself, and returns -ENOMEM only. */

#include <stdint.h>

#include "model/config-internal.h"

typedef struct ConfigKey ConfigKey;
typedef int (*ConfigParser)(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                            const char *value);

enum {
        KEY_LIST = 1 << 0,  /* appends; may be continued on the next line */
        KEY_LATER = 1 << 1, /* accepted, and without effect in this build */
};

struct ConfigKey {
        SectionKind section;
        const char *name;
        ConfigParser parse;
        size_t offset;
        unsigned flags;
        uint64_t min, max, initial;
        int (*from_string)(const char *s); /* of config_parse_enum */
        bool (*valid)(const char *s);      /* of config_parse_text */
        size_t written;                    /* offset of the flag "it was written", 0: none */
        const char *hint;                  /* what it has to be */
};

/* By offset, one value. */
int config_parse_flag(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value);
int config_parse_number(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                        const char *value);
int config_parse_span(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value);
int config_parse_enum(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value);
int config_parse_text(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value);

/* Of reservations, of pools and of [Daemon]. */
int config_parse_ports(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                       const char *value);
int config_parse_listen(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                        const char *value);
int config_parse_hold(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value);
int config_parse_user(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                      const char *value);
int config_parse_pool_ports(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                            const char *value);
int config_parse_pool_users(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                            const char *value);
int config_parse_on_exit(Config *c, const ConfigLine *l, const ConfigKey *k, void *base,
                         const char *value);

bool config_valid_service(const char *s);
bool config_valid_template(const char *s);
bool config_valid_path(const char *s);
bool config_valid_socket_address(const char *s);
