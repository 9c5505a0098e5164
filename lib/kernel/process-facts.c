/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/process-facts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/printable.h"
#include "kernel/cgroup.h"
#include "kernel/process.h"
#include "model/holder.h"
#include "model/reservation.h"

#define PROC_FILE_MAX (64u * 1024u)

/* The wall clock is adjusted, and so what is told of a begin moves a little; no pid comes again as
 * soon. */
#define SAME_START_USEC (USEC_PER_SEC / 2)

#define EXECS_MAX    3u
#define SEARCHES_MAX 3u

/* The number at p, up to one of these characters. */
static int parse_number(const char *p, const char *ends, uint64_t max, uint64_t *ret)
{
        char field[32];
        size_t l = strcspn(p, ends);

        if (l == 0 || l >= sizeof(field))
                return -EBADMSG;
        memcpy(field, p, l);
        field[l] = 0;
        return parse_uint(field, 0, max, ret) < 0 ? -EBADMSG : 0;
}

/* proc_pid_stat(5): starttime is the 22nd field, the 20th behind the name, which is in parentheses
 * and may hold anything. */
#define STAT_FIELD 20u

int process_parse_stat(const char *text, uint64_t *ret)
{
        const char *p = strrchr(text, ')');

        if (!p)
                return -EBADMSG;
        p++;
        for (unsigned i = 1; i < STAT_FIELD; i++) {
                p += strspn(p, " ");
                p += strcspn(p, " ");
        }
        p += strspn(p, " ");
        return parse_number(p, " \n", UINT64_MAX / USEC_PER_SEC, ret);
}

/* "Uid:\tREAL\tEFFECTIVE\tSAVED\tFILESYSTEM" */
int process_parse_status(const char *text, uid_t *ret)
{
        static const char key[] = "\nUid:\t";
        const char *p = strstr(text, key);
        uint64_t v;
        int r;

        if (!p)
                return -EBADMSG;
        p += strlen(key);
        p += strcspn(p, "\t\n");
        if (*p != '\t')
                return -EBADMSG;
        r = parse_number(p + 1, "\t\n", UID_INVALID - 1u, &v);
        if (r < 0)
                return r;
        *ret = (uid_t) v;
        return 0;
}

static int read_file(int process, const char *name, char **ret)
{
        _cleanup_(closep) int fd = process_open_file(process, name, 0);
        int r;

        if (fd < 0)
                return fd;
        r = file_read_fd(fd, PROC_FILE_MAX, ret, NULL);
        return r == -ESRCH ? -ENOENT : r;
}

static int read_started(int process, uint64_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        long ticks = sysconf(_SC_CLK_TCK);
        uint64_t since_boot;
        int r;

        r = read_file(process, "stat", &text);
        if (r >= 0)
                r = process_parse_stat(text, &since_boot);
        if (r < 0)
                return r;
        if (ticks <= 0)
                return -EINVAL;
        *ret = now_usec(CLOCK_REALTIME) - now_usec(CLOCK_BOOTTIME) +
               since_boot * USEC_PER_SEC / (uint64_t) ticks;
        return 0;
}

static int read_uid(int process, uid_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        int r;

        r = read_file(process, "status", &text);
        return r < 0 ? r : process_parse_status(text, ret);
}

static int read_exe(int process, char **ret)
{
        char target[PATH_MAX];
        ssize_t n;

        n = readlinkat(process, "exe", target, sizeof(target) - 1);
        if (n < 0)
                return errno == ESRCH ? -ENOENT : -errno;
        target[n] = 0;
        *ret = printable(target);
        return *ret ? 0 : -ENOMEM;
}

static int read_command(int process, char **ret)
{
        /* A character that is cut in two at the end is beyond what is kept. */
        char text[HOLDER_COMMAND_MAX + 4];
        _cleanup_(closep) int fd = -1;
        ssize_t n;

        fd = process_open_file(process, "cmdline", 0);
        if (fd < 0)
                return fd;
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return errno == ESRCH ? -ENOENT : -errno;
        while (n > 0 && text[n - 1] == 0)
                n--;
        if (n == 0) /* a kernel thread, or it has ended */
                return 0;
        for (ssize_t i = 0; i < n; i++)
                if (text[i] == 0)
                        text[i] = ' ';
        text[n] = 0;
        *ret = printable_cut(text, HOLDER_COMMAND_MAX);
        return *ret ? 0 : -ENOMEM;
}

