/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/inspect/inspect.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "kernel/inspect-client.h"

/* What can be answered while one waits, four at a time; more are told with the names of their units. */
#define QUESTIONS_MAX 256u
/* Fewer than the helper answers at a time. */
#define UNDER_WAY_MAX 4u
/* The helper's process for a question has been killed by then. */
#define LATE_USEC (5 * USEC_PER_SEC)

#define TIMER_ACCURACY (5 * USEC_PER_MSEC)

typedef struct Question {
        Inspect *inspect;
        void *about;
        Socket socket;
        uint64_t asked_usec; /* CLOCK_MONOTONIC */
        int fd;              /* -1: waits for its turn */
        sd_event_source *io;
        bool told; /* answered() was called, without an answer */
} Question;

struct Inspect {
        sd_event *event;
        InspectOps ops;
        void *userdata;
        sd_event_source *timer;
        Question *questions[QUESTIONS_MAX]; /* oldest first */
        size_t n;
        const char *problem;
};

static Question *question_free(Question *q)
{
        if (!q)
                return NULL;
        sd_event_source_disable_unref(q->io);
        closep(&q->fd);
        free(q);
        return NULL;
}
DEFINE_CLEANUP(Question, question_free);

static void remove_question(Inspect *i, const Question *q)
{
        size_t k = 0;

        while (i->questions[k] != q)
                k++;
        memmove(i->questions + k, i->questions + k + 1, (i->n - k - 1) * sizeof(Question *));
        i->n--;
}

static uint64_t deadline(const Question *q)
{
        return q->asked_usec + (q->told ? LATE_USEC : INSPECT_WAIT_USEC);
}

static size_t under_way(const Inspect *i)
{
        size_t n = 0;

        for (size_t k = 0; k < i->n; k++)
                n += i->questions[k]->fd >= 0;
        return n;
}

