/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/unit-name.h"

#include <stddef.h>
#include <string.h>

#define UNIT_NAME_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@"

static const char *const suffixes[] = {
        ".service", ".socket", ".target",    ".slice", ".scope",  ".mount",
        ".timer",   ".path",   ".automount", ".swap",  ".device",
};

bool unit_name_valid(const char *name)
{
        const char *dot = strrchr(name, '.');
        size_t i;

        if (!dot || dot == name || name[0] == '@' || strlen(name) > UNIT_NAME_LENGTH_MAX)
                return false;
        if (strspn(name, UNIT_NAME_CHARACTERS) != strlen(name))
                return false;
        for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
                if (strcmp(dot, suffixes[i]) == 0)
                        return true;
        return false;
}

bool unit_name_has_suffix(const char *name, const char *suffix)
{
        size_t n = strlen(name), l = strlen(suffix);

        return n > l && strcmp(name + n - l, suffix) == 0;
}

/* The first '@' divides; later ones are part of the instance. */
bool unit_name_is_template(const char *name)
{
        const char *at = strchr(name, '@');

        return at && at + 1 == strrchr(name, '.');
}

bool unit_name_is_instance(const char *name)
{
        return strchr(name, '@') && !unit_name_is_template(name);
}

bool unit_name_is_stoppable(const char *name)
{
        if (strncmp(name, "user@", 5) == 0 || strncmp(name, "session-", 8) == 0)
                return false;
        return unit_name_has_suffix(name, ".service") || unit_name_has_suffix(name, ".socket") ||
               unit_name_has_suffix(name, ".scope");
}
