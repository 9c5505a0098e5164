/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/owners.h"

#include <errno.h>
#include <limits.h>
#include <search.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "model/reservation.h"

typedef struct OwnerRecord {
        char reservation[RESERVATION_NAME_MAX + 1];
        char *cgroup;
        uint64_t lent;   /* the id of a cgroup, 0: none */
        uint64_t failed; /* CLOCK_MONOTONIC in microseconds, 0: it did not */
} OwnerRecord;

struct Owners {
        void *tree; /* of OwnerRecord, tsearch(3): no more than there are names in the configuration */
};

static void owner_free(void *p)
{
        OwnerRecord *o = p;

        free(o->cgroup);
        free(o);
}

static int owner_compare(const void *a, const void *b)
{
        return strcmp(((const OwnerRecord *) a)->reservation,
                      ((const OwnerRecord *) b)->reservation);
}

int owners_new(Owners **ret)
{
        Owners *o;

        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        *ret = o;
        return 0;
}

Owners *owners_free(Owners *o)
{
        if (!o)
                return NULL;
        tdestroy(o->tree, owner_free);
        free(o);
        return NULL;
}

static OwnerRecord *find(const Owners *o, const char *reservation)
{
        OwnerRecord key = {};
        void *node;

        (void) snprintf(key.reservation, sizeof(key.reservation), "%s", reservation);
        node = tfind(&key, &o->tree, owner_compare);
        return node ? *(OwnerRecord **) node : NULL;
}

int owners_started(Owners *o, const char *reservation, const char *cgroup)
{
        OwnerRecord *owner = find(o, reservation);
        char *copy = NULL;

        if (cgroup) {
                copy = strdup(cgroup);
                if (!copy)
                        return -ENOMEM;
        }
        if (!owner) {
                owner = calloc(1, sizeof(*owner));
                if (owner)
                        (void) snprintf(owner->reservation, sizeof(owner->reservation), "%s",
                                        reservation);
                if (!owner || !tsearch(owner, &o->tree, owner_compare)) {
                        free(owner);
                        free(copy);
                        return -ENOMEM;
                }
        }
        free(owner->cgroup);
        owner->cgroup = copy;
        return 0;
}

void owners_set_failed(Owners *o, const char *reservation, bool failed)
{
        OwnerRecord *owner = find(o, reservation);

        if (owner)
                owner->failed = failed ? now_usec(CLOCK_MONOTONIC) : 0;
}

uint64_t owners_lend(Owners *o, const char *reservation, uint64_t cgroup)
{
        OwnerRecord *owner = find(o, reservation);
        uint64_t before = owner ? owner->lent : cgroup;

        if (owner)
                owner->lent = cgroup;
        return before;
}

bool owners_take_failed(Owners *o, const char *reservation, uint64_t within)
{
        OwnerRecord *owner = find(o, reservation);
        uint64_t failed = owner ? owner->failed : 0;

        if (owner)
                owner->failed = 0;
        return failed != 0 && now_usec(CLOCK_MONOTONIC) - failed <= within;
}

Tristate owners_alive(const Owners *o, const char *reservation, const char *root)
{
        const OwnerRecord *owner = find(o, reservation);
        _cleanup_(freep) char *events = NULL;
        char path[PATH_MAX];
        int r;

        /* In the root cgroup is everybody: that tells nothing. */
        if (!root || !owner || !owner->cgroup || strcmp(owner->cgroup, "/") == 0)
                return TRI_UNKNOWN;
        if ((size_t) snprintf(path, sizeof(path), "%s%s/cgroup.events", root, owner->cgroup) >=
            sizeof(path))
                return TRI_UNKNOWN;
        r = file_read(path, 4096, &events, NULL);
        if (r == -ENOENT)
                return TRI_NO; /* the service manager has removed it */
        if (r < 0)
                return TRI_UNKNOWN;
        return strstr(events, "populated 1") ? TRI_YES : TRI_NO;
}