static int read_cgroup(int process, char **ret)
{
        _cleanup_(freep) char *text = NULL, *path = NULL;
        int r;

        r = read_file(process, "cgroup", &text);
        if (r >= 0)
                r = cgroup_parse_proc(text, &path);
        if (r < 0)
                return r;
        /* Outside of our cgroup namespace: no path that we could look up. */
        if (strncmp(path, "/..", 3) == 0)
                return -ENODATA;
        *ret = TAKE_PTR(path);
        return 0;
}

/* Both of one program: a process that runs another meanwhile (execve(2)) is asked again. One that
 * does nothing else has no command line. */
static int read_program(int process, ProcessFacts *f)
{
        for (unsigned i = 0; i < EXECS_MAX; i++) {
                _cleanup_(freep) char *after = NULL;
                int r;

                free(f->exe);
                free(f->command);
                f->exe = f->command = NULL;
                r = read_exe(process, &f->exe);
                if (r == -ENOMEM)
                        return r;
                r = read_command(process, &f->command);
                if (r == -ENOMEM)
                        return r;
                r = read_exe(process, &after);
                if (r == -ENOMEM)
                        return r;
                if (!f->exe == !after && (!after || strcmp(f->exe, after) == 0))
                        return 0;
        }
        free(f->command);
        f->command = NULL;
        return 0;
}

/* What may not be read stays unknown. */
static int read_facts(int process, ProcessFacts *f)
{
        int r;

        r = read_started(process, &f->started_usec);
        if (r == -ENOMEM)
                return r;
        r = read_program(process, f);
        if (r == -ENOMEM)
                return r;
        r = read_cgroup(process, &f->cgroup);
        if (r == -ENOMEM)
                return r;
        (void) read_uid(process, &f->uid);
        return 0;
}

static int find_once(const char *cgroup_path, uint32_t inode, uint64_t deadline, ProcessFacts *ret)
{
        _cleanup_(process_facts_done) ProcessFacts f = { .number = -1, .uid = UID_INVALID };
        _cleanup_(closep) int process = -1;
        int r;

        r = process_find_inode(cgroup_path, inode, deadline, &f.pid);
        if (r < 0)
                return r;
        process = process_open(f.pid);
        r = process < 0 ? process : read_facts(process, &f);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        /* Its pid may have been another's when it was found; what was read is of who has the socket
         * now. */
        r = process_search_fds(process, inode, deadline, &f.number);
        if (r == 0)
                r = process_search_threads(process, f.pid, inode, deadline);
        if (r <= 0)
                return r == 0 || r == -ENOENT ? -ESRCH : r;
        *ret = f;
        f = (ProcessFacts){};
        return 0;
}

int process_facts_find(const char *cgroup_path, uint32_t inode, uint64_t deadline,
                       ProcessFacts *ret)
{
        int r = -ESRCH;

        /* Who passes a socket on and ends, as servers that restart themselves do, leaves another. */
        for (unsigned i = 0; r == -ESRCH && i < SEARCHES_MAX; i++)
                r = find_once(cgroup_path, inode, deadline, ret);
        return r;
}

int process_facts_cgroup(pid_t pid, uint64_t started_usec, char **ret)
{
        _cleanup_(closep) int process = process_open(pid);
        uint64_t started, apart;
        int r;

        if (process < 0)
                return process;
        r = read_started(process, &started);
        if (r < 0)
                return r;
        apart = started > started_usec ? started - started_usec : started_usec - started;
        return apart > SAME_START_USEC ? -ENOENT : read_cgroup(process, ret);
}

void process_facts_done(ProcessFacts *f)
{
        free(f->exe);
        free(f->command);
        free(f->cgroup);
        *f = (ProcessFacts){};
}
