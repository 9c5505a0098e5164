/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Both sides of portreserved-inspect: a request and a reply. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/printable.h"
#include "kernel/inspect-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
        _cleanup_(freep) char *shown = NULL;

        if (!text)
                return;
        shown = printable(text);
        if (!shown || strcmp(shown, text) != 0 || strlen(text) > max || !*text)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(inspect_answer_done) InspectAnswer a = {}, again = {};
        /* A copy of exactly that size, so that a sanitizer sees a byte too many. */
        _cleanup_(freep) char *copy = malloc(size + !size);
        char buf[INSPECT_REPLY_MAX];
        InspectRequest q;
        size_t n;

        if (!copy)
                return 0;
        memcpy(copy, data, size);
        if (inspect_request_parse(copy, size, &q) >= 0 &&
            (q.inode == 0 || (q.flags & ~(uint32_t) INSPECT_REUSE)))
                abort();

        if (inspect_reply_parse(copy, size, &a) < 0)
                return 0;
        check_text(a.cgroup, INSPECT_CGROUP_MAX);
        check_text(a.exe, INSPECT_EXE_MAX);
        check_text(a.command, HOLDER_COMMAND_MAX);
        if ((a.outcome == INSPECT_FOUND) != (a.pid > 0))
                abort();
        /* What was taken is what would be sent. */
        n = inspect_reply_format(&a, buf);
        if (n != size || memcmp(buf, data, n) != 0 || inspect_reply_parse(buf, n, &again) < 0)
                abort();
        return 0;
}
