/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserved-act: what the daemon, which itself is not root, needs of PID 1. It starts units, and
 * lists the .socket units with their ports. Socket-activated, for user portreserved alone.
 *
 * The daemon may be wrong, or somebody else's by now, and applied.conf is its file: so but for
 * instances of an AlertUnit= template, only what PID 1 itself calls failed is started, that is,
 * what was to run anyway. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "activation/arguments.h"
#include "activation/callers.h"
#include "activation/pid1-sockets.h"
#include "activation/pid1.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/config-file.h"
#include "kernel/runtime.h"
#include "kernel/unit-file.h"

/* Who asks: they are served one after the other. */
static struct ucred peer;

static const char *runtime_dir = RUNTIME_DIR_DEFAULT;

/* "port-alert@12.service" is an instance of "port-alert@.service". Alerts have numbers; no other
 * name, since for many a template of the host's that is an argument ("modprobe@.service"). */
static bool instance_of(const char *unit, const char *template)
{
        const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.'), *t = strchr(template, '@');
        size_t head;

        if (!at || !dot || !t || dot <= at + 1)
                return false;
        head = (size_t) (at - unit) + 1;
        if (at + 1 + strspn(at + 1, "0123456789") != dot)
                return false;
        return head == (size_t) (t - template) + 1 && strncmp(unit, template, head) == 0 &&
               strcmp(dot, t + 1) == 0;
}

static bool alert_unit(const Config *c, const char *unit)
{
        if (!c)
                return false;
        if (c->daemon.alert_unit && instance_of(unit, c->daemon.alert_unit))
                return true;
        CONFIG_FOREACH_RESERVATION(c, r)
                if (r->alert_unit && instance_of(unit, r->alert_unit))
                        return true;
        return false;
}

/* An owner that binds its port itself, by any of its names: what Unit= says may be an alias. One
 * with Hold=listen is started by its socket, one without a hold by its administrator. */
static bool owner_unit(const Config *c, char *const *names)
{
        if (!c)
                return false;
        CONFIG_FOREACH_RESERVATION(c, r) {
                if (!r->unit || (r->hold != HOLD_BOUND && r->hold != HOLD_SHARED))
                        continue;
                for (char *const *n = names; *n; n++)
                        if (strcmp(r->unit, *n) == 0)
                                return true;
        }
        return false;
}

static void start_unit(sd_bus *bus, const Config *c, const char *unit)
{
        _cleanup_(strv_freep) char **names = NULL;
        bool failed = false, allowed;
        int r;

        if (!unit_name_valid(unit)) {
                say_asked(&peer, LOG_WARNING, "Not started: the name asked for is no unit's.");
                return;
        }

        r = pid1_failed(bus, unit, &failed, &names);
        if (r < 0) {
                say(LOG_ERR, "%s: cannot ask systemd for its state: %s", unit, strerror(-r));
                return;
        }

        allowed = alert_unit(c, unit) ||
                  (failed && (unit_name_has_suffix(unit, ".socket") || owner_unit(c, names)));
        if (!allowed) {
                say_asked(&peer, LOG_NOTICE, "%s: not started: it %s.", unit,
                          failed ? "is neither a socket unit nor named by portreserved's "
                                   "configuration"
                                 : "has not failed");
                return;
        }

        r = pid1_start(bus, unit);
        if (r < 0)
                say(LOG_ERR, "%s: cannot be started: %s", unit, strerror(-r));
        else
                say(LOG_INFO, "%s: started for portreserved.", unit);
}

/* Every name of a request; the last must be terminated too. */
static void serve_request(const char *request, size_t size)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(config_freep) Config *c = NULL;
        char path[PATH_MAX];
        int r;

        if (size == 0 || request[size - 1] != 0) {
                say_asked(&peer, LOG_WARNING, "A request that is not a list of names was dropped.");
                return;
        }

        r = path_join(path, sizeof(path), runtime_dir, RUNTIME_APPLIED);
        if (r >= 0)
                r = config_load_applied(path, &c);
        /* Without a configuration only failed sockets are left. */
        if (r < 0 && r != -ENOENT && r != -EBADMSG) {
                say(LOG_ERR, "Cannot read portreserved's configuration %s: %s", path, strerror(-r));
                return;
        }
        r = pid1_open(&bus);
        if (r < 0) {
                say(LOG_ERR, "Cannot talk to systemd: %s", strerror(-r));
                return;
        }
        for (const char *p = request; p < request + size; p += strlen(p) + 1)
                start_unit(bus, c, p);
}

/* The file is sent whole: no half of a list, and nobody to wait for. */
static int send_file(int fd, int file)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (char[1]){}, .iov_len = 1 };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &file, sizeof(int));
        return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int list_sockets(int *ret)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(closep) int file = -1, copy = -1;
        bool failed;
        FILE *f;
        int r;

        r = pid1_open(&bus);
        if (r < 0)
                return r;
        file = memfd_create("socket-units", MFD_CLOEXEC);
        if (file < 0)
                return -errno;
        copy = fcntl(file, F_DUPFD_CLOEXEC, 3);
        f = copy < 0 ? NULL : fdopen(copy, "w");
        if (!f)
                return -errno;
        TAKE_FD(copy);
        r = pid1_write_sockets(bus, f);
        failed = ferror(f);
        if (fclose(f) != 0 || failed)
                return r < 0 ? r : -EIO;
        if (r < 0)
                return r;
        if (lseek(file, 0, SEEK_SET) < 0)
                return -errno;
        *ret = TAKE_FD(file);
        return 0;
}

static void serve_list(int fd)
{
        _cleanup_(closep) int file = -1;
        int r;

        r = list_sockets(&file);
        if (r >= 0)
                r = send_file(fd, file);
        if (r < 0)
                say(LOG_ERR, "Cannot list the socket units: %s", strerror(-r));
}

static void serve(int fd, const struct ucred *who)
{
        char request[ACT_MESSAGE_MAX + 1];
        size_t n;

        peer = *who;
        n = callers_receive(fd, who, request, ACT_MESSAGE_MAX);
        if (n == sizeof(ACT_LIST) && memcmp(request, ACT_LIST, sizeof(ACT_LIST)) == 0)
                serve_list(fd);
        else if (n > 0)
                serve_request(request, n);
}

static const char help[] =
        "portreserved-act [--runtime-dir DIR]\n"
        "\n"
        "Starts failed units for portreserved, which is not root, and lists socket units.\n"
        "portreserved-act.socket runs it; see portreserved(8).\n";

int main(int argc, char *argv[])
{
        static const Callers callers = { .program = "portreserved-act", .serve = serve };
        int r;

        r = arguments_parse(argc, argv, help, &runtime_dir);
        return r >= 0 ? r : callers_serve(&callers);
}
