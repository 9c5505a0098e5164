/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/portreserve.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/grow.h"
#include "base/printable.h"
#include "kernel/config-read.h"

/* More files than there are well-known services are somebody's mistake, and each costs a read at
 * boot. */
#define FILES_MAX 4096u
#define WORD_MAX  128u
#define TRIES_MAX 5u
/* A file with so many lines that are no text is none. */
#define NOT_TEXT_MAX 20u

typedef struct Text {
        Config *config;
        const char *file, *name;
        unsigned line;
        unsigned not_text;
        bool open; /* the section is there */
} Text;

/* A section is there from the first line that says anything: a file without one reserves nothing,
 * and is no mistake. */
static int open_section(Text *t)
{
        int k;

        if (t->open)
                return 0;
        t->open = true;
        k = config_section(t->config, t->file, t->line, t->name);
        return k < 0 ? k : config_set(t->config, t->file, t->line, "Hold", "bound");
}

/* The line without its comment and the blanks at both ends. */
static void strip(const char **p, size_t *n)
{
        const char *s = *p;
        size_t l = *n;

        for (size_t i = 0; i < l; i++)
                if (s[i] == '#' && (i == 0 || s[i - 1] == ' ' || s[i - 1] == '\t'))
                        l = i;
        while (l > 0 && strchr(" \t\r", s[l - 1]) && s[l - 1])
                l--;
        while (l > 0 && (*s == ' ' || *s == '\t')) {
                s++;
                l--;
        }
        *p = s;
        *n = l;
}

#define WRITE "write one service[/protocol] or port[/protocol] a line"

static _printf_(2, 3) int bad_line(Text *t, const char *format, ...)
{
        Reservation *r = config_find(t->config, t->name);
        char what[256];
        va_list ap;

        if (r)
                r->damaged = true; /* where nothing is left of it, this is why */
        va_start(ap, format);
        (void) vsnprintf(what, sizeof(what), format, ap);
        va_end(ap);
        return config_error(t->config, t->file, t->line, "%s", what);
}

static bool is_text(const char *word, size_t n, int *ret_error)
{
        _cleanup_(freep) char *shown = printable(word);

        if (!shown)
                *ret_error = -ENOMEM;
        return strlen(word) == n && shown && strcmp(shown, word) == 0;
}

static int read_line(Text *t, const char *s, size_t n)
{
        char word[WORD_MAX];
        int k;

        strip(&s, &n);
        if (n == 0)
                return 0;
        k = open_section(t);
        if (k < 0)
                return k;
        if (n >= sizeof(word))
                return bad_line(t, "the line is longer than %zu characters; " WRITE,
                                sizeof(word) - 1);
        memcpy(word, s, n);
        word[n] = 0;
        for (char *p = word; (p = strchr(p, '\t'));)
                *p = ' ';

        if (!is_text(word, n, &k)) {
                if (k < 0)
                        return k;
                t->not_text++;
                return bad_line(t, "the line is not text%s",
                                t->not_text < NOT_TEXT_MAX
                                        ? "; " WRITE
                                        : ", as many before it, and the rest of the file is left "
                                          "out; is it a list of ports?");
        }
        if (strpbrk(word, " ,"))
                return bad_line(t, "\"%.64s\" is more than one word; " WRITE, word);
        return config_set(t->config, t->file, t->line, "Ports", word);
}

/* Whether the file's name can be a reservation's. What is declared by hand counts: a package that
 * brings the file later must not take the reservation over, nor make a reload fail. */
static int judge_name(Text *t, bool *ret_read)
{
        const Reservation *r;

        *ret_read = false;
        if (!reservation_name_valid(t->name) || reservation_name_is_taken(t->name))
                return config_error(t->config, t->file, 0,
                                    "its name is no name of a reservation; rename it: letters, "
                                    "digits and \"_ @ -\", at most %d, not first or last an \"@\"",
                                    RESERVATION_NAME_MAX);
        r = config_find(t->config, t->name);
        if (r)
                return config_warn(t->config, t->file, 0,
                                   "has no effect, since [%s] is declared in %s:%u; remove one of "
                                   "the two",
                                   r->name, r->file, r->line);
        *ret_read = true;
        return 0;
}

