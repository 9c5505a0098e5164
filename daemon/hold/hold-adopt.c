/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sockets that came back from the fd store. What one is it says itself; its name is only needed to
 * take it out again. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "daemon/hold/hold-internal.h"

int hold_set_adopt_consume_fd(HoldSet *s, int fd, const char *name)
{
        _cleanup_(closep) int owned = fd;
        _cleanup_(freep) char *copy = NULL;
        PlaceholderInfo info;
        int r;

        r = placeholder_describe(fd, &info);
        if (r < 0) {
                if (s->ops.unstore)
                        s->ops.unstore(name, s->userdata);
                return r;
        }
        copy = strdup(name);
        if (!copy || !GROW(s->adopted, s->n_adopted_allocated, s->n_adopted + 1))
                return -ENOMEM;

        hold_name_reserve(s, name);
        s->adopted[s->n_adopted++] =
                (Adopted){ .fd = TAKE_FD(owned), .name = TAKE_PTR(copy), .info = info };
        return 0;
}

bool hold_set_has_adopted(const HoldSet *s, const Endpoint *e, uint16_t port)
{
        for (size_t i = 0; i < s->n_adopted; i++)
                if (placeholder_serves(&s->adopted[i].info, e, port))
                        return true;
        return false;
}

static Adopted *adopted_for(HoldSet *s, const Table *first, const Hold *h)
{
        void *head = table_get(first, hold_port_key(h->endpoint->protocol, h->port));

        for (size_t i = (size_t) (uintptr_t) head; i != 0; i = s->adopted[i - 1].next) {
                Adopted *a = &s->adopted[i - 1];

                if (!a->hold && placeholder_serves(&a->info, h->endpoint, h->port))
                        return a;
        }
        return NULL;
}

int hold_set_settle_adopted(HoldSet *s)
{
        _cleanup_(table_deinit) Table first = {}; /* protocol and port -> index + 1 */

        if (!table_reserve(&first, s->n_adopted))
                return -ENOMEM;
        for (size_t i = s->n_adopted; i-- > 0;) {
                Adopted *a = &s->adopted[i];
                uint64_t key = hold_port_key(a->info.protocol, a->info.port);

                a->next = (size_t) (uintptr_t) table_get(&first, key);
                (void) table_set(&first, key, (void *) (uintptr_t) (i + 1));
        }
        for (size_t i = 0; i < s->n_holds && s->n_adopted > 0; i++) {
                Adopted *a = s->holds[i]->state == HOLD_STATE_NONE
                                     ? adopted_for(s, &first, s->holds[i])
                                     : NULL;

                if (a)
                        a->hold = s->holds[i];
        }

        /* What nobody wants goes before anything is bound: it may be in the way. */
        for (size_t i = 0; i < s->n_adopted; i++) {
                Adopted *a = &s->adopted[i];

                if (a->hold)
                        continue;
                if (s->ops.unstore)
                        s->ops.unstore(a->name, s->userdata);
                hold_name_release(s, a->name);
                close(a->fd);
                a->fd = -1;
        }
        for (size_t i = 0; i < s->n_adopted; i++) {
                Adopted *a = &s->adopted[i];

                if (a->hold)
                        hold_take(a->hold, TAKE_FD(a->fd), TAKE_PTR(a->name), &a->info);
        }
        hold_set_forget_adopted(s);
        return 0;
}

void hold_set_forget_adopted(HoldSet *s)
{
        for (size_t i = 0; i < s->n_adopted; i++) {
                if (s->adopted[i].fd >= 0)
                        close(s->adopted[i].fd);
                free(s->adopted[i].name);
        }
        free(s->adopted);
        s->adopted = NULL;
        s->n_adopted = s->n_adopted_allocated = 0;
}
