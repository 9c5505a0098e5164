/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/sysctl-files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/grow.h"
#include "kernel/drop-ins.h"

#define BLANKS        " \t\r\f\v"
#define FILE_SIZE_MAX (10u << 20)
#define SYSCTL_CONF   "/etc/sysctl.conf"

/* In order of rank. /lib is nearly always a link to /usr/lib, and brings no new names then. */
static const char *const directories[] = { "/etc/sysctl.d", "/run/sysctl.d",
                                           "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d",
                                           "/lib/sysctl.d" };

/* "net.ipv4.conf.eth0/1" and "net/ipv4/conf/eth0.1" are the same: the first of the two separates,
 * the other is part of a name. */
static bool is_parameter(const char *name, size_t size, const char *parameter)
{
        size_t first = strcspn(parameter, "/");
        bool dots = size > first && name[first] == '.';

        if (size != strlen(parameter))
                return false;
        for (size_t i = 0; i < size; i++) {
                char c = name[i];

                if (dots && (c == '.' || c == '/'))
                        c = c == '.' ? '/' : '.';
                if (c != parameter[i])
                        return false;
        }
        return true;
}

static const char *skip_blanks(const char *p, const char *end)
{
        while (p < end && strchr(BLANKS, *p))
                p++;
        return p;
}

static const char *strip_blanks(const char *p, const char *end)
{
        while (end > p && strchr(BLANKS, end[-1]))
                end--;
        return end;
}

/* Is it a line that sets the parameter? p..end has neither newline nor NUL. */
static bool line_parse(const char *p, const char *end, const char *parameter, const char **ret,
                       size_t *ret_size)
{
        const char *equals, *name_end;

        p = skip_blanks(p, end);
        if (p == end || *p == '#' || *p == ';')
                return false;
        equals = memchr(p, '=', (size_t) (end - p));
        if (!equals)
                return false;
        if (*p == '-') /* failure does not matter */
                p++;
        name_end = strip_blanks(p, equals);
        if (!is_parameter(p, (size_t) (name_end - p), parameter))
                return false;
        *ret = skip_blanks(equals + 1, end);
        *ret_size = (size_t) (strip_blanks(*ret, end) - *ret);
        return true;
}

static SysctlFile *add_file(SysctlFiles *f, const char *path, int error)
{
        _cleanup_(freep) char *copy = strdup(path);

        if (!copy || !GROW(f->files, f->n_files_allocated, f->n_files + 1))
                return NULL;
        f->files[f->n_files] = (SysctlFile){ .path = TAKE_PTR(copy), .error = error };
        return &f->files[f->n_files++];
}

int sysctl_files_add_text(SysctlFiles *f, const char *path, const char *text, size_t size,
                          const char *parameter)
{
        const char *file = NULL, *all_end = text + size;
        unsigned line = 1;

        for (const char *p = text, *end; p < all_end; p = end + 1) {
                _cleanup_(freep) char *copy = NULL;
                const char *value;
                size_t value_size;

                /* A NUL ends a line, too, as systemd has it; editors do not count those. */
                for (end = p; end < all_end && *end != '\n' && *end != 0;)
                        end++;
                if (line_parse(p, end, parameter, &value, &value_size)) {
                        if (!file) {
                                const SysctlFile *added = add_file(f, path, 0);

                                if (!added)
                                        return -ENOMEM;
                                file = added->path;
                        }
                        copy = calloc(1, value_size + 1);
                        if (!copy || !GROW(f->lines, f->n_lines_allocated, f->n_lines + 1))
                                return -ENOMEM;
                        memcpy(copy, value, value_size);
                        f->lines[f->n_lines++] =
                                (SysctlLine){ .file = file, .line = line, .value = TAKE_PTR(copy) };
                }
                if (end < all_end && *end == '\n')
                        line++;
        }
        return 0;
}

/* Opens a regular file, without waiting for what else there may be. 0: it is none, as the link to
 * /dev/null that masks. */
static int open_file(const char *path)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        return S_ISREG(st.st_mode) ? TAKE_FD(fd) : 0;
}

