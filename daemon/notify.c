/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"

static int is_service = -1;

bool notify_is_service(void)
{
        if (is_service < 0)
                is_service = getenv("NOTIFY_SOCKET") && sd_booted() > 0;
        return is_service;
}

void notify_ready(void)
{
        (void) sd_notify(false, "READY=1");
}

void notify_reloading(void)
{
        /* The time stamp is what Type=notify-reload (253) wants besides; others ignore it. */
        (void) sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_usec(CLOCK_MONOTONIC));
}

void notify_stopping(void)
{
        (void) sd_notify(false, "STOPPING=1");
}

void notify_status(const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r >= 0)
                (void) sd_notifyf(false, "STATUS=%s", text);
}

int notify_store_fds(const int *fds, unsigned n, const char *name)
{
        char text[64];

        if (!notify_is_service())
                return 0;
        (void) snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
        return sd_pid_notify_with_fds(0, false, text, fds, n);
}

int notify_unstore_fd(const char *name)
{
        if (!notify_is_service())
                return 0;
        return sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

int notify_barrier(uint64_t timeout_usec)
{
        int r;

        if (!notify_is_service())
                return 0;
        r = sd_notify_barrier(false, timeout_usec);
        return r < 0 ? r : 0;
}
