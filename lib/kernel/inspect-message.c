/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/inspect-message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/printable.h"
#include "model/reservation.h"

/* The kernel's PID_MAX_LIMIT. */
#define PID_MAX (4 * 1024 * 1024)
/* The year 9999: what can be written as a time. */
#define TIME_MAX_USEC (UINT64_C(253402300799) * 1000000)

static const struct {
        size_t offset, max;
} texts[] = {
        { offsetof(InspectAnswer, cgroup), INSPECT_CGROUP_MAX },
        { offsetof(InspectAnswer, exe), INSPECT_EXE_MAX },
        { offsetof(InspectAnswer, command), HOLDER_COMMAND_MAX },
};

static char **answer_text(InspectAnswer *a, size_t i)
{
        return (char **) ((char *) a + texts[i].offset);
}

void inspect_answer_done(InspectAnswer *a)
{
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                free(*answer_text(a, i));
        *a = (InspectAnswer){};
}

int inspect_request_parse(const void *data, size_t size, InspectRequest *ret)
{
        InspectRequest q;

        if (size != sizeof(q))
                return -EBADMSG;
        memcpy(&q, data, sizeof(q));
        if (q.magic != INSPECT_MAGIC || (q.flags & ~(uint32_t) INSPECT_REUSE) != 0 ||
            q.inode == 0 || q.zero != 0)
                return -EBADMSG;
        *ret = q;
        return 0;
}

size_t inspect_reply_format(const InspectAnswer *a, void *buf)
{
        InspectReply reply = {
                .magic = INSPECT_MAGIC,
                .outcome = a->outcome,
                .started_usec = a->started_usec,
                .pid = a->pid,
                .uid = a->uid,
                .reuse = a->reuse,
        };
        char *p = (char *) buf + sizeof(reply);

        memcpy(buf, &reply, sizeof(reply));
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                const char *text = *answer_text((InspectAnswer *) a, i);
                size_t l = text ? strlen(text) : 0;

                if (l > texts[i].max)
                        l = 0;
                if (l > 0)
                        memcpy(p, text, l);
                p[l] = 0;
                p += l + 1;
        }
        return (size_t) (p - (char *) buf);
}

/* The next text of those that end at end. 0: *ret has it, or NULL where it is empty. */
static int take_text(const char **p, const char *end, size_t max, char **ret)
{
        _cleanup_(freep) char *shown = NULL;
        const char *text = *p, *nul;

        nul = memchr(text, 0, (size_t) (end - text));
        if (!nul || (size_t) (nul - text) > max)
                return -EBADMSG;
        *p = nul + 1;
        if (nul == text)
                return 0;
        shown = printable(text);
        if (!shown)
                return -ENOMEM;
        if (strcmp(shown, text) != 0)
                return -EBADMSG;
        *ret = TAKE_PTR(shown);
        return 0;
}

static int take_texts(const char *p, const char *end, InspectAnswer *a)
{
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                int r = take_text(&p, end, texts[i].max, answer_text(a, i));

                if (r < 0)
                        return r;
        }
        return p == end && (!a->cgroup || a->cgroup[0] == '/') ? 0 : -EBADMSG;
}

static bool plausible(const InspectReply *r)
{
        if (r->magic != INSPECT_MAGIC || r->zero != 0 || r->outcome < INSPECT_FOUND ||
            r->outcome >= _INSPECT_OUTCOME_MAX)
                return false;
        if (r->outcome != INSPECT_FOUND)
                return r->pid == 0 && r->uid == UID_INVALID && r->started_usec == 0 &&
                       r->reuse == TRI_UNKNOWN;
        return r->pid > 0 && r->pid <= PID_MAX && r->started_usec <= TIME_MAX_USEC &&
               r->reuse >= TRI_UNKNOWN && r->reuse <= TRI_YES;
}

int inspect_reply_parse(const void *data, size_t size, InspectAnswer *ret)
{
        _cleanup_(inspect_answer_done) InspectAnswer a = {};
        InspectReply reply;
        int r;

        if (size < sizeof(reply))
                return -EBADMSG;
        memcpy(&reply, data, sizeof(reply));
        if (!plausible(&reply))
                return -EBADMSG;
        r = take_texts((const char *) data + sizeof(reply), (const char *) data + size, &a);
        if (r < 0)
                return r;
        if (reply.outcome != INSPECT_FOUND && (a.exe || a.command))
                return -EBADMSG;
        a.outcome = (InspectOutcome) reply.outcome;
        a.pid = reply.pid;
        a.uid = reply.uid;
        a.started_usec = reply.started_usec;
        a.reuse = (Tristate) reply.reuse;
        *ret = a;
        a = (InspectAnswer){};
        return 0;
}
