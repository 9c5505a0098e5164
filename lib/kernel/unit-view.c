/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/unit-view.h"

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
                       const char *runtime, UnitView *v)
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

/* A boolean key; otherwise: its default. */
static int read_bool(const UnitFile *u, const char *key, bool otherwise, bool *ret)
{
        _cleanup_(unit_value_done) UnitValue v = { 0 };
        int r;

        r = unit_file_get(u, "Service", key, &v);
        if (r < 0)
                return r;
        if (!v.text || parse_bool(v.text, ret) < 0)
                *ret = otherwise;
        return 0;
}

static int read_root(const UnitFile *u, UnitView *v)
{
        static const char *const keys[] = { "RootDirectory", "RootImage" };
        bool start_only = false;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(keys) && r >= 0; i++) {
                _cleanup_(unit_value_done) UnitValue root = { 0 };

                r = unit_file_get(u, "Service", keys[i], &root);
                v->own_root = v->own_root || (root.text && strcmp(root.text, "/") != 0);
        }
        if (r >= 0)
                r = read_bool(u, "MountAPIVFS", v->own_root, &v->own_run);
        if (r >= 0)
                r = read_bool(u, "RootDirectoryStartOnly", false, &start_only);
        v->own_root = v->own_root && !start_only;
        v->own_run = v->own_run && v->own_root;
        return r;
}

int unit_view_read(const UnitFile *u, const char *helper, const char *runtime, UnitView *ret)
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
        UnitView v = { 0 };
        int r;

        r = read_root(u, &v);
        for (size_t i = 0; i < ELEMENTSOF(mounts) && r >= 0 && helper && runtime; i++)
                r = read_mounts(u, mounts[i].key, mounts[i].field, helper, runtime, &v);
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}
