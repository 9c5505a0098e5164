/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "kernel/process.h"
#include "kernel/runtime.h"

int manager_runtime_path(const Manager *m, const char *name, char buf[static 4096])
{
        return path_join(buf, 4096, m->options.runtime_dir, name);
}

static int on_stop_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        Manager *m = userdata;

        /* sd-bus flushes every connection when its loop exits, and waits for ever for a peer that
         * has not authenticated. */
        m->bus = bus_free(m->bus);
        m->units = units_free(m->units);
        return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int on_reload_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        _cleanup_(freep) char *error = NULL;

        (void) manager_reload(userdata, &error); /* logs */
        return 0;
}

static int add_signals(Manager *m)
{
        static const struct {
                int signal;
                sd_event_signal_handler_t handler;
        } signals[] = {
                { SIGTERM, on_stop_signal },
                { SIGINT, on_stop_signal },
                { SIGHUP, on_reload_signal },
        };
        sigset_t set;
        int r;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaddset(&set, signals[i].signal);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(m->event, NULL, signals[i].signal, signals[i].handler, m);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* One fd a placeholder: take what we may have. */
static void raise_fd_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

static int take_runtime_dir(Manager *m)
{
        const char *path = m->options.runtime_dir;
        int r;

        r = runtime_dir_new(m->event, path, &manager_runtime_ops, m, &m->runtime);
        if (r == -EBUSY)
                log_error("Another portreserved runs on %s. Stop it first, or name another "
                          "--runtime-dir.",
                          path);
        else if (r < 0)
                log_error("Cannot use the runtime directory %s: %s%s", path, strerror(-r),
                          r == -EACCES || r == -EPERM
                                  ? ". Run it as root, best by: systemctl start portreserved"
                                  : "");
        return r;
}

/* What tells of it, and what is known of those whom it is for. */
static int make_records(Manager *m)
{
        int r;

        r = alert_new(10 * 1000000, &manager_alert_ops, m, &m->alert);
        if (r >= 0)
                r = alert_unit_new(m->event, m->options.runtime_dir, &manager_alert_unit_ops, m,
                                   &m->alert_unit);
        if (r >= 0)
                r = state_new(m, &m->state);
        if (r >= 0)
                r = clients_new(m->event, &manager_clients_ops, m, &m->clients);
        if (r >= 0)
                r = owners_new(&m->owners);
        if (r >= 0)
                r = restarts_new(m->event, &manager_restarts_ops, m, &m->restarts);
        return r;
}

/* What keeps the ports. */
static int make_keepers(Manager *m)
{
        int r;

        r = reserve_new(m->event, m->options.runtime_dir, &manager_reserve_ops, m, &m->reserve);
        if (r >= 0)
                r = park_new(&m->park);
        if (r >= 0)
                r = hold_set_new(m->event, !notify_is_service(), &manager_hold_ops, m, &m->holds);
        if (r < 0) {
                log_error("Cannot start: %s", strerror(-r));
                return r;
        }
        if (!notify_is_service())
                return 0;
        r = generated_new(m->event, &manager_generated_ops, m, &m->generated);
        if (r < 0)
                log_error("Cannot watch for PID 1's daemon-reload: %s", strerror(-r));
        return r;
}

/* What sees others on them, and answers. */
static int make_watchers(Manager *m)
{
        int r;

        r = watch_new(m->event, &manager_watch_ops, m, &m->watch);
        if (r < 0) {
                log_error("Cannot ask the kernel for its sockets (netlink sock_diag): %s",
                          strerror(-r));
                return r;
        }
        /* Where it would not be allowed to, it need not take the time for a search. */
        m->sees_processes = process_sees_all();
        if (!m->sees_processes)
                identify_take_time(watch_identify(m->watch), 0);
        r = evictor_new(m->event, watch_identify(m->watch), &manager_evictor_ops, m, &m->evictor);
        if (r >= 0)
                r = inspect_new(m->event, &manager_inspect_ops, m, &m->inspect);
        if (r >= 0)
                r = units_new(m->event, m->options.runtime_dir, &manager_units_ops, m, &m->units);
        return r;
}

int manager_new(const ManagerOptions *options, Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        raise_fd_limit();
        (void) notify_is_service();

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->options = *options;

        r = sd_event_new(&m->event);
        if (r >= 0)
                r = add_signals(m);
        if (r >= 0)
                r = sd_event_set_watchdog(m->event, true);
        if (r >= 0)
                r = take_runtime_dir(m);
        if (r >= 0)
                r = make_records(m);
        if (r >= 0)
                r = make_keepers(m);
        if (r >= 0)
                r = make_watchers(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        sd_event_source_disable_unref(m->gave_up);
        handover_server_free(m->handover);
        open_door_free(m->door);
        bus_free(m->bus);
        clients_free(m->clients);
        units_free(m->units);
        evictor_free(m->evictor);
        inspect_free(m->inspect);
        watch_free(m->watch);
        hold_set_free(m->holds);
        park_free(m->park);
        generated_free(m->generated);
        reserve_free(m->reserve);
        owners_free(m->owners);
        restarts_free(m->restarts);
        alert_free(m->alert);
        alert_unit_free(m->alert_unit);
        state_free(m->state);
        runtime_dir_free(m->runtime);
        config_free(m->config);
        free(m->units_note);
        free(m->watch_error);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}

/* A socket that was kept over our restart. What is none, or none that we know (a newer version's),
 * is let go. */
static int on_adopted(int fd, const char *name, void *userdata)
{
        Manager *m = userdata;
        int r;

        /* Left open at a stop: that is no sign that its owner starts. */
        if (m->is_fresh)
                (void) placeholder_unshare(fd);
        r = hold_set_adopt_consume_fd(m->holds, fd, name);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                log_warning("Let go of '%s' in the fd store, it is no socket of ours: %s", name,
                            strerror(-r));
        else
                m->adopted++;
        return 0;
}

static int adopt_fds(Manager *m)
{
        int r;

        r = park_adopt(m->park, on_adopted, m);
        if (r < 0)
                log_warning("Cannot take over the sockets of our last run: %s", strerror(-r));
        if (m->adopted > 0)
                log_info("Took over %u sockets of our last run", m->adopted);
        return r == -ENOMEM ? r : 0;
}

void manager_confirm_parked(Manager *m)
{
        const char *problem;

        if (!notify_is_service())
                return;
        park_confirm(m->park);
        problem = park_problem(m->park);
        if (problem && !m->told_unparked)
                log_warning("Sockets would be free for a moment when portreserved is restarted: %s",
                            problem);
        m->told_unparked = problem;
}

static int open_doors(Manager *m)
{
        int r;

        r = bus_new(m->event, m->options.runtime_dir, &manager_bus_ops, m, &m->bus);
        if (r >= 0)
                r = handover_server_new(m->event, m->options.runtime_dir, &manager_handover_ops, m,
                                        &m->handover);
        if (r >= 0)
                r = open_door_new(m->event, m->options.runtime_dir, &manager_bus_ops, m, &m->door);
        if (r < 0)
                log_error("Cannot listen in %s: %s", m->options.runtime_dir, strerror(-r));
        return r;
}

/* Not restarted, but started after a boot or a stop. */
static bool is_fresh(const Manager *m)
{
        char path[PATH_MAX];

        return manager_runtime_path(m, RUNTIME_APPLIED, path) >= 0 && access(path, F_OK) < 0;
}

static void unlink_files(const Manager *m, const char *const *names, size_t n)
{
        char path[PATH_MAX];

        for (size_t i = 0; i < n; i++)
                if (manager_runtime_path(m, names[i], path) >= 0)
                        (void) unlink(path);
}

int manager_start(Manager *m)
{
        int r;

        m->is_fresh = is_fresh(m);
        unlink_files(m, (const char *const[]){ RUNTIME_STOPPING, RUNTIME_LEFT_OPEN }, 2);
        r = adopt_fds(m);
        if (r < 0)
                return r;
        r = manager_load(m);
        if (r < 0)
                return r;
        r = open_doors(m);
        if (r < 0)
                return r;
        manager_confirm_parked(m);
        (void) state_write(m->state);
        state_notify(m->state);
        notify_ready();
        state_touch(m->state);
        return 0;
}

/* Stopped for good: PID 1 may keep our sockets (FileDescriptorStorePreserve=), and nobody will open
 * them when their owners start. They stay in everybody else's way, but for servers with SO_REUSEADDR;
 * those of ReuseAddress=no are closed. */
static void leave_open(Manager *m)
{
        _cleanup_(closep) int fd = -1;
        char path[PATH_MAX];

        if (!m->generated || manager_runtime_path(m, RUNTIME_STOPPING, path) < 0 ||
            access(path, F_OK) < 0)
                return;
        m->leaving = true;
        if (hold_set_apply(m->holds, m->config) < 0)
                return;
        if (manager_runtime_path(m, RUNTIME_LEFT_OPEN, path) >= 0)
                fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                log_warning("Cannot make %s: %s. The sockets will be closed.", path,
                            strerror(errno));
}

/* A clean end. The sockets in the fd store stay there if this is a restart. */
static void manager_stop(Manager *m)
{
        static const char *const files[] = { RUNTIME_CONTROL, RUNTIME_HANDOVER, RUNTIME_OPEN,
                                             RUNTIME_STATE };
        int r;

        notify_stopping();
        leave_open(m);
        if (!m->options.keep_list) {
                PortSet none;

                /* By what we know, in case the record was cleared away; then by the record. */
                portset_clear(&none);
                (void) reserve_apply(m->reserve, &none);
                m->reserve = reserve_free(m->reserve);
                r = reserve_release(m->options.runtime_dir);
                if (r < 0)
                        log_error(
                                "Cannot take our ports out of net.ipv4.ip_local_reserved_ports: %s",
                                strerror(-r));
        }
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                runtime_dir_unlink(m->runtime, files[i]);
        /* Where a companion keeps the list this may be a restart, which goes on with what was
         * applied; after a stop the companion removes it all. */
        if (!m->options.keep_list) {
                runtime_dir_unlink(m->runtime, RUNTIME_APPLIED);
                runtime_dir_unlink(m->runtime, RUNTIME_UNITS);
        }
}

int manager_run(Manager *m)
{
        int r;

        r = sd_event_loop(m->event);
        if (r < 0) {
                /* No clean end: what is ours stays, for whoever restarts us. */
                log_error("Event loop failed: %s", strerror(-r));
                return r;
        }
        manager_stop(m);
        return 0;
}