int portreserve_read_text(Config *c, const char *file, const char *name, const char *data,
                          size_t size)
{
        const char *end = data + size;
        Text t = { .config = c, .file = file, .name = name };
        bool read;
        int k;

        config_begin_file(c);
        k = judge_name(&t, &read);
        while (k >= 0 && read && data < end && t.not_text < NOT_TEXT_MAX) {
                const char *newline = memchr(data, '\n', (size_t) (end - data));
                size_t n = (size_t) ((newline ? newline : end) - data);

                t.line++;
                k = read_line(&t, data, n);
                data += n + 1;
        }
        return k;
}

typedef struct Names {
        char **names;
        size_t n, n_allocated;
        bool more; /* than FILES_MAX */
} Names;

static void names_deinit(Names *n)
{
        for (size_t i = 0; i < n->n; i++)
                free(n->names[i]);
        free(n->names);
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int collect(const char *folder, Names *n)
{
        struct dirent *entry;
        DIR *dir;
        int k = 0;

        dir = opendir(folder);
        if (!dir)
                return -errno;
        while ((entry = readdir(dir))) {
                if (strpbrk(entry->d_name, ".~"))
                        continue;
                n->more = n->n >= FILES_MAX;
                if (n->more)
                        break;
                if (!GROW(n->names, n->n_allocated, n->n + 1) ||
                    !(n->names[n->n] = strdup(entry->d_name))) {
                        k = -ENOMEM;
                        break;
                }
                n->n++;
        }
        closedir(dir);
        if (n->n > 0)
                qsort(n->names, n->n, sizeof(n->names[0]), compare);
        return k;
}

static int read_one(Config *c, size_t root_length, const char *folder, const char *name)
{
        _cleanup_(freep) char *text = NULL;
        char path[PATH_MAX];
        struct stat st;
        size_t size;
        int k = -ENOENT;

        if (path_join(path, sizeof(path), folder, name) < 0)
                return -ENAMETOOLONG;
        /* Gone since the folder was listed: as if it had not been there. Somebody may also put it
         * there anew just now. */
        for (unsigned i = 0; i < TRIES_MAX && k == -ENOENT; i++) {
                k = config_read_file(c, path, path + root_length, 0, &text, &size);
                if (k == -ENOENT && lstat(path, &st) < 0)
                        return 0;
                if (k == -ENOENT && S_ISLNK(st.st_mode))
                        return config_error(c, path + root_length, 0,
                                            "links to a file that is not there; remove it");
        }
        if (k > 0)
                return portreserve_read_text(c, path + root_length, name, text, size);
        return k == -ENOENT ? 0 : k;
}

int portreserve_read(Config *c, const char *root, const char *directory)
{
        _cleanup_(names_deinit) Names names = { 0 };
        char folder[PATH_MAX];
        int k;

        if ((size_t) snprintf(folder, sizeof(folder), "%s%s", root, directory) >= sizeof(folder))
                return -ENAMETOOLONG;
        k = collect(folder, &names);
        if (k == -ENOENT)
                return config_warn(c, directory, 0,
                                   "is not there, and nothing is read for PortreserveDirectory=");
        if (k == -ENOMEM)
                return k;
        if (k < 0)
                return config_error(c, directory, 0,
                                    "cannot be read: %s; write the folder of portreserve's files "
                                    "as PortreserveDirectory=, or correct its permissions",
                                    strerror(-k));
        if (names.more)
                return config_error(c, directory, 0,
                                    "has more than %u files, and is left out whole; is it the "
                                    "folder of portreserve's files?",
                                    FILES_MAX);
        for (size_t i = 0; i < names.n; i++) {
                k = read_one(c, strlen(root), folder, names.names[i]);
                if (k < 0)
                        return k;
        }
        return 0;
}
