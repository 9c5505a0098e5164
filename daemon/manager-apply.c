/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The configuration on its way into effect. */

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/printable.h"
#include "daemon/alert/log.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "kernel/config-file.h"
#include "kernel/config-units.h"
#include "kernel/kernel-list.h"
#include "kernel/runtime.h"

/* What of the configuration may be in the kernel's list. */
static int reservable(Manager *m, Config *c, PortSet *ret)
{
        uint16_t first = 32768, last = 60999; /* the kernel's defaults */

        (void) ephemeral_range_read(&first, &last);
        return config_reservable(c, reserve_foreign(m->reserve), first, last, ret);
}

static void log_diagnostic(int priority, const Diagnostic *d)
{
        if (d->line > 0)
                log_line(priority, "%s:%u: %s", d->file, d->line, d->message);
        else /* about the file as a whole */
                log_line(priority, "%s: %s", d->file, d->message);
}

static void log_diagnostics(const Config *c)
{
        for (size_t i = 0; i < c->n_errors; i++)
                log_diagnostic(LOG_ERR, &c->errors[i]);
        if (c->n_errors_dropped > 0)
                log_error("and %zu more mistakes in the configuration", c->n_errors_dropped);
        for (size_t i = 0; i < c->n_warnings; i++)
                log_diagnostic(LOG_WARNING, &c->warnings[i]);
}

void manager_save_applied(Manager *m)
{
        char path[PATH_MAX], away[PATH_MAX];
        int r;

        r = manager_runtime_path(m, RUNTIME_APPLIED, path);
        if (r < 0)
                return;
        r = config_save_applied(m->config, path);
        if (r >= 0)
                return;
        /* Rather none than that of an earlier configuration; renamed first, since one that is
         * deleted is taken for somebody's doing. */
        if (path_join(away, sizeof(away), m->options.runtime_dir, RUNTIME_APPLIED ".old") >= 0 &&
            rename(path, away) >= 0)
                (void) unlink(away);
        log_warning("Cannot write %s: %s. After a crash %s will be read instead.", path,
                    strerror(-r), m->options.config ?: CONFIG_FILE_DEFAULT);
}

static int manager_apply_ports(Manager *m, Config *config, const PortSet *ports)
{
        _cleanup_(config_freep) Config *old = NULL;
        int r, k;

        m->held_told = 0;
        m->declared = *ports;
        manager_merge_units(m, config);
        (void) reserve_apply(m->reserve, &m->reserved); /* tells its failures, and tries again */

        /* Both layers look into the old one while they compare: it goes last. */
        old = m->config;
        m->config = config;
        alert_set_interval(m->alert, config->daemon.alert_interval_usec);
        identify_reset(watch_identify(m->watch));
        if (m->generated)
                (void) generated_look(m->generated, config);
        r = hold_set_apply(m->holds, config);
        if (r < 0)
                log_error("Cannot hold all ports: %s", strerror(-r));
        /* Who still listens is told by the sweep that this begins with. */
        portset_clear(&m->listening_tcp);
        portset_clear(&m->listening_udp);
        evictor_set_config(m->evictor, config);
        k = watch_apply(m->watch, config);
        if (k < 0)
                log_error("Cannot watch: %s", strerror(-k));
        /* Who had no memory for the new one still looks into the old. */
        if (r < 0 || k < 0)
                TAKE_PTR(old);
        manager_evict_all(m);
        k = units_enable(m->units, config->daemon.socket_units && notify_is_service());
        if (k < 0)
                log_error("Cannot follow socket units: %s", strerror(-k));

        restarts_watch(m->restarts);
        manager_save_applied(m);
        return 0;
}

int manager_apply(Manager *m, Config *config)
{
        PortSet ports;
        int r;

        /* May find mistakes: they have to be known before anything is changed. */
        r = reservable(m, config, &ports);
        if (r < 0)
                return r;
        log_diagnostics(config);
        return manager_apply_ports(m, config, &ports);
}

static void log_loaded(const Manager *m)
{
        size_t n = m->config->n_reservations;
        size_t pending = hold_set_pending(m->holds), held = hold_set_count(m->holds) - pending;

        log_info("%zu reservation%s; %zu socket%s held, %zu pending", n, PLURAL(n), held,
                 PLURAL(held), pending);
}

/* Of units PID 1 has to be there to say anything. */
static int load_config(const Manager *m, Config **ret)
{
        _cleanup_(config_freep) Config *c = NULL;
        int r;

        r = config_load(&(ConfigPaths){ .main = m->options.config, .root = "" }, &c);
        if (r >= 0 && notify_is_service())
                r = config_check_host(c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int manager_load(Manager *m)
{
        _cleanup_(config_freep) Config *c = NULL;
        char path[PATH_MAX];
        int r;

        r = manager_runtime_path(m, RUNTIME_APPLIED, path);
        if (r < 0)
                return r;
        r = access(path, F_OK) < 0 ? -ENOENT : config_load_applied(path, &c);
        if (r == -EBADMSG)
                log_warning("%s is damaged; reading the configuration again", path);
        if (r >= 0)
                log_info("Going on with what was applied last (%s); 'portreservectl reload' reads "
                         "the configuration again",
                         path);
        else
                r = load_config(m, &c);
        if (r < 0) {
                log_error("Cannot read %s: %s", m->options.config ?: CONFIG_FILE_DEFAULT,
                          strerror(-r));
                return r;
        }
        r = manager_apply(m, c);
        if (r < 0)
                return r;
        TAKE_PTR(c);
        manager_log_generated(m);
        log_loaded(m);
        return 0;
}

static char *errors_text(const Config *c)
{
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        config_print_errors(c, f);
        return memstream_end(f, &text);
}

static int reload(Manager *m, char **ret_error)
{
        _cleanup_(config_freep) Config *c = NULL;
        PortSet ports;
        int r;

        r = load_config(m, &c);
        if (r < 0) {
                if (asprintf(ret_error, "%s: %s", m->options.config ?: CONFIG_FILE_DEFAULT,
                             strerror(-r)) < 0)
                        *ret_error = NULL;
                return r;
        }
        r = reservable(m, c, &ports);
        if (r < 0) {
                *ret_error = strdup(strerror(-r));
                return r;
        }
        log_diagnostics(c);
        if (c->n_errors > 0) {
                *ret_error = errors_text(c);
                return -EINVAL;
        }
        r = config_note_renamed(c, m->config);
        if (r >= 0 && notify_is_service())
                r = restarts_mark(c, m->config);
        if (r < 0) {
                *ret_error = strdup(strerror(-r));
                return r;
        }
        return manager_apply_ports(m, TAKE_PTR(c), &ports);
}

int manager_reload(Manager *m, char **ret_error)
{
        int r;

        notify_reloading();
        r = reload(m, ret_error);
        if (r < 0)
                log_error("Not reloaded, what ran goes on: %s",
                          r == -EINVAL ? "the configuration has mistakes" : strerror(-r));
        else
                log_notice("Reloaded: %zu reservation%s", m->config->n_reservations,
                           PLURAL(m->config->n_reservations));
        manager_confirm_parked(m);
        notify_ready();
        (void) state_write(m->state);
        state_touch(m->state);
        return r;
}
