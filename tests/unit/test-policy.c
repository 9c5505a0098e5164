/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verdicts, row by row: each rule of "Watching: Verdicts, in this order" alone, and against the
 * rules after it. */

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/bind-rules.h"
#include "model/policy.h"
#include "observations.h"

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP

enum {
        OURS = 1,
        PID1 = 2,
        LEGIT = 4,
        V6ONLY = 8,
        INODE = 16,
        GONE = 32,
        KERNEL = 64,
        MPTCP = 128,
        ELSEWHERE = 256
};

typedef struct Row {
        const char *name;
        /* The endpoint. */
        int protocol;
        const char *address; /* NULL: both families */
        uint16_t first, last;
        /* The socket. */
        int socket_protocol;
        const char *local;
        uint16_t port;
        SocketState state;
        Tristate automatic, owner;
        unsigned flags;
        Kind kind;
        WouldBind would_bind;
} Row;

#define YES   WOULD_BIND_YES
#define REUSE WOULD_BIND_WITH_REUSEADDR
#define NO    WOULD_BIND_NO

/* clang-format off */
static const Row rows[] = {
        /* Our hold, before all. */
        { "hold bound", TCP, NULL, 80, 80, TCP, "::", 80, SOCKET_CLOSE, TRI_NO, TRI_NO, OURS | INODE, KIND_HOLD, REUSE },
        { "hold before owner", TCP, NULL, 80, 80, TCP, "::", 80, SOCKET_CLOSE, TRI_NO, TRI_YES, OURS | INODE, KIND_HOLD, REUSE },
        { "hold listening", TCP, NULL, 80, 80, TCP, "::", 80, SOCKET_LISTEN, TRI_NO, TRI_UNKNOWN, OURS | INODE, KIND_HOLD, NO },
        { "hold of UDP", UDP, NULL, 53, 53, UDP, "0.0.0.0", 53, SOCKET_CLOSE, TRI_NO, TRI_NO, OURS | INODE, KIND_HOLD, REUSE },
        { "hold elsewhere is still a hold", TCP, "127.0.0.1", 80, 80, TCP, "127.0.0.2", 80, SOCKET_CLOSE, TRI_NO, TRI_NO, OURS | INODE,
          KIND_HOLD, YES },

        /* PID 1's listener. */
        { "PID 1 listens", TCP, NULL, 80, 80, TCP, "::", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, PID1 | INODE, KIND_LISTENER, NO },
        { "PID 1 before owner", TCP, NULL, 80, 80, TCP, "::", 80, SOCKET_LISTEN, TRI_NO, TRI_YES, PID1 | INODE, KIND_LISTENER, NO },
        { "PID 1 on UDP", UDP, NULL, 53, 53, UDP, "::", 53, SOCKET_CLOSE, TRI_NO, TRI_UNKNOWN, PID1 | INODE, KIND_LISTENER, REUSE },

        /* Not reserved: before the owner's. */
        { "other protocol", TCP, NULL, 80, 80, UDP, "0.0.0.0", 80, SOCKET_CLOSE, TRI_NO, TRI_NO, INODE, KIND_NONE, YES },
        { "port below", TCP, NULL, 80, 89, TCP, "0.0.0.0", 79, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE, KIND_NONE, YES },
        { "port above", TCP, NULL, 80, 89, TCP, "0.0.0.0", 90, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE, KIND_NONE, YES },
        { "other address", TCP, "127.0.0.1", 80, 80, TCP, "127.0.0.2", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE, KIND_NONE, YES },
        { "other address of the owner", TCP, "127.0.0.1", 80, 80, TCP, "127.0.0.2", 80, SOCKET_LISTEN, TRI_NO, TRI_YES, INODE, KIND_NONE,
          YES },
        { "other family", TCP, "127.0.0.1", 80, 80, TCP, "::1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE, KIND_NONE, YES },
        { "other family, v6only", TCP, "0.0.0.0", 80, 80, TCP, "::1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, V6ONLY | INODE, KIND_NONE,
          YES },
        /* Beside 0.0.0.0, IPv6 that the kernel gave its port; what nobody can have bound. */
        { "IPv6 thief of 0.0.0.0", TCP, "0.0.0.0", 80, 80, TCP, "::1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "IPv6 thief, not asked", TCP, "0.0.0.0", 80, 80, TCP, "::1", 80, SOCKET_CLOSE_WAIT, TRI_UNKNOWN, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "IPv6 thief on UDP", UDP, "0.0.0.0", 80, 80, UDP, "::1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "IPv6 that was bound first", TCP, "0.0.0.0", 80, 80, TCP, "::1", 80, SOCKET_ESTABLISHED, TRI_NO, TRI_NO, V6ONLY | INODE, KIND_NONE,
          YES },
        { "IPv6 accepted by the owner", TCP, "0.0.0.0", 80, 80, TCP, "::1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_YES, LEGIT | INODE,
          KIND_OWNER, REUSE },
        { "IPv6 remains", TCP, "0.0.0.0", 80, 80, TCP, "::1", 80, SOCKET_TIME_WAIT, TRI_YES, TRI_NO, 0, KIND_NONE, NO },
        { "IPv6 thief of 127.0.0.1", TCP, "127.0.0.1", 80, 80, TCP, "::1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE, KIND_NONE, YES },
        { "v6only neighbour", TCP, "127.0.0.1", 80, 80, TCP, "::", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, V6ONLY | INODE, KIND_NONE, YES },
        { "dual stack meets IPv4", TCP, "127.0.0.1", 80, 80, TCP, "::", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "first of the run", TCP, NULL, 80, 89, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "last of the run", TCP, NULL, 80, 89, TCP, "0.0.0.0", 89, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "port 0 in no run", TCP, NULL, 80, 89, TCP, "0.0.0.0", 0, SOCKET_CLOSE, TRI_NO, TRI_NO, INODE, KIND_NONE, YES },

        /* The owner's: before accepted, stale, ephemeral. */
        { "owner listens", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_NO, TRI_YES, INODE, KIND_OWNER, NO },
        { "owner has bound", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_CLOSE, TRI_NO, TRI_YES, INODE, KIND_OWNER, REUSE },
        { "owner accepted", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_YES, LEGIT | INODE, KIND_OWNER, REUSE },
        { "owner connects", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_SYN_SENT, TRI_YES, TRI_YES, INODE, KIND_OWNER, REUSE },
        { "owner's orphan", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_FIN_WAIT1, TRI_YES, TRI_YES, 0, KIND_OWNER, REUSE },
        { "owner's connection, its listener has closed", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_YES, INODE,
          KIND_OWNER, REUSE },
        { "owner listens by MPTCP", TCP, NULL, 80, 80, TCP, "::", 80, SOCKET_LISTEN, TRI_NO, TRI_YES, INODE | MPTCP, KIND_OWNER, NO },
        { "owner accepted by MPTCP", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_YES, INODE | MPTCP, KIND_OWNER,
          REUSE },
        { "owner's device", UDP, NULL, 53, 53, UDP, "0.0.0.0", 53, SOCKET_CLOSE, TRI_NO, TRI_YES, INODE | KERNEL, KIND_OWNER, REUSE },
        { "owner's, connected UDP", UDP, NULL, 53, 53, UDP, "127.0.0.1", 53, SOCKET_ESTABLISHED, TRI_NO, TRI_YES, INODE, KIND_OWNER, REUSE },
        { "owner on UDP", UDP, NULL, 53, 53, UDP, "127.0.0.1", 53, SOCKET_CLOSE, TRI_NO, TRI_YES, INODE, KIND_OWNER, REUSE },

        /* Accepted: connections only, before stale and ephemeral. */
        { "accepted", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, LEGIT | INODE, KIND_ACCEPTED, REUSE },
        { "accepted, no cgroup", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_CLOSE_WAIT, TRI_UNKNOWN, TRI_UNKNOWN, LEGIT | INODE,
          KIND_ACCEPTED, REUSE },
        { "not yet accepted", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_SYN_RECV, TRI_YES, TRI_UNKNOWN, LEGIT, KIND_ACCEPTED, REUSE },
        { "a listener's remains", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_TIME_WAIT, TRI_YES, TRI_UNKNOWN, LEGIT, KIND_ACCEPTED, REUSE },
        { "accepted by an earlier run", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_UNKNOWN, LEGIT | INODE | GONE,
          KIND_ACCEPTED, REUSE },
        { "accepted by an earlier run, its listener's is another", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES,
          TRI_UNKNOWN, LEGIT | ELSEWHERE | INODE | GONE, KIND_ACCEPTED, REUSE },
        { "a stranger's, beside the owner's listener", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_NO, TRI_NO,
          LEGIT | ELSEWHERE | INODE, KIND_SQUATTER, NO },
        { "remains beside the owner's listener", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_TIME_WAIT, TRI_YES, TRI_UNKNOWN,
          LEGIT | ELSEWHERE, KIND_ACCEPTED, REUSE },
        { "a second listener is not accepted", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, LEGIT | INODE,
          KIND_SQUATTER, NO },
        { "a bound one is not accepted", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_CLOSE, TRI_NO, TRI_NO, LEGIT | INODE, KIND_SQUATTER,
          NO },
        { "UDP accepts nothing", UDP, NULL, 53, 53, UDP, "127.0.0.1", 53, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, LEGIT | INODE, KIND_EPHEMERAL,
          NO },

        /* Remains: whatever BC_AUTO says of them. */
        { "TIME_WAIT", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_TIME_WAIT, TRI_YES, TRI_UNKNOWN, 0, KIND_STALE, NO },
        { "TIME_WAIT not automatic", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_TIME_WAIT, TRI_NO, TRI_NO, 0, KIND_STALE, REUSE },
        { "FIN_WAIT2 orphan", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_FIN_WAIT2, TRI_YES, TRI_NO, 0, KIND_STALE, NO },
        { "LAST_ACK orphan", TCP, NULL, 80, 80, TCP, "::1", 80, SOCKET_LAST_ACK, TRI_NO, TRI_NO, 0, KIND_STALE, REUSE },
        { "FIN_WAIT2 of a process", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_FIN_WAIT2, TRI_YES, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "ESTABLISHED without inode is alive", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, 0,
          KIND_EPHEMERAL, NO },

        /* The cgroup that would tell has gone: nobody is accused, but for what no listener accepts. */
        { "gone: accepted, or connected", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_UNKNOWN, INODE | GONE,
          KIND_UNKNOWN, NO },
        { "gone: CLOSE_WAIT, not asked", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_CLOSE_WAIT, TRI_UNKNOWN, TRI_UNKNOWN, INODE | GONE,
          KIND_UNKNOWN, NO },
        { "gone: bound and connected", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_NO, TRI_UNKNOWN, INODE | GONE,
          KIND_UNKNOWN, NO },
        { "gone: a listener", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_NO, TRI_UNKNOWN, INODE | GONE, KIND_UNKNOWN, NO },
        { "gone: a listener on a chosen port", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_YES, TRI_UNKNOWN, INODE | GONE,
          KIND_EPHEMERAL, NO },
        { "gone: UDP on a chosen port", UDP, NULL, 53, 53, UDP, "127.0.0.1", 53, SOCKET_ESTABLISHED, TRI_YES, TRI_UNKNOWN, INODE | GONE,
          KIND_EPHEMERAL, NO },
        { "gone: remains", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_LAST_ACK, TRI_YES, TRI_UNKNOWN, GONE, KIND_STALE, NO },

        /* The kernel's own. */
        { "VXLAN, set up by anybody", UDP, NULL, 4789, 4789, UDP, "0.0.0.0", 4789, SOCKET_CLOSE, TRI_NO, TRI_NO, INODE | KERNEL, KIND_UNKNOWN,
          NO },
        { "VXLAN, set up by the kernel", UDP, NULL, 4789, 4789, UDP, "0.0.0.0", 4789, SOCKET_CLOSE, TRI_NO, TRI_UNKNOWN, INODE | KERNEL,
          KIND_UNKNOWN, NO },
        { "lockd", TCP, NULL, 4045, 4045, TCP, "::", 4045, SOCKET_LISTEN, TRI_NO, TRI_UNKNOWN, INODE | KERNEL, KIND_UNKNOWN, NO },
        { "NFS mount, bindresvport", TCP, NULL, 800, 800, TCP, "127.0.0.1", 800, SOCKET_ESTABLISHED, TRI_NO, TRI_NO, INODE | KERNEL,
          KIND_UNKNOWN, NO },
        { "NFS mount, noresvport", TCP, NULL, 48121, 48121, TCP, "127.0.0.1", 48121, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE | KERNEL,
          KIND_EPHEMERAL, NO },

        /* Ephemeral, squatter, unknown. */
        { "thief by MPTCP", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE | MPTCP, KIND_EPHEMERAL, NO },
        { "squatter by MPTCP", TCP, NULL, 80, 80, TCP, "::", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE | MPTCP, KIND_SQUATTER, NO },
        { "thief on connected UDP", UDP, NULL, 53, 53, UDP, "127.0.0.1", 53, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "squatter on connected UDP", UDP, NULL, 53, 53, UDP, "127.0.0.1", 53, SOCKET_ESTABLISHED, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "thief", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "thief, owner unknown", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_UNKNOWN, INODE, KIND_EPHEMERAL, NO },
        { "thief of IPv4 from dual stack", TCP, "::", 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_YES, TRI_NO, INODE,
          KIND_EPHEMERAL, NO },
        { "autobound UDP", UDP, NULL, 53, 53, UDP, "0.0.0.0", 53, SOCKET_CLOSE, TRI_YES, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "bind to port 0, listening", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_YES, TRI_NO, INODE, KIND_EPHEMERAL, NO },
        { "squatter listens", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "squatter bound", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_CLOSE, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "squatter bound and connected", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_ESTABLISHED, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "squatter on UDP", UDP, NULL, 53, 53, UDP, "127.0.0.1", 53, SOCKET_CLOSE, TRI_NO, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "not asked: a listener is a squatter", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_UNKNOWN, TRI_NO, INODE,
          KIND_SQUATTER, NO },
        { "not asked: bound is a squatter", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_CLOSE, TRI_UNKNOWN, TRI_NO, INODE, KIND_SQUATTER, NO },
        { "not asked: connected is ephemeral", TCP, NULL, 80, 80, TCP, "127.0.0.1", 80, SOCKET_CLOSE_WAIT, TRI_UNKNOWN, TRI_NO, INODE,
          KIND_EPHEMERAL, NO },
        { "no cgroup: never squatter", TCP, NULL, 80, 80, TCP, "0.0.0.0", 80, SOCKET_LISTEN, TRI_NO, TRI_UNKNOWN, INODE, KIND_UNKNOWN, NO },
        { "no cgroup: never squatter, not asked", UDP, NULL, 53, 53, UDP, "0.0.0.0", 53, SOCKET_CLOSE, TRI_UNKNOWN, TRI_UNKNOWN, INODE,
          KIND_UNKNOWN, NO },
};
/* clang-format on */

static void make(const Row *row, Endpoint *e, Observation *o)
{
        *e = (Endpoint){ .protocol = row->protocol, .port = row->first, .last = row->last };
        if (row->address)
                assert_int_equal(address_parse(row->address, &e->address), 0);
        *o = (Observation){
                .socket = {
                        .protocol = row->socket_protocol,
                        .state = row->state,
                        .local_port = row->port,
                        .v6only = row->flags & V6ONLY,
                        .inode = row->flags & INODE ? 4711 : 0,
                        .cookie = 1,
                        .automatic = row->automatic,
                        .reuse = TRI_UNKNOWN,
                        .mptcp = row->flags & MPTCP,
                },
                .ours = row->flags & OURS,
                .pid1_listener = row->flags & PID1,
                .owner = row->owner,
                .cgroup_gone = row->flags & GONE,
                .no_process = row->flags & KERNEL,
                .listener_legitimate = row->flags & LEGIT,
                .listener_elsewhere = row->flags & ELSEWHERE,
        };
        assert_int_equal(address_parse(row->local, &o->socket.local), 0);
        o->socket.family = o->socket.local.family;
}

static void test_table(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const Row *row = rows + i;
                Reservation r = { .name = (char *) "web" };
                Observation o;
                WouldBind bind;
                Endpoint e;
                Kind kind;
                bool certain;

                make(row, &e, &o);
                kind = policy_judge(&r, &e, &o);
                if (kind != row->kind)
                        fail_msg("%s: %s instead of %s", row->name, kind_to_string(kind),
                                 kind_to_string(row->kind));
                bind = bind_rules_would_bind(&e, kind, &o.socket, &certain);
                if (bind != row->would_bind)
                        fail_msg("%s: would bind: %s instead of %s", row->name,
                                 would_bind_to_string(bind), would_bind_to_string(row->would_bind));
        }
}

/* The table has a row for each verdict that there is. */
static void test_table_is_whole(void **state)
{
        bool seen[_KIND_MAX] = {};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                seen[rows[i].kind] = true;
        for (size_t k = 0; k < _KIND_MAX; k++)
                assert_true(seen[k]);
}

/* Whatever is seen: what is ours, PID 1's or the owner's never is a collision, and without a cgroup
 * nobody is called a squatter. */
static void test_every_observation(void **state)
{
        Reservation r = { .name = (char *) "web" };

        for (unsigned n = 0; n < OBSERVATIONS; n++) {
                Endpoint e;
                Observation o = observation_of(n, &e);
                Kind kind;

                kind = policy_judge(&r, &e, &o);
                assert_int_not_equal(kind, KIND_NONE);
                if (o.ours || o.pid1_listener || o.owner == TRI_YES) {
                        assert_false(kind_is_collision(kind));
                        continue;
                }
                assert_true(kind_is_collision(kind) || kind == KIND_ACCEPTED);
                if (kind == KIND_SQUATTER) {
                        assert_int_equal(o.owner, TRI_NO);
                        assert_false(o.no_process);
                }
                if (kind == KIND_EPHEMERAL)
                        assert_int_not_equal(o.socket.automatic, TRI_NO);
        }
}

static void test_names(void **state)
{
        for (int k = 0; k < _KIND_MAX; k++)
                assert_int_equal(kind_from_string(kind_to_string((Kind) k)), k);
        assert_int_equal(kind_from_string("thief"), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_table_is_whole),
                cmocka_unit_test(test_every_observation),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