/* For the first deadline, or for whose turn it is. */
static void arm_timer(Inspect *i)
{
        bool room = under_way(i) < UNDER_WAY_MAX;
        uint64_t first = UINT64_MAX;

        for (size_t k = 0; k < i->n; k++)
                first = MIN_OF(first,
                               room && i->questions[k]->fd < 0 ? 0 : deadline(i->questions[k]));
        (void) sd_event_source_set_time(i->timer, first);
        (void) sd_event_source_set_enabled(i->timer, i->n > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static const char *problem_of(int error, const InspectAnswer *a)
{
        if (a)
                return a->outcome == INSPECT_UNFINISHED
                               ? "portreserved-inspect could not look at every process in time"
                               : NULL;
        switch (error) {
        case -ENOENT:
        case -ECONNREFUSED:
                return "portreserved-inspect.socket does not listen: systemctl start "
                       "portreserved-inspect.socket";
        case -EACCES:
        case -EPERM:
                return "portreserved-inspect.socket is not for this user: systemctl restart "
                       "portreserved-inspect.socket";
        case -ETIMEDOUT:
                return "portreserved-inspect does not answer: journalctl -u portreserved-inspect";
        case -EPIPE:
        case -ECONNRESET:
                return "portreserved-inspect hangs up without an answer: journalctl -u "
                       "portreserved-inspect";
        case -EBADMSG:
                return "portreserved-inspect is of another version: systemctl restart portreserved";
        default:
                return "portreserved-inspect cannot be asked for want of descriptors or memory";
        }
}

static void set_problem(Inspect *i, const char *problem)
{
        if (i->problem == problem)
                return;
        i->problem = problem; /* a literal */
        i->ops.problem(i->userdata);
}

static void tell(Question *q, const InspectAnswer *a)
{
        Inspect *i = q->inspect;
        bool late = q->told;

        q->told = true;
        if (!late)
                i->ops.answered(q->about, a, i->userdata);
        else if (a)
                i->ops.answered_late(q->about, a, i->userdata);
}

/* It is over: with an answer or an error. Whoever is told may ask and forget others. */
static void conclude(Question *q, int error, const InspectAnswer *a)
{
        _cleanup_(question_freep) _unused_ Question *over = q;
        Inspect *i = q->inspect;

        remove_question(i, q);
        set_problem(i, problem_of(error, a));
        tell(q, a);
}

static int on_answer(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
        _cleanup_(inspect_answer_done) InspectAnswer a = {};
        Question *q = userdata;
        Inspect *i = q->inspect;
        int r;

        r = inspect_read_answer(fd, &a);
        if (r == -EAGAIN || r == -EINTR)
                return 0;
        conclude(q, r, r < 0 ? NULL : &a);
        arm_timer(i);
        return 0;
}

static int ask_now(Question *q)
{
        /* Of a listener the answer is known (nobody may bind beside it), and its port has to be free
         * when its process has closed it. */
        InspectFlags flags = q->socket.state == SOCKET_LISTEN ? 0 : INSPECT_REUSE;
        int r;

        r = inspect_request(&q->socket, flags, &q->fd);
        if (r < 0)
                return r;
        return sd_event_add_io(q->inspect->event, &q->io, q->fd, EPOLLIN, on_answer, q);
}

/* Asks those whose turn it is. */
static void go_on(Inspect *i)
{
        for (size_t k = 0; k < i->n && under_way(i) < UNDER_WAY_MAX;) {
                Question *q = i->questions[k];
                int r = q->fd < 0 ? ask_now(q) : 0;

                if (r < 0) {
                        conclude(q, r, NULL);
                        k = 0;
                } else
                        k++;
        }
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC) + TIMER_ACCURACY;
        Inspect *i = userdata;

        for (size_t k = 0; k < i->n;) {
                Question *q = i->questions[k];

                if (deadline(q) > now) {
                        k++;
                        continue;
                }
                if (q->fd < 0 || q->told)
                        conclude(q, -ETIMEDOUT, NULL);
                else {
                        set_problem(i, problem_of(-ETIMEDOUT, NULL));
                        tell(q, NULL);
                }
                k = 0;
        }
        go_on(i);
        arm_timer(i);
        return 0;
}

int inspect_new(sd_event *event, const InspectOps *ops, void *userdata, Inspect **ret)
{
        _cleanup_(inspect_freep) Inspect *i = NULL;
        int r;

        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        i->event = sd_event_ref(event);
        i->ops = *ops;
        i->userdata = userdata;
        r = sd_event_add_time(event, &i->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_timer, i);
        if (r >= 0)
                r = sd_event_source_set_enabled(i->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}

Inspect *inspect_free(Inspect *i)
{
        if (!i)
                return NULL;
        while (i->n > 0)
                question_free(i->questions[--i->n]);
        sd_event_source_disable_unref(i->timer);
        sd_event_unref(i->event);
        free(i);
        return NULL;
}

int inspect_ask(Inspect *i, void *about, const Socket *s)
{
        _cleanup_(question_freep) Question *q = NULL;
        int r;

        if (i->n >= QUESTIONS_MAX)
                return -EBUSY;
        /* Nobody waits for who is known not to answer at the moment. */
        for (size_t k = 0; k < i->n; k++)
                if (i->questions[k]->told)
                        return -EBUSY;

        q = malloc(sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (Question){
                .inspect = i,
                .about = about,
                .socket = *s,
                .asked_usec = now_usec(CLOCK_MONOTONIC),
                .fd = -1,
        };
        if (under_way(i) < UNDER_WAY_MAX) {
                r = ask_now(q);
                if (r < 0) {
                        set_problem(i, problem_of(r, NULL));
                        return r;
                }
        }
        i->questions[i->n++] = TAKE_PTR(q);
        arm_timer(i);
        return 0;
}

bool inspect_forget(Inspect *i, const void *about)
{
        for (size_t k = 0; k < i->n; k++) {
                _cleanup_(question_freep) Question *q = NULL;

                if (i->questions[k]->about != about)
                        continue;
                q = i->questions[k];
                remove_question(i, q);
                arm_timer(i);
                return !q->told;
        }
        return false;
}

bool inspect_is_awaited(const Inspect *i, const void *about)
{
        for (size_t k = 0; k < i->n; k++)
                if (i->questions[k]->about == about)
                        return !i->questions[k]->told;
        return false;
}

const char *inspect_problem(const Inspect *i)
{
        return i->problem;
}
