/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/config-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "kernel/config-read.h"
#include "kernel/config-text.h"
#include "kernel/drop-ins.h"
#include "kernel/names.h"
#include "kernel/portreserve.h"

#define FILE_NAME "portreserved.conf"

/* Comments to every version. */
#define APPLIED_BEGIN "# What portreserved last applied.\n"
#define APPLIED_END   "# End\n"

/* In order of rank. */
static const char *const directories[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib" };

/* As the daemon has written it, to its end? Versions that did not mark the end are believed. */
static bool applied_is_whole(const char *text, size_t size)
{
        size_t begin = strlen(APPLIED_BEGIN), end = strlen(APPLIED_END);

        if (size < begin || strncmp(text, APPLIED_BEGIN, begin) != 0)
                return size > 0;
        return size >= begin + end && strcmp(text + size - end, APPLIED_END) == 0;
}

/* The file's text into c. what is the name in messages. -ENOENT, -ENOMEM; applied.conf:
 * -EBADMSG. */
static int read_file(Config *c, const char *path, const char *what, bool applied)
{
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int k;

        /* The folder of applied.conf is the daemon's, and root reads it as well: no link of theirs
         * shows pieces of other files in messages. */
        k = config_read_file(c, path, what, applied ? O_NOFOLLOW : 0, &text, &size);
        if (k > 0 && applied && !applied_is_whole(text, size))
                return -EBADMSG;
        return k > 0 ? config_text_read(c, what, text, size) : k;
}

/* A folder that cannot be read is a mistake, one that is not there is none. */
static int collect(Config *c, const char *folder, DropIns *d)
{
        int k = drop_ins_collect(d, folder);

        if (k >= 0 || k == -ENOENT || k == -ENOTDIR)
                return 0;
        if (k == -ENOMEM)
                return k;
        return config_error(c, folder, 0, "cannot be read: %s; correct its permissions",
                            strerror(-k));
}

/* An empty file and a link to /dev/null mask by having nothing in them. */
static int read_drop_ins(Config *c, const DropIns *d, size_t root_length)
{
        for (size_t i = 0; i < d->n; i++) {
                const char *what = d->paths[i] + root_length;
                int k;

                k = read_file(c, d->paths[i], what, false);
                if (k == -ENOENT)
                        k = config_error(
                                c, what, 0,
                                "links to a file that is not there; remove it, or link it to "
                                "/dev/null to mask others of its name");
                if (k < 0)
                        return k;
        }
        return 0;
}

/* The first that is there. */
static int read_search_path(Config *c, const char *root)
{
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                char path[PATH_MAX];
                int k;

                if ((size_t) snprintf(path, sizeof(path), "%s%s/%s", root, directories[i],
                                      FILE_NAME) >= sizeof(path))
                        return -ENAMETOOLONG;
                k = read_file(c, path, path + strlen(root), false);
                if (k != -ENOENT)
                        return k;
        }
        return 0;
}

int config_load(const ConfigPaths *paths, Config **ret)
{
        _cleanup_(drop_ins_deinit) DropIns drop_ins = { 0 };
        _cleanup_(config_freep) Config *c = NULL;
        const char *root = paths && paths->root ? paths->root : "";
        const char *main = paths ? paths->main : NULL;
        char path[PATH_MAX];
        int k;

        k = config_new(&names_ops, &c);
        if (k < 0)
                return k;

        if (main) {
                if ((size_t) snprintf(path, sizeof(path), "%s%s.d", root, main) >= sizeof(path))
                        return -ENAMETOOLONG;
                k = collect(c, path, &drop_ins);
                path[strlen(path) - strlen(".d")] = 0;
                if (k >= 0)
                        k = read_file(c, path, main, false);
        } else {
                k = read_search_path(c, root);
                for (size_t i = 0; i < ELEMENTSOF(directories) && k >= 0; i++) {
                        if ((size_t) snprintf(path, sizeof(path), "%s%s/%s.d", root, directories[i],
                                              FILE_NAME) >= sizeof(path))
                                return -ENAMETOOLONG;
                        k = collect(c, path, &drop_ins);
                }
        }
        if (k >= 0)
                k = read_drop_ins(c, &drop_ins, strlen(root));
        if (k >= 0 && c->daemon.portreserve_directory)
                k = portreserve_read(c, root, c->daemon.portreserve_directory);
        if (k >= 0)
                k = config_finish(c);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(c);
        return 0;
}

int config_load_applied(const char *path, Config **ret)
{
        _cleanup_(config_freep) Config *c = NULL;
        int k;

        k = config_new(&names_ops, &c);
        if (k < 0)
                return k;
        config_allow_source(c);
        k = read_file(c, path, path, true);
        if (k >= 0)
                k = config_finish(c);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(c);
        return 0;
}

int config_save_applied(const Config *c, const char *path)
{
        _cleanup_(freep) char *text = NULL, *whole = NULL;
        size_t size;
        int k;

        k = config_format(c, &text, &size);
        if (k < 0)
                return k;
        if (asprintf(&whole, "%s%s%s", APPLIED_BEGIN, text, APPLIED_END) < 0) {
                whole = NULL;
                return -ENOMEM;
        }
        return file_write_atomic(path, whole, strlen(whole), 0644);
}

static void print(const Diagnostic *d, const char *kind, FILE *f)
{
        if (d->line > 0)
                fprintf(f, "%s:%u: %s%s\n", d->file, d->line, kind, d->message);
        else
                fprintf(f, "%s: %s%s\n", d->file, kind, d->message);
}

void config_print_errors(const Config *c, FILE *f)
{
        for (size_t i = 0; i < c->n_errors; i++)
                print(&c->errors[i], "", f);
        if (c->n_errors_dropped > 0)
                fprintf(f, "... and %zu more mistakes\n", c->n_errors_dropped);
}

void config_print_diagnostics(const Config *c, FILE *f)
{
        config_print_errors(c, f);
        for (size_t i = 0; i < c->n_warnings; i++)
                print(&c->warnings[i], "warning: ", f);
}
