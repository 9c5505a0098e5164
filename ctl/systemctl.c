/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/systemctl.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/child.h"

/* Arguments of one run, well below ARG_MAX. */
#define BATCH 256u

/* The next units from *at on that are not NULL, behind what is in argv. */
static void fill(char **argv, size_t n_argv, const char *const *units, size_t n, size_t *at)
{
        for (size_t k = 0; *at < n && k < BATCH; (*at)++)
                if (units[*at]) {
                        argv[n_argv++] = (char *) units[*at];
                        k++;
                }
        argv[n_argv] = NULL;
}

int systemctl_run(const char *verb, const char *const *units, size_t n)
{
        char *argv[BATCH + 5] = { (char *) "systemctl", (char *) "--quiet", (char *) verb };
        size_t at = 0;
        int result = 0;

        do {
                int r;

                fill(argv, 3, units, n, &at);
                r = child_run(argv);
                if (r < 0)
                        return r;
                if (r > 0)
                        result = r;
        } while (at < n);
        return result;
}

static bool is_running(const char *state, size_t length)
{
        return !(length == strlen("inactive") && strncmp(state, "inactive", length) == 0) &&
               !(length == strlen("failed") && strncmp(state, "failed", length) == 0);
}

/* One "ActiveState" a line, an empty line between. */
static int parse_states(const char *text, const char *const *units, size_t from, size_t to,
                        bool *ret)
{
        for (size_t i = from; i < to; i++) {
                size_t length;

                if (!units[i])
                        continue;
                text += strspn(text, "\n");
                length = strcspn(text, "\n");
                if (length == 0)
                        return -EBADMSG;
                ret[i] = is_running(text, length);
                text += length;
        }
        return 0;
}

int systemctl_running(const char *const *units, size_t n, bool *ret)
{
        char *argv[BATCH + 5] = { (char *) "systemctl", (char *) "show", (char *) "--value",
                                  (char *) "--property=ActiveState" };
        size_t at = 0;

        memset(ret, 0, n * sizeof(*ret));
        while (at < n) {
                _cleanup_(freep) char *text = NULL;
                size_t from = at;
                int r;

                fill(argv, 4, units, n, &at);
                if (!argv[4])
                        break;
                r = child_read(argv, &text);
                if (r != 0)
                        return r < 0 ? r : -EIO;
                r = parse_states(text, units, from, at, ret);
                if (r < 0)
                        return r;
        }
        return 0;
}
