/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/state.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ctl/output.h"
#include "kernel/runtime.h"

int state_probe(const Ctl *c)
{
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = -1;
        int r;

        r = path_join(sun.sun_path, sizeof(sun.sun_path), c->runtime_dir, RUNTIME_CONTROL);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        /* EAGAIN: its queue is full, so there is one. */
        if (connect(fd, (const struct sockaddr *) &sun, sizeof(sun)) < 0 && errno != EAGAIN)
                return -errno;
        return 0;
}

int state_read(const Ctl *c, json_t **ret)
{
        _cleanup_(json_decrefp) json_t *state = NULL;
        _cleanup_(freep) char *text = NULL;
        char path[PATH_MAX];
        size_t size;
        int r;

        r = path_join(path, sizeof(path), c->runtime_dir, RUNTIME_STATE);
        if (r < 0)
                return r;
        r = file_read(path, STATE_SIZE_MAX, &text, &size);
        if (r < 0)
                return r;
        state = json_loadb(text, size, 0, NULL);
        if (!json_is_object(state))
                return -EBADMSG;
        *ret = TAKE_PTR(state);
        return 0;
}

int state_owner(const Ctl *c, uid_t *ret)
{
        char path[PATH_MAX];
        struct stat st;
        int r;

        r = path_join(path, sizeof(path), c->runtime_dir, RUNTIME_STATE);
        if (r < 0)
                return r;
        if (stat(path, &st) < 0)
                return -errno;
        *ret = st.st_uid;
        return 0;
}

Exit state_fail(const Ctl *c, int error)
{
        switch (error) {
        case -ENOENT:
        case -ENOTDIR:
        case -ECONNREFUSED:
                return fail(c, EXIT_NOT_RUNNING,
                            "portreserved is not running: nobody answers on %s/%s; "
                            "start it with: systemctl start portreserved",
                            c->runtime_dir, RUNTIME_CONTROL);
        case -EACCES:
        case -EPERM:
                return fail(c, EXIT_DENIED, "%s/%s: %s", c->runtime_dir, RUNTIME_CONTROL,
                            strerror(-error));
        default:
                return fail(c, EXIT_FAILED, "%s/%s: %s", c->runtime_dir, RUNTIME_CONTROL,
                            strerror(-error));
        }
}

Exit state_load(const Ctl *c, json_t **ret)
{
        int r;

        r = state_probe(c);
        if (r < 0)
                return state_fail(c, r);

        r = state_read(c, ret);
        if (r == -EBADMSG)
                return fail(c, EXIT_FAILED, "%s/%s is damaged: no JSON object", c->runtime_dir,
                            RUNTIME_STATE);
        if (r < 0)
                return fail(c, EXIT_FAILED, "%s/%s: %s", c->runtime_dir, RUNTIME_STATE,
                            strerror(-r));
        return EXIT_OK;
}

const char *get_text(const json_t *object, const char *key)
{
        const char *s = json_string_value(json_object_get(object, key));

        return s && *s ? s : "-";
}

json_int_t get_number(const json_t *object, const char *key)
{
        const json_t *v = json_object_get(object, key);

        return json_is_array(v) ? (json_int_t) json_array_size(v) : json_integer_value(v);
}

json_t *get_array(const json_t *object, const char *key)
{
        json_t *v = json_object_get(object, key);

        return json_is_array(v) ? v : NULL;
}

json_t *state_find(const json_t *state, const char *name)
{
        json_t *r;
        size_t i;

        json_array_foreach(get_array(state, "list"), i, r)
                if (strcmp(get_text(r, "name"), name) == 0)
                        return r;
        return NULL;
}
