/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl reload: the daemon applies the configuration, and PID 1 learns of units that
 * differ by it. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/control.h"
#include "ctl/generated.h"
#include "ctl/output.h"
#include "ctl/state.h"

/* One reload at a time, for what it does to PID 1's units goes in steps. Only root's can touch those,
 * and a file of mode 0600 keeps everybody else from holding this up. Without the lock it goes on
 * all the same: at worst two do the same twice. */
#define RELOAD_LOCK   "reload.lock"
#define LOCK_NAP_NSEC 50000000L
#define LOCK_NAPS_MAX 1200u /* a minute */

static int lock(const Ctl *c)
{
        static const struct timespec nap = { .tv_nsec = LOCK_NAP_NSEC };
        char path[PATH_MAX];
        int fd;

        if (path_join(path, sizeof(path), c->runtime_dir, RELOAD_LOCK) < 0)
                return -1;
        fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        for (unsigned i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && i < LOCK_NAPS_MAX; i++)
                (void) nanosleep(&nap, NULL);
        return fd;
}

Exit verb_reload(const Ctl *c, char **args)
{
        _cleanup_(json_decrefp) json_t *result = NULL;
        _cleanup_(units_freep) Units *before = NULL;
        _cleanup_(closep) int locked = -1;
        _cleanup_(freep) char *text = NULL;
        Exit e;
        int r;

        r = state_probe(c);
        if (r < 0)
                return state_fail(c, r);

        locked = lock(c);
        e = generated_look(c, &before);
        if (e != EXIT_OK)
                return e;
        e = control_call(c, &text, "Reload", "");
        if (e != EXIT_OK)
                return fail(c, e, "%s", text ?: "out of memory");
        result = text ? json_loads(text, 0, NULL) : NULL;
        if (!json_is_object(result))
                return fail(c, EXIT_FAILED, "applied, but the daemon's answer is no JSON object");

        e = generated_follow(c, before, result);
        if (e != EXIT_OK)
                return e;
        if (c->json != JSON_OFF)
                return print_json(c, json_incref(result), EXIT_OK);
        say(c, "applied");
        return EXIT_OK;
}
