/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From cgroup ids to paths.
 *
 * The id that sock_diag gives is the inode number of the cgroup's directory (kernfs; 64 bits, never
 * used twice while the system runs). The kernel opens a directory by that id for those with
 * CAP_DAC_READ_SEARCH: exact and cheap, so root never walks. All others read the whole tree once,
 * and again only for an id that was in no walk before; cgroups cannot be renamed in v2, so an id
 * that a walk has missed is gone for good. */

#include "kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

#include "base/grow.h"
#include "kernel/cgroup-memory.h"
#include "kernel/mountinfo.h"

#ifndef CGROUP2_SUPER_MAGIC
#define CGROUP2_SUPER_MAGIC 0x63677270
#endif

/* include/linux/exportfs.h, FILEID_KERNFS; not in the uapi headers. */
#define FILEID_KERNFS 0xfe

#define CGROUPS_MAX 65536u
#define MISSES      1024u

/* Walks take at most a twentieth of the time, and one counts for no less than this. As many as are
 * due in a second are made at once: several units may start together. */
#define WALK_INTERVAL_NSEC   UINT64_C(10000000)
#define WALK_INTERVAL_FACTOR 20u
#define WALK_BURST_NSEC      UINT64_C(1000000000)

typedef struct Entry {
        uint64_t id;
        char *path;
} Entry;

struct CgroupMap {
        char *root; /* NULL: no cgroup v2 */
        int root_fd;
        uint64_t root_id;
        bool by_handle;
        char found[PATH_MAX]; /* the last answer of find_by_handle() */
        Entry *entries;       /* of the last walk, by id */
        size_t n_entries, n_allocated;
        uint64_t misses[MISSES]; /* ids that are nowhere, at id % MISSES */
        uint64_t next_walk_nsec;
        unsigned walks;
        CgroupMemory memory;
};

static void entries_clear(Entry *entries, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(entries[i].path);
}

CgroupMap *cgroup_map_free(CgroupMap *m)
{
        if (!m)
                return NULL;
        entries_clear(m->entries, m->n_entries);
        free(m->entries);
        cgroup_memory_done(&m->memory);
        free(m->root);
        if (m->root_fd >= 0)
                close(m->root_fd);
        free(m);
        return NULL;
}

/* Still to be seen there: nothing is mounted over it. */
static int on_mount(const Mount *m, void *userdata)
{
        char **ret = userdata;
        struct statfs sfs;

        if (strcmp(m->type, "cgroup2") != 0 || statfs(m->where, &sfs) < 0 ||
            sfs.f_type != CGROUP2_SUPER_MAGIC)
                return 0;
        *ret = strdup(m->where);
        return *ret ? 1 : -ENOMEM;
}

