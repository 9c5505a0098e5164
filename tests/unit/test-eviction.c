/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What may be destroyed: each rule, row by row, and what holds whatever is seen. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "model/eviction.h"
#include "observations.h"

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP

/* By scope, in the order of the enum: none, ephemeral, any, undeclared. */
#define SCOPES 4

enum { SERVED = 1, TIMEWAIT = 2 };

typedef struct Row {
        const char *name;
        Kind kind;
        int protocol;
        SocketState state;
        Tristate automatic, owner;
        unsigned flags;
        EvictionVerdict verdicts[SCOPES];
} Row;

#define PASS    EVICTION_PASS
#define DESTROY EVICTION_DESTROY
#define ABORT   EVICTION_ABORT
#define SCOPE   EVICTION_OUT_OF_SCOPE
#define LISTENS EVICTION_LISTENS
#define BOUND   EVICTION_BOUND
#define FOREIGN EVICTION_SERVED
#define UNKNOWN EVICTION_UNKNOWN
#define ALL(v)                                                                                     \
        {                                                                                          \
                v, v, v, v                                                                         \
        }

/* clang-format off */
static const Row rows[] = {
        { "our hold", KIND_HOLD, TCP, SOCKET_CLOSE, TRI_NO, TRI_NO, 0, ALL(PASS) },
        { "PID 1's listener", KIND_LISTENER, TCP, SOCKET_LISTEN, TRI_NO, TRI_NO, 0, ALL(PASS) },
        { "owner listens", KIND_OWNER, TCP, SOCKET_LISTEN, TRI_NO, TRI_YES, 0, ALL(PASS) },
        { "owner connects from it", KIND_OWNER, TCP, SOCKET_ESTABLISHED, TRI_YES, TRI_YES, 0, ALL(PASS) },
        { "accepted by the owner", KIND_ACCEPTED, TCP, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, 0, ALL(PASS) },
        { "at another address", KIND_NONE, TCP, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, 0, ALL(PASS) },

        { "thief", KIND_EPHEMERAL, TCP, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, 0, { SCOPE, DESTROY, DESTROY, DESTROY } },
        { "thief that connects", KIND_EPHEMERAL, TCP, SOCKET_SYN_SENT, TRI_YES, TRI_NO, 0, { SCOPE, DESTROY, DESTROY, DESTROY } },
        { "thief that closes", KIND_EPHEMERAL, TCP, SOCKET_FIN_WAIT2, TRI_YES, TRI_NO, 0, { SCOPE, DESTROY, DESTROY, DESTROY } },
        { "or the owner's, accepted once", KIND_EPHEMERAL, TCP, SOCKET_ESTABLISHED, TRI_YES, TRI_UNKNOWN, 0,
          { SCOPE, UNKNOWN, UNKNOWN, DESTROY } },
        { "thief on UDP, connected", KIND_EPHEMERAL, UDP, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, 0, { SCOPE, DESTROY, DESTROY, DESTROY } },
        { "thief on UDP, not connected", KIND_EPHEMERAL, UDP, SOCKET_CLOSE, TRI_YES, TRI_NO, 0, { SCOPE, DESTROY, DESTROY, LISTENS } },
        { "bind(0), listening", KIND_EPHEMERAL, TCP, SOCKET_LISTEN, TRI_YES, TRI_NO, 0, { SCOPE, LISTENS, DESTROY, LISTENS } },
        { "bind(0), nothing else", KIND_EPHEMERAL, TCP, SOCKET_CLOSE, TRI_YES, TRI_NO, 0, { SCOPE, BOUND, BOUND, BOUND } },

        { "TIME_WAIT", KIND_STALE, TCP, SOCKET_TIME_WAIT, TRI_YES, TRI_UNKNOWN, TIMEWAIT, { SCOPE, DESTROY, DESTROY, DESTROY } },
        { "FIN_WAIT2, as little", KIND_STALE, TCP, SOCKET_FIN_WAIT2, TRI_YES, TRI_UNKNOWN, TIMEWAIT, { SCOPE, DESTROY, DESTROY, DESTROY } },
        { "orphan of a stranger", KIND_STALE, TCP, SOCKET_FIN_WAIT1, TRI_YES, TRI_NO, 0, { SCOPE, DESTROY, DESTROY, DESTROY } },
        { "orphan of who knows", KIND_STALE, TCP, SOCKET_FIN_WAIT1, TRI_YES, TRI_UNKNOWN, 0, { SCOPE, UNKNOWN, UNKNOWN, DESTROY } },
        { "remains at a foreign server", KIND_STALE, TCP, SOCKET_TIME_WAIT, TRI_YES, TRI_UNKNOWN, TIMEWAIT | SERVED,
          { SCOPE, FOREIGN, FOREIGN, FOREIGN } },

        { "squatter listens", KIND_SQUATTER, TCP, SOCKET_LISTEN, TRI_NO, TRI_NO, 0, { SCOPE, LISTENS, LISTENS, LISTENS } },
        { "squatter's client", KIND_EPHEMERAL, TCP, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, SERVED, { SCOPE, FOREIGN, FOREIGN, FOREIGN } },
        { "squatter bound", KIND_SQUATTER, TCP, SOCKET_CLOSE, TRI_NO, TRI_NO, 0, { SCOPE, BOUND, BOUND, BOUND } },
        { "squatter connected", KIND_SQUATTER, TCP, SOCKET_ESTABLISHED, TRI_NO, TRI_NO, 0, { SCOPE, SCOPE, ABORT, SCOPE } },
        { "squatter on UDP", KIND_SQUATTER, UDP, SOCKET_CLOSE, TRI_NO, TRI_NO, 0, { SCOPE, BOUND, BOUND, BOUND } },
        { "squatter on UDP, connected", KIND_SQUATTER, UDP, SOCKET_ESTABLISHED, TRI_NO, TRI_NO, 0, { SCOPE, SCOPE, ABORT, SCOPE } },
        { "the kernel's own", KIND_UNKNOWN, TCP, SOCKET_ESTABLISHED, TRI_NO, TRI_NO, 0, { SCOPE, UNKNOWN, UNKNOWN, SCOPE } },
        { "an earlier run's, perhaps", KIND_UNKNOWN, TCP, SOCKET_ESTABLISHED, TRI_YES, TRI_UNKNOWN, 0, { SCOPE, UNKNOWN, UNKNOWN, DESTROY } },
        { "bound by who knows", KIND_UNKNOWN, TCP, SOCKET_LISTEN, TRI_NO, TRI_UNKNOWN, 0, { SCOPE, UNKNOWN, UNKNOWN, LISTENS } },
};
/* clang-format on */

