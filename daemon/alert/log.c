/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

static int level = LOG_INFO;
static bool journal;

void log_open(void)
{
        uint64_t device, inode;
        const char *stream;
        struct stat st;

        /* Set by PID 1 to the device and inode of the stream it connected, see systemd.exec(5). */
        stream = getenv("JOURNAL_STREAM");
        journal = stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
                  fstat(STDERR_FILENO, &st) >= 0 && st.st_dev == device && st.st_ino == inode;
}

bool log_is_journal(void)
{
        return journal;
}

void log_set_level(int priority)
{
        level = priority;
}

bool log_wants(int priority)
{
        return priority <= level;
}

static void put_escaped(FILE *f, const char *s)
{
        for (; *s; s++) {
                unsigned char c = (unsigned char) *s;

                if (c < 0x20 || c == 0x7f)
                        fprintf(f, "\\x%02x", c);
                else
                        fputc(c, f);
        }
}

void log_line(int priority, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL, *line = NULL;
        int saved = errno, r;
        size_t size = 0;
        va_list ap;
        FILE *f;

        if (!log_wants(priority))
                return;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return;

        f = open_memstream(&line, &size);
        if (!f)
                return;
        /* The journal takes the priority from the prefix (SyslogLevelPrefix=). */
        if (journal)
                fprintf(f, "<%d>", priority);
        else
                fputs("portreserved: ", f);
        put_escaped(f, text);
        fputc('\n', f);
        if (fclose(f) == 0)
                (void) !write(STDERR_FILENO, line, size); /* nobody is left to tell */
        errno = saved;
}

#define LIMIT_USEC  (10 * USEC_PER_SEC)
#define LIMIT_LINES 10u

void log_limited(LogLimit *l, int priority, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        unsigned suppressed;
        va_list ap;
        int r;

        if (!log_wants(priority))
                return;
        if (l->begin == 0 || now - l->begin > LIMIT_USEC) {
                l->begin = now;
                l->n = 0;
        }
        if (l->n >= LIMIT_LINES) {
                l->suppressed++;
                return;
        }
        l->n++;
        suppressed = l->suppressed;
        l->suppressed = 0;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return;
        if (suppressed > 0)
                log_line(priority, "%s (%u more not shown)", text, suppressed);
        else
                log_line(priority, "%s", text);
}