static int add_path(SysctlFiles *f, const char *path, const char *shown, const char *parameter)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int fd = -1;
        size_t size;
        int r;

        r = open_file(path);
        if (r > 0) {
                fd = r;
                r = file_read_fd(fd, FILE_SIZE_MAX, &text, &size);
                if (r >= 0)
                        return sysctl_files_add_text(f, shown, text, size, parameter);
        }
        if (r == -ENOMEM || (r < 0 && !add_file(f, shown, r)))
                return -ENOMEM;
        return 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
        return a->st_ino != 0 && a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

int sysctl_files_read(const char *root, const char *parameter, SysctlFiles *ret)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles f = { 0 };
        _cleanup_(drop_ins_deinit) DropIns drop_ins = { 0 };
        struct stat conf = {}, st;
        char path[PATH_MAX];
        bool conf_seen = false;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                if ((size_t) snprintf(path, sizeof(path), "%s%s", root, directories[i]) >=
                    sizeof(path))
                        return -ENAMETOOLONG;
                r = drop_ins_collect(&drop_ins, path);
                if (r == -ENOMEM)
                        return r;
                if (r < 0 && r != -ENOENT && r != -ENOTDIR && !add_file(&f, directories[i], r))
                        return -ENOMEM;
        }

        /* Debian links it into sysctl.d, where it has its place then. */
        (void) snprintf(path, sizeof(path), "%s" SYSCTL_CONF, root);
        (void) stat(path, &conf);
        for (size_t i = 0; i < drop_ins.n; i++) {
                bool is_conf = stat(drop_ins.paths[i], &st) >= 0 && is_same_file(&st, &conf);

                conf_seen = conf_seen || is_conf;
                r = add_path(&f, drop_ins.paths[i],
                             is_conf ? SYSCTL_CONF : drop_ins.paths[i] + strlen(root), parameter);
                if (r < 0)
                        return r;
        }
        r = conf_seen ? 0 : add_path(&f, path, SYSCTL_CONF, parameter);
        if (r < 0)
                return r;

        *ret = f;
        f = (SysctlFiles){ 0 };
        return 0;
}

void sysctl_files_deinit(SysctlFiles *f)
{
        for (size_t i = 0; i < f->n_lines; i++)
                free(f->lines[i].value);
        for (size_t i = 0; i < f->n_files; i++)
                free(f->files[i].path);
        free(f->lines);
        free(f->files);
        *f = (SysctlFiles){ 0 };
}

bool sysctl_line_ports(const SysctlLine *l, PortSet *ret)
{
        return portset_parse(l->value, strlen(l->value), ret) >= 0;
}

/* Is the list what the beginning of this value gives, cut between two ports or in one? */
static bool is_beginning(const SysctlLine *l, const PortSet *list)
{
        const char *p = l->value;
        PortSet got = {}, item;

        if (strlen(p) <= SYSCTL_VALUE_MAX || portset_empty(list))
                return false;
        /* As far as everything is in the list; one port too many, and it would be another list. */
        while (*p) {
                size_t n = strcspn(p, ",");

                if (portset_parse(p, n, &item) < 0 || !portset_contains(list, &item))
                        break;
                portset_unite(&got, &item);
                p += n + (p[n] == ',');
        }
        return portset_equal(&got, list);
}

const SysctlLine *sysctl_files_find_list(const SysctlFiles *f, const PortSet *list, bool *ret_cut)
{
        PortSet ports;

        for (size_t i = f->n_lines; i > 0; i--) {
                const SysctlLine *l = &f->lines[i - 1];
                bool whole = sysctl_line_ports(l, &ports) && portset_equal(&ports, list);

                if (whole || is_beginning(l, list)) {
                        *ret_cut = !whole;
                        return l;
                }
        }
        return NULL;
}

const SysctlLine *sysctl_files_find_port(const SysctlFiles *f, uint16_t port)
{
        PortSet ports;

        for (size_t i = f->n_lines; i > 0; i--)
                if (sysctl_line_ports(&f->lines[i - 1], &ports) && portset_has(&ports, port))
                        return &f->lines[i - 1];
        return NULL;
}
