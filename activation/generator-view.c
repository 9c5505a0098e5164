/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/generator-view.h"

#include <string.h>

#include "base/parse.h"

/* Is path at or below folder? */
static bool is_below(const char *path, const char *folder, size_t n)
{
        while (n > 0 && folder[n - 1] == '/')
                n--;
        return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* The place that one word of a key that mounts something names: its field, or the first where it
 * has no more. */
static const char *place(const char *word, unsigned field, size_t *ret_size)
{
        const char *first;

        word += strspn(word, "-+\"'");
        first = word;
        for (; field > 0; field--) {
                const char *colon = strchr(word, ':');

                if (!colon || !colon[1])
                        break;
                word = colon + 1;
        }
        /* "SOURCE:DESTINATION:OPTIONS", "SOURCE" alone is both. */
        if (*word != '/')
                word = first;
        *ret_size = strcspn(word, ":\"'");
        return word;
}

static int read_mounts(const UnitFile *u, const char *key, unsigned field, const char *helper,
                       const char *runtime, GeneratorView *v)
{
        _cleanup_(unit_value_done) UnitValue list = { 0 };
        char *state = NULL;
        int r;

        r = unit_file_get_list(u, "Service", key, &list);
        if (r < 0 || !list.text)
                return r;
        for (char *word = strtok_r(list.text, " \t", &state); word;
             word = strtok_r(NULL, " \t", &state)) {
                size_t n;
                const char *p = place(word, field, &n);

                v->hides_helper = v->hides_helper || is_below(helper, p, n);
                v->hides_runtime = v->hides_runtime || is_below(runtime, p, n);
        }
        return 0;
}

static int read_root(const UnitFile *u, GeneratorView *v)
{
        static const char *const keys[] = { "RootDirectory", "RootImage" };
        _cleanup_(unit_value_done) UnitValue start_only = { 0 };
        bool yes;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                _cleanup_(unit_value_done) UnitValue root = { 0 };

                r = unit_file_get(u, "Service", keys[i], &root);
                if (r < 0)
                        return r;
                v->own_root = v->own_root || (root.text && strcmp(root.text, "/") != 0);
        }
        r = unit_file_get(u, "Service", "RootDirectoryStartOnly", &start_only);
        if (r < 0)
                return r;
        if (start_only.text && parse_bool(start_only.text, &yes) >= 0 && yes)
                v->own_root = false; /* that of ExecStart= alone */
        return 0;
}

int generator_view_read(const UnitFile *u, const char *helper, const char *runtime,
                        GeneratorView *ret)
{
        static const struct {
                const char *key;
                unsigned field;
        } mounts[] = {
                { "TemporaryFileSystem", 0 },
                { "BindPaths", 1 },
                { "BindReadOnlyPaths", 1 },
                { "MountImages", 1 },
        };
        GeneratorView v = { 0 };
        int r;

        r = read_root(u, &v);
        for (size_t i = 0; i < ELEMENTSOF(mounts) && r >= 0; i++)
                r = read_mounts(u, mounts[i].key, mounts[i].field, helper, runtime, &v);
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}
