/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the file behaves (net/ipv4/sysctl_net_ipv4.c, proc_do_large_bitmap() in kernel/sysctl.c;
 * pinned by tests/kernel/kernel-facts-list.c):
 *
 * - A write at offset 0 replaces the list, at any other offset it ORs into it. One write takes at
 *   most 4095 bytes.
 * - A read answers once, at offset 0, as much as the buffer holds: too small a buffer cuts the list
 *   without a word.
 * - Neither is atomic against another writer: a rewrite loses what came after its read, and even
 *   two ORs at the same instant can lose a port of each other's, since the kernel ORs word by word
 *   without a lock.
 *
 * So every change is made under a write lease on the open file (fcntl(2), F_SETLEASE): it is
 * granted only while nobody else has the file open, and open() of others waits until we close.
 * Adding goes ahead without one after some tries, since the race is one of nanoseconds; removing
 * does not. Nothing keeps out who writes through another mount of procfs (of a container that
 * shares our network, say): there the file is another inode. */

#include "kernel/kernel-list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"

/* What one write takes for certain, whatever the page size. */
#define WRITE_MAX 4095u
#define READ_SIZE (256u * 1024u)
/* Nearly every list fits into this; the kernel clears as much memory as a read asks for. */
#define READ_SIZE_SMALL (8u * 1024u)
/* Tries to open or lease the file, some 10 ms in all; and tries of a whole change. Adding puts ports
 * back that outgoing connections are given meanwhile: it waits a millisecond at most. */
#define LEASE_TRIES     32u
#define LEASE_TRIES_ADD 4u
#define TRIES           4u

/* "/proc/self/fd/N" of an O_PATH fd, which counts as no opener: a lease is granted beside it. */
static char adopted_path[32];

const char *kernel_list_path(void)
{
        return *adopted_path ? adopted_path : KERNEL_LIST_PATH;
}

static bool is_list(int fd)
{
        static const char suffix[] = "/sys/net/ipv4/ip_local_reserved_ports";
        char path[32], target[PATH_MAX];
        struct statfs fs;
        ssize_t n;

        if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
                return false;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < (ssize_t) strlen(suffix))
                return false;
        target[n] = 0;
        return strcmp(target + n - strlen(suffix), suffix) == 0;
}

int kernel_list_adopt(void)
{
        _cleanup_(closep) int pin = -1, null = -1;

        if (!is_list(STDIN_FILENO))
                return 0;
        pin = open("/proc/self/fd/0", O_PATH | O_CLOEXEC);
        if (pin < 0)
                return -errno;
        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0)
                return -errno;
        (void) snprintf(adopted_path, sizeof(adopted_path), "/proc/self/fd/%d", TAKE_FD(pin));
        return 1;
}

/* Some 50 to 500 microseconds, never the same twice, so that two who wait for each other part. */
static void nap(void)
{
        struct timespec ts = {};

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        ts = (struct timespec){ .tv_nsec = 50000 + ts.tv_nsec % 450000 };
        (void) nanosleep(&ts, NULL);
}

/* O_NONBLOCK: where somebody holds a lease, open() would wait for it, up to
 * /proc/sys/fs/lease-break-time (45 s). */
static int open_list(int mode)
{
        for (unsigned i = 0;; i++) {
                int fd = open(kernel_list_path(), mode | O_CLOEXEC | O_NONBLOCK);

                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN || i >= LEASE_TRIES)
                        return -errno;
                nap();
        }
}

/* At offset 0, so that it can be asked again on the same fd. -ENOBUFS: there is more. */
static int read_into(int fd, char *buf, size_t size, PortSet *ret)
{
        ssize_t n = pread(fd, buf, size, 0);

        if (n < 0)
                return -errno;
        if ((size_t) n == size)
                return -ENOBUFS;
        return portset_parse(buf, (size_t) n, ret) < 0 ? -EBADMSG : 0;
}

static int read_fd(int fd, PortSet *ret)
{
        _cleanup_(freep) char *buf = NULL;
        char small[READ_SIZE_SMALL];
        int r;

        r = read_into(fd, small, sizeof(small), ret);
        if (r != -ENOBUFS)
                return r;
        buf = malloc(READ_SIZE);
        if (!buf)
                return -ENOMEM;
        r = read_into(fd, buf, READ_SIZE, ret);
        return r == -ENOBUFS ? -EBADMSG : r;
}

int kernel_list_read(PortSet *ret)
{
        _cleanup_(closep) int fd = -1;

        fd = open_list(O_RDONLY);
        if (fd < 0)
                return fd;
        return read_fd(fd, ret);
}

/* One try. Positive: the lease is ours until fd is closed. 0: this process gets none, ever.
 * -EAGAIN: somebody has the file open. */
static int take_lease(int fd)
{
        /* Who opens the file meanwhile makes the kernel signal us; SIGIO, which it would choose,
         * kills. This one is ignored by default. */
        if (fcntl(fd, F_SETSIG, SIGURG) < 0)
                return 0;
        if (fcntl(fd, F_SETLEASE, F_WRLCK) >= 0)
                return 1;
        /* EACCES: neither our file nor CAP_LEASE; EINVAL: built without leases. */
        return errno == EAGAIN ? -EAGAIN : 0;
}

/* Opens the list for reading and writing, with a lease. Where none is to be had since somebody
 * keeps the file open: -EAGAIN, or an fd without one if without_lease says that this will do. */