static void test_table(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (int scope = 0; scope < SCOPES; scope++) {
                        const Row *row = rows + i;
                        Observation o = { .socket = { .protocol = row->protocol,
                                                      .state = row->state,
                                                      .automatic = row->automatic,
                                                      .timewait = row->flags & TIMEWAIT },
                                          .owner = row->owner };
                        EvictionVerdict v = eviction_judge((EvictionScope) scope, row->kind, &o,
                                                           row->flags & SERVED);

                        if (v != row->verdicts[scope])
                                fail_msg("%s, scope %d: %d instead of %d", row->name, scope,
                                         (int) v, (int) row->verdicts[scope]);
                }
}

/* Each verdict that there is has a row. */
static void test_table_is_whole(void **state)
{
        bool seen[EVICTION_PASS + 1] = {};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (int scope = 0; scope < SCOPES; scope++)
                        seen[rows[i].verdicts[scope]] = true;
        for (size_t v = 0; v < ELEMENTSOF(seen); v++)
                assert_true(seen[v]);
}

static bool is_destroyed(EvictionVerdict v)
{
        return v == EVICTION_DESTROY || v == EVICTION_ABORT;
}

/* Whatever is seen, judged by policy first, as it is done. */
static void test_every_observation(void **state)
{
        Reservation r = { .name = (char *) "web" };

        for (unsigned n = 0; n < OBSERVATIONS * 2 * SCOPES; n++) {
                Endpoint e;
                Observation o = observation_of(n % OBSERVATIONS, &e);
                bool served = n / OBSERVATIONS % 2;
                EvictionScope scope = (EvictionScope) (n / OBSERVATIONS / 2);
                EvictionVerdict verdict;
                Kind kind;

                o.socket.timewait = o.socket.state == SOCKET_TIME_WAIT;
                kind = policy_judge(&r, &e, &o);
                verdict = eviction_judge(scope, kind, &o, served);
                if (o.ours || o.pid1_listener || o.owner == TRI_YES)
                        assert_int_equal(verdict, EVICTION_PASS);
                if (!is_destroyed(verdict))
                        continue;
                assert_int_not_equal(scope, EVICTION_NONE);
                assert_false(served);
                /* What may be the owner's and is alive. */
                if (scope != EVICTION_UNDECLARED && !o.socket.timewait)
                        assert_int_equal(o.owner, TRI_NO);
                if (o.socket.state == SOCKET_LISTEN) {
                        assert_int_equal(scope, EVICTION_ANY);
                        assert_int_equal(o.socket.automatic, TRI_YES);
                }
                /* Bound explicitly: no more than the one scope, and never called free. */
                if (kind == KIND_SQUATTER) {
                        assert_int_equal(scope, EVICTION_ANY);
                        assert_int_equal(verdict, EVICTION_ABORT);
                }
                if (kind == KIND_UNKNOWN)
                        assert_int_equal(scope, EVICTION_UNDECLARED);
        }
}

/* Where the port is not free of somebody, the reason is said. */
static void test_reasons(void **state)
{
        for (int v = 0; v <= EVICTION_PASS; v++)
                if (v == EVICTION_DESTROY || v == EVICTION_PASS)
                        assert_null(eviction_reason((EvictionVerdict) v));
                else
                        assert_non_null(eviction_reason((EvictionVerdict) v));
        assert_int_equal(eviction_scope_of(EVICT_NO), EVICTION_NONE);
        assert_int_equal(eviction_scope_of(EVICT_EPHEMERAL), EVICTION_EPHEMERAL);
        assert_int_equal(eviction_scope_of(EVICT_ANY), EVICTION_ANY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_table_is_whole),
                cmocka_unit_test(test_every_observation),
                cmocka_unit_test(test_reasons),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