int cgroup_map_new(const char *root, CgroupMap **ret)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        struct statfs sfs;
        struct stat st;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->root_fd = -1;
        if (root) {
                m->root = strdup(root);
                if (!m->root)
                        return -ENOMEM;
        } else {
                r = mountinfo_read("/proc/self/mountinfo", on_mount, &m->root);
                if (r < 0)
                        return r;
        }
        if (m->root) {
                /* Not O_PATH: open_by_handle_at() refuses those. */
                m->root_fd = open(m->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (m->root_fd < 0 || fstat(m->root_fd, &st) < 0)
                        return -errno;
                m->root_id = st.st_ino;
                m->by_handle = fstatfs(m->root_fd, &sfs) >= 0 && sfs.f_type == CGROUP2_SUPER_MAGIC;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

bool cgroup_map_available(const CgroupMap *m)
{
        return m->root != NULL;
}

const char *cgroup_map_root(const CgroupMap *m)
{
        return m->root;
}

unsigned cgroup_map_walks(const CgroupMap *m)
{
        return m->walks;
}

int cgroup_map_id(CgroupMap *m, const char *path, uint64_t *ret)
{
        struct stat st;

        if (!m->root)
                return -ENODATA;
        path += strspn(path, "/");
        if (fstatat(m->root_fd, *path ? path : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOTDIR ? -ENOENT : -errno;
        if (!S_ISDIR(st.st_mode))
                return -ENOENT;
        *ret = st.st_ino;
        return 0;
}

/* Is that still the directory of this id? */
static bool still_there(CgroupMap *m, const char *path, uint64_t id)
{
        uint64_t now = 0;

        return cgroup_map_id(m, path, &now) >= 0 && now == id;
}

/* -EPERM: not for us. The answer stands in m->found. */
static int find_by_handle(CgroupMap *m, uint64_t id)
{
        union {
                struct file_handle h;
                char room[sizeof(struct file_handle) + sizeof(uint64_t)];
        } u = { .h = { .handle_bytes = sizeof(uint64_t), .handle_type = FILEID_KERNFS } };
        _cleanup_(closep) int fd = -1;
        size_t root_length = strlen(m->root);
        char link[64], target[PATH_MAX];
        ssize_t n;

        memcpy(u.room + offsetof(struct file_handle, f_handle), &id, sizeof(id));
        fd = open_by_handle_at(m->root_fd, &u.h, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return errno == ESTALE ? -ENOENT : -errno;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = 0;
        /* Outside of what is mounted here: a cgroup namespace. */
        if (strncmp(target, m->root, root_length) != 0 || target[root_length] != '/')
                return -ENOENT;
        memcpy(m->found, target + root_length, strlen(target + root_length) + 1);
        return still_there(m, m->found, id) ? 0 : -ENOENT;
}

static int compare_entries(const void *a, const void *b)
{
        const Entry *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

/* Appends the directories below entries[i]; those that vanish meanwhile are left out. */
static int walk_one(CgroupMap *m, Entry **entries, size_t *n, size_t *allocated, size_t i)
{
        const char *parent = (*entries)[i].path;
        struct dirent *d;
        int fd, r = 0;
        DIR *dir;

        fd = openat(m->root_fd, parent[1] ? parent + 1 : ".",
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
        dir = fdopendir(fd);
        if (!dir) {
                r = errno == ENOMEM ? -ENOMEM : 0;
                close(fd);
                return r;
        }
        while ((d = readdir(dir)) && *n < CGROUPS_MAX) {
                struct stat st;
                char *path;

                if (d->d_name[0] == '.' &&
                    (!d->d_name[1] || (d->d_name[1] == '.' && !d->d_name[2])))
                        continue;
                if (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN)
                        continue;
                if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
                        continue;
                if (!GROW(*entries, *allocated, *n + 1) ||
                    asprintf(&path, "%s/%s", (*entries)[i].path[1] ? (*entries)[i].path : "",
                             d->d_name) < 0) {
                        r = -ENOMEM;
                        break;
                }
                (*entries)[(*n)++] = (Entry){ .id = st.st_ino, .path = path };
        }
        closedir(dir);
        return r;
}

static int walk(CgroupMap *m)
{
        size_t n = 0, allocated = 0;
        Entry *entries = NULL;
        int r = 0;

        if (!GROW(entries, allocated, 1))
                return -ENOMEM;
        entries[0] = (Entry){ .id = m->root_id, .path = strdup("/") };
        if (!entries[0].path)
                r = -ENOMEM;
        else
                n = 1;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = walk_one(m, &entries, &n, &allocated, i);
        if (r < 0) {
                entries_clear(entries, n);
                free(entries);
                return r;
        }
        qsort(entries, n, sizeof(entries[0]), compare_entries);
        for (size_t i = 0; i < m->n_entries; i++)
                if (!bsearch(m->entries + i, entries, n, sizeof(entries[0]), compare_entries))
                        cgroup_memory_put(&m->memory, m->entries[i].id, m->entries[i].path);
        entries_clear(m->entries, m->n_entries);
        free(m->entries);
        m->entries = entries;
        m->n_entries = n;
        m->n_allocated = allocated;
        return 0;
}

static uint64_t now_nsec(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

static const Entry *find_entry(const CgroupMap *m, uint64_t id)
{
        Entry key = { .id = id };

        return m->n_entries ? bsearch(&key, m->entries, m->n_entries, sizeof(key), compare_entries)
                            : NULL;
}

static int find_by_walk(CgroupMap *m, uint64_t id, const char **ret)
{
        const Entry *e = find_entry(m, id);

        if (!e) {
                uint64_t begin;
                int r;

                if (m->misses[id % MISSES] == id)
                        return -ENOENT;
                begin = now_nsec();
                if (begin + WALK_BURST_NSEC < m->next_walk_nsec)
                        return -EAGAIN;
                r = walk(m);
                m->walks++;
                m->next_walk_nsec =
                        MAX_OF(m->next_walk_nsec, now_nsec()) +
                        MAX_OF(WALK_INTERVAL_NSEC, WALK_INTERVAL_FACTOR * (now_nsec() - begin));
                if (r < 0)
                        return r;
                e = find_entry(m, id);
        }
        if (!e || !still_there(m, e->path, id)) {
                m->misses[id % MISSES] = id;
                return -ENOENT;
        }
        *ret = e->path;
        return 0;
}

static int find_path(CgroupMap *m, uint64_t id, const char **ret)
{
        if (!m->root)
                return -ENODATA;
        if (id == 0)
                return -ENOENT;
        if (id == m->root_id) {
                *ret = "/";
                return 0;
        }
        if (m->by_handle) {
                int r = find_by_handle(m, id);

                if (r >= 0) {
                        *ret = m->found;
                        return 0;
                }
                if (r == -ENOENT || r == -EMFILE || r == -ENFILE || r == -ENOMEM)
                        return r;
                /* No capability, or a filter of system calls. */
                m->by_handle = false;
        }
        return find_by_walk(m, id, ret);
}

int cgroup_map_path(CgroupMap *m, uint64_t id, const char **ret)
{
        int r;

        r = find_path(m, id, ret);
        if (r >= 0)
                cgroup_memory_put(&m->memory, id, *ret);
        return r;
}

const char *cgroup_map_former_path(const CgroupMap *m, uint64_t id)
{
        const Entry *e = find_entry(m, id);

        return e ? e->path : cgroup_memory_get(&m->memory, id);
}