static int open_leased(unsigned tries, bool without_lease)
{
        for (unsigned i = 0;; i++) {
                _cleanup_(closep) int fd = -1;
                int r;

                fd = open_list(O_RDWR);
                if (fd < 0)
                        return fd;
                r = take_lease(fd);
                if (r >= 0 || (i >= tries && without_lease))
                        return TAKE_FD(fd);
                if (i >= tries)
                        return r;
                /* Not while we have it open: the other may wait for the same. */
                close(TAKE_FD(fd));
                nap();
        }
}

static int write_chunk(int fd, const char *text, size_t size, off_t offset)
{
        ssize_t n = pwrite(fd, text, size, offset);

        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

/* How much of the text goes into one write: all, or up to a comma. */
static size_t chunk_size(const char *text, size_t size)
{
        const char *comma;

        if (size <= WRITE_MAX)
                return size;
        comma = memrchr(text, ',', WRITE_MAX + 1);
        return comma ? (size_t) (comma - text) : size;
}

/* Adds the ports of the text to the list, chunk by chunk. */
static int or_text(int fd, const char *text, size_t size)
{
        while (size > 0) {
                size_t n = chunk_size(text, size);
                int r;

                r = write_chunk(fd, text, n, 1);
                if (r < 0)
                        return r;
                n = MIN_OF(n + 1, size); /* the comma as well */
                text += n;
                size -= n;
        }
        return 0;
}

/* The caller frees. NULL: out of memory. */
static char *format(const PortSet *s, size_t *ret_size)
{
        char *text = malloc(PORTSET_TEXT_MAX);

        if (text)
                *ret_size = (size_t) portset_format(s, text, PORTSET_TEXT_MAX);
        return text;
}

static int or_set(int fd, const PortSet *s)
{
        _cleanup_(freep) char *text = NULL;
        size_t size;

        text = format(s, &size);
        if (!text)
                return -ENOMEM;
        return or_text(fd, text, size);
}

/* What of want is not in the list. */
static int read_missing(int fd, const PortSet *want, PortSet *ret)
{
        PortSet now, missing = *want;
        int r;

        r = read_fd(fd, &now);
        if (r < 0)
                return r;
        portset_subtract(&missing, &now);
        *ret = missing;
        return 0;
}

static int add_once(const PortSet *add)
{
        _cleanup_(closep) int fd = -1;
        PortSet missing;
        int r;

        fd = open_leased(LEASE_TRIES_ADD, true);
        if (fd < 0)
                return fd;
        r = read_missing(fd, add, &missing);
        if (r < 0 || portset_empty(&missing))
                return r;
        r = or_set(fd, &missing);
        if (r < 0)
                return r;
        r = read_missing(fd, add, &missing);
        if (r < 0)
                return r;
        return portset_empty(&missing) ? 0 : -EAGAIN;
}

int kernel_list_add(const PortSet *add)
{
        int r;

        for (unsigned i = 0; i < TRIES; i++) {
                r = add_once(add);
                if (r != -EAGAIN)
                        return r;
                nap();
        }
        return r;
}

/* Makes the list exactly that. What does not fit into the first write is added by the next ones;
 * when one of them fails, the rest is tried again, since now others' entries are at risk. */
static int replace(int fd, const PortSet *keep, const KernelListRemove *how)
{
        _cleanup_(freep) char *text = NULL;
        size_t size, first;
        PortSet missing;
        int r;

        text = format(keep, &size);
        if (!text)
                return -ENOMEM;
        first = chunk_size(text, size);
        if (first < size && how && how->prepare) {
                r = how->prepare(keep, how->userdata);
                if (r < 0)
                        return r;
        }

        /* An empty write does nothing; an empty line clears. */
        r = size > 0 ? write_chunk(fd, text, first, 0) : write_chunk(fd, "\n", 1, 0);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < TRIES; i++) {
                r = read_missing(fd, keep, &missing);
                if (r >= 0) {
                        if (portset_empty(&missing))
                                return 0;
                        r = or_set(fd, &missing);
                }
                if (r < 0)
                        nap();
        }
        return r < 0 ? r : -EAGAIN;
}

static int remove_once(const PortSet *remove, const KernelListRemove *how)
{
        _cleanup_(closep) int fd = -1;
        PortSet now, keep;
        int r;

        fd = open_leased(LEASE_TRIES, how && how->force);
        if (fd < 0)
                return fd;
        r = read_fd(fd, &now);
        if (r < 0)
                return r;
        keep = now;
        portset_subtract(&keep, remove);
        if (portset_equal(&keep, &now))
                return 0;
        r = replace(fd, &keep, how);
        if (r < 0)
                return r;

        /* Under the lease they are gone; without it somebody may have put them back in between. */
        r = read_fd(fd, &now);
        if (r < 0)
                return r;
        portset_intersect(&now, remove);
        return portset_empty(&now) ? 0 : -EAGAIN;
}

int kernel_list_remove(const PortSet *remove, const KernelListRemove *how)
{
        int r;

        for (unsigned i = 0; i < TRIES; i++) {
                r = remove_once(remove, how);
                if (r != -EAGAIN)
                        return r;
                nap();
        }
        return r;
}

int ephemeral_range_read(uint16_t *ret_first, uint16_t *ret_last)
{
        _cleanup_(freep) char *text = NULL;
        unsigned first, last;
        int r;

        r = file_read(EPHEMERAL_RANGE_PATH, 256, &text, NULL);
        if (r < 0)
                return r;
        if (sscanf(text, "%u %u", &first, &last) != 2 || first > last || last >= PORTSET_PORTS)
                return -EBADMSG;
        *ret_first = (uint16_t) first;
        *ret_last = (uint16_t) last;
        return 0;
}
