/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The watch with a real event loop and real sockets: who is told of what, once. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "daemon/watch/watch-internal.h"
#include "sock-util.h"

#define PEER     40000u /* a server of somebody, on no port of ours */
#define EVENTS   4096u
#define DEADLINE 30

typedef struct Told {
        bool begin;
        Kind kind;
        SocketState state;
        uint16_t port;
        uint64_t cookie;
        char name[64], unit[64];
} Told;

typedef struct Fixture {
        sd_event *event;
        Watch *watch;
        Config *config;
        Told told[EVENTS];
        unsigned n_told, n_begin, n_end, n_changed, n_freed, n_degraded, n_well;
        uint16_t freed;
        uint64_t ours; /* cookie */
        bool held;
        unsigned n_owner_bound, n_owner_gone;
        uint16_t owner_port;
} Fixture;

static Cgroups cgroups;

static void note(Fixture *f, const Collision *c, bool begin)
{
        Told *t = f->told + f->n_told++;

        assert_true(f->n_told <= EVENTS);
        *t = (Told){ .begin = begin,
                     .kind = c->holder.kind,
                     .state = c->holder.socket.state,
                     .port = c->port,
                     .cookie = c->holder.socket.cookie };
        (void) snprintf(t->name, sizeof(t->name), "%s", c->reservation->name);
        (void) snprintf(t->unit, sizeof(t->unit), "%s", c->holder.unit ? c->holder.unit : "");
        assert_true(c->holder.since_usec > 0);
}

static bool on_is_ours(uint64_t cookie, uint32_t inode, void *userdata)
{
        return cookie == ((Fixture *) userdata)->ours;
}

static void on_begin(const Collision *c, void *userdata)
{
        note(userdata, c, true);
        ((Fixture *) userdata)->n_begin++;
}

static void on_end(const Collision *c, uint64_t duration_usec, void *userdata)
{
        note(userdata, c, false);
        ((Fixture *) userdata)->n_end++;
}

static void on_changed(const Collision *c, void *userdata)
{
        ((Fixture *) userdata)->n_changed++;
}

static void on_freed(int protocol, uint16_t port, void *userdata)
{
        ((Fixture *) userdata)->n_freed++;
        ((Fixture *) userdata)->freed = port;
}

static void on_owner(const Reservation *r, const Endpoint *e, uint16_t port, bool bound,
                     void *userdata)
{
        Fixture *f = userdata;

        f->owner_port = port;
        *(bound ? &f->n_owner_bound : &f->n_owner_gone) += 1;
}

static void on_degraded(const char *what, const char *error, void *userdata)
{
        Fixture *f = userdata;

        *(error ? &f->n_degraded : &f->n_well) += 1;
}

static bool on_held(const Endpoint *e, uint16_t port, void *userdata)
{
        return ((Fixture *) userdata)->held;
}

/* "[web]\nPorts=80/tcp\n…", as in the file. */
static Config *make_config(const char *text)
{
        static const ConfigOps ops = {};
        _cleanup_(freep) char *copy = strdup(text);
        Config *c = NULL;
        unsigned line = 0;

        assert_int_equal(config_new(&ops, &c), 0);
        for (char *rest = copy, *s; (s = strsep(&rest, "\n"));) {
                char *value = strchr(s, '=');

                line++;
                if (s[0] == '[') {
                        s[strlen(s) - 1] = 0;
                        assert_int_equal(config_section(c, "test.conf", line, s + 1), 0);
                } else if (value) {
                        *value++ = 0;
                        assert_int_equal(config_set(c, "test.conf", line, s, value), 0);
                }
        }
        assert_int_equal(config_finish(c), 0);
        assert_int_equal(c->n_errors, 0);
        return c;
}

static Fixture *start(void **state, const char *config)
{
        static const WatchOps ops = {
                .is_ours = on_is_ours,
                .begin = on_begin,
                .end = on_end,
                .changed = on_changed,
                .freed = on_freed,
                .owner = on_owner,
                .degraded = on_degraded,
                .held = on_held,
        };
        Fixture *f = *state;

        f->config = make_config(config);
        assert_int_equal(watch_new(f->event, &ops, f, &f->watch), 0);
        assert_int_equal(watch_apply(f->watch, f->config), 0);
        return f;
}

#define LOOP_UNTIL(f, condition)                                                                   \
        do {                                                                                       \
                time_t _end = time(NULL) + DEADLINE;                                               \
                while (!(condition) && time(NULL) < _end)                                          \
                        assert_true(sd_event_run((f)->event, 100000) >= 0);                        \
                assert_true(condition);                                                            \
        } while (0)

/* Two more full sweeps: whatever would be told has been. */
static void settle(Fixture *f)
{
        uint64_t sweeps = watch_stats(f->watch)->sweeps;

        LOOP_UNTIL(f, watch_stats(f->watch)->sweeps >= sweeps + 2);
}

static const Collision *only_collision(Fixture *f)
{
        const Collision *found = NULL;

        assert_int_equal(watch_count(f->watch), 1);
        CONFIG_FOREACH_RESERVATION(f->config, r) {
                for (size_t i = 0; i < r->n_endpoints; i++)
                        for (const Collision *c = NULL;
                             (c = watch_next(f->watch, r->endpoints + i, c));) {
                                assert_null(found);
                                found = c;
                        }
        }
        assert_non_null(found);
        return found;
}

static void enter(const char *unit)
{
        if (cgroups_available(&cgroups))
                cgroups_enter(&cgroups, unit);
}

static void need_cgroups(void)
{
        if (!cgroups_available(&cgroups)) {
                print_message("no cgroup v2 here\n");
                skip();
        }
}

#define CONFIG_31000 "[web]\nPorts=31000\n[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n"

/* An outgoing connection gets the port; its peer says goodbye first, so that nothing remains. */
static void test_ephemeral(void **state)
{
        _cleanup_(closep) int peer = listener_on("127.0.0.1", PEER), thief = -1, served = -1;
        Fixture *f = start(state, CONFIG_31000);
        const Collision *c;

        settle(f);
        assert_int_equal(f->n_told, 0);
        ephemeral_range(31000, 31000);
        enter("thief.service");
        thief = connected_to("127.0.0.1", SOCK_STREAM, PEER);
        enter(NULL);
        assert_int_equal(port_of(thief), 31000);
        served = accept(peer, NULL, NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        c = only_collision(f);
        assert_int_equal(c->holder.kind, KIND_EPHEMERAL);
        assert_int_equal(c->port, 31000);
        assert_int_equal(c->holder.socket.state, SOCKET_ESTABLISHED);
        assert_int_equal(c->holder.socket.remote_port, PEER);
        assert_int_equal(c->holder.pid, getpid());
        if (cgroups_available(&cgroups))
                assert_string_equal(c->holder.unit, "thief.service");

        settle(f);
        assert_int_equal(f->n_told, 1);
        assert_int_equal(f->n_changed, 0);
        close_in_order(&served, &thief);
        LOOP_UNTIL(f, f->n_end > 0);
        assert_true(f->n_freed > 0);
        assert_int_equal(f->freed, 31000);
        settle(f);
        assert_int_equal(f->n_told, 2);
        assert_int_equal(f->told[1].kind, KIND_EPHEMERAL);
        assert_int_equal(watch_count(f->watch), 0);
}

/* The thief closes first: TIME_WAIT remains and still is in the way. The collision turns stale, and
 * ends when that is cleared. */
static void test_stale(void **state)
{
        _cleanup_(closep) int peer = listener_on("127.0.0.1", PEER), thief = -1, served = -1;
        Fixture *f = start(state, CONFIG_31000);
        const Collision *c;
        int n;

        ephemeral_range(31000, 31000);
        thief = connected_to("127.0.0.1", SOCK_STREAM, PEER);
        served = accept(peer, NULL, NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        close_in_order(&thief, &served);
        LOOP_UNTIL(f, only_collision(f)->holder.kind == KIND_STALE);
        settle(f);
        c = only_collision(f);
        assert_int_equal(c->holder.socket.state, SOCKET_TIME_WAIT);
        assert_int_equal(f->n_told, 1);
        assert_true(f->n_changed > 0);

        n = watch_clear_remains(f->watch, c->endpoint, 31000);
        if (n == -EOPNOTSUPP) {
                print_message("kernel without SOCK_DESTROY of TIME_WAIT\n");
                skip();
        }
        assert_int_equal(n, 1);
        assert_int_equal(watch_clear_remains(f->watch, c->endpoint, 31000), 0);
        LOOP_UNTIL(f, f->n_end > 0);
        settle(f);
        assert_int_equal(f->n_told, 2);
}

/* A squatter who serves many: one collision. */
static void test_squatter(void **state)
{
        _cleanup_(closep) int squatter = -1;
        int clients[20], served[20];
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        enter("thief.service");
        squatter = listener_on("0.0.0.0", 31000);
        enter(NULL);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                clients[i] = connected_to("127.0.0.1", SOCK_STREAM, 31000);
                served[i] = accept(squatter, NULL, NULL);
        }
        LOOP_UNTIL(f, f->n_begin > 0);
        settle(f);
        assert_int_equal(f->n_told, 1);
        assert_int_equal(only_collision(f)->holder.kind, KIND_SQUATTER);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_LISTEN);
        assert_string_equal(only_collision(f)->holder.unit, "thief.service");
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                close_in_order(clients + i, served + i);
        }
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, f->n_end > 0);
        settle(f);
        assert_int_equal(f->n_told, 2);
}

/* In the root cgroup nobody can be told from the owner. */
static void test_unknown(void **state)
{
        _cleanup_(closep) int someone = -1;
        Fixture *f;

        if (cgroups_available(&cgroups) && strcmp(cgroups.home, cgroups.root) != 0 &&
            strcmp(cgroups.home + strlen(cgroups.root), "/") != 0) {
                print_message("this test does not run in the root cgroup\n");
                skip();
        }
        f = start(state, CONFIG_31000);
        someone = listener_on("0.0.0.0", 31000);
        LOOP_UNTIL(f, f->n_begin > 0);
        assert_int_equal(only_collision(f)->holder.kind, KIND_UNKNOWN);
        assert_int_equal(watch_owner_bound(f->watch, only_collision(f)->reservation,
                                           only_collision(f)->endpoint, 31000),
                         TRI_UNKNOWN);
}

static void test_udp(void **state)
{
        _cleanup_(closep) int squatter = -1, chosen = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, "[dns]\nPorts=31000/udp\n[other]\nPorts=31001/udp\n"
                         "[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n");
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_DGRAM, 31000);
        ephemeral_range(31001, 31001);
        chosen = bound_on("0.0.0.0", SOCK_DGRAM, 0);
        enter(NULL);
        assert_int_equal(port_of(chosen), 31001);
        LOOP_UNTIL(f, f->n_begin == 2);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(f->told[i].kind,
                                 f->told[i].port == 31000 ? KIND_SQUATTER : KIND_EPHEMERAL);
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, f->n_end == 1);
        assert_int_equal(f->told[2].port, 31000);
        assert_int_equal(f->freed, 31000);
        settle(f);
        assert_int_equal(f->n_told, 3);
}

static void test_bound_only(void **state)
{
        _cleanup_(closep) int squatter = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        if (!watch_stats(f->watch)->bound_inactive) {
                print_message("kernel without TCP_BOUND_INACTIVE (6.8)\n");
                skip();
        }
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        assert_int_equal(only_collision(f)->holder.kind, KIND_SQUATTER);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_CLOSE);
        /* It goes on to listen: still the same collision. */
        assert_int_equal(listen(squatter, 1), 0);
        settle(f);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_LISTEN);
        assert_int_equal(f->n_told, 1);
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, f->n_end > 0);
}

/* Bound explicitly, then connected: no choice of the kernel's. */
static void test_bound_and_connected(void **state)
{
        _cleanup_(closep) _unused_ int peer = listener_on("127.0.0.1", PEER), squatter = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        assert_int_equal(try_connect(squatter, "127.0.0.1", PEER), 0);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin > 0);
        settle(f);
        assert_int_equal(only_collision(f)->holder.kind, KIND_SQUATTER);
        assert_int_equal(only_collision(f)->holder.socket.state, SOCKET_ESTABLISHED);
        assert_int_equal(f->n_told, 1);
}

/* Addresses as bind(2) sees them. */
static void test_addresses(void **state)
{
        _cleanup_(closep) int only6 = socket_for("::", SOCK_STREAM), other = -1, v4 = -1, dual = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, "[a]\nListenStream=127.0.0.1:31000\n[b]\nListenStream=[::]:31001\n"
                         "[c]\nListenStream=127.0.0.1:31002\n"
                         "[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n");
        enter("thief.service");
        /* Neighbours that are not in the way. */
        close(only6);
        only6 = socket_for("::", SOCK_STREAM);
        set_option(only6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        assert_int_equal(try_bind(only6, "::", 31000), 0);
        assert_int_equal(listen(only6, 1), 0);
        other = listener_on("127.0.0.2", 31000);
        settle(f);
        assert_int_equal(f->n_told, 0);
        /* IPv4 below a dual-stack endpoint, dual stack above an IPv4 one. */
        v4 = listener_on("127.0.0.1", 31001);
        dual = listener_on("::", 31002);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin == 2);
        settle(f);
        assert_int_equal(f->n_told, 2);
        assert_int_equal(f->told[0].port + f->told[1].port, 31001 + 31002);
        assert_int_equal(f->told[0].kind, KIND_SQUATTER);
        assert_int_equal(f->told[1].kind, KIND_SQUATTER);
}

/* The owner's listener, whom it serves, and what remains of those; seen bound, and gone. */
static void test_owner(void **state)
{
        _cleanup_(closep) int owner = -1, client = -1, served = -1;
        const Endpoint *e;
        Reservation *r;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        r = config_find(f->config, "web");
        e = r->endpoints[0].protocol == IPPROTO_TCP ? r->endpoints : r->endpoints + 1;
        assert_int_equal(watch_owner_bound(f->watch, r, e, 31000), TRI_NO);
        enter("web.service");
        owner = listener_on("::", 31000);
        enter(NULL);
        assert_int_equal(watch_owner_bound(f->watch, r, e, 31000), TRI_YES);
        client = connected_to("127.0.0.1", SOCK_STREAM, 31000);
        served = accept(owner, NULL, NULL);
        LOOP_UNTIL(f, f->n_owner_bound > 0);
        assert_int_equal(f->owner_port, 31000);
        settle(f);
        close_in_order(&served, &client);
        settle(f);
        assert_int_equal(f->n_owner_gone, 0);
        close(owner);
        owner = -1;
        LOOP_UNTIL(f, f->n_owner_gone > 0);
        assert_int_equal(watch_owner_bound(f->watch, r, e, 31000), TRI_NO);
        settle(f);
        assert_int_equal(f->n_owner_gone, 1);
}

/* A server of ours (or PID 1's): its children are accepted though the kernel calls their port
 * chosen. */
static void test_accepted(void **state)
{
        _cleanup_(closep) int ours = -1, client = -1, served = -1;
        Fixture *f = start(state, CONFIG_31000);

        enter("thief.service");
        ours = listener_on("::", 31000);
        f->ours = cookie_of(ours);
        client = connected_to("127.0.0.1", SOCK_STREAM, 31000);
        served = accept(ours, NULL, NULL);
        enter(NULL);
        settle(f);
        close_in_order(&served, &client);
        settle(f);
        assert_int_equal(f->n_told, 0);
}

/* What remains of many connections is one collision where nobody holds the port, and none beside a
 * hold. */
static void test_remains(void **state)
{
        _cleanup_(closep) int server = listener_on("127.0.0.1", 31000);
        Fixture *f;

        for (unsigned i = 0; i < 50; i++) {
                int client = connected_to("127.0.0.1", SOCK_STREAM, 31000);
                int served = accept(server, NULL, NULL);

                close_in_order(&served, &client);
        }
        close(server);
        server = -1;
        ((Fixture *) *state)->held = true;
        f = start(state, CONFIG_31000);
        settle(f);
        assert_int_equal(f->n_told, 0);
        f->held = false;
        LOOP_UNTIL(f, f->n_begin > 0);
        settle(f);
        assert_int_equal(f->n_told, 1);
        assert_int_equal(only_collision(f)->holder.kind, KIND_STALE);
        assert_int_equal(watch_clear_remains(f->watch, only_collision(f)->endpoint, 31000), 50);
        LOOP_UNTIL(f, f->n_end > 0);
        settle(f);
        assert_int_equal(f->n_told, 2);
}

#define ANSWER (96u * 1024)

/* A client that has its whole answer with the end behind it, and has read none of it. Its server has
 * gone, and remains in FIN_WAIT2. */
static int client_with_answer(const char *fin_timeout)
{
        _cleanup_(closep) int server = socket_for("127.0.0.1", SOCK_STREAM), served = -1;
        int client = socket_for("127.0.0.1", SOCK_STREAM);
        static const char answer[ANSWER];
        int arrived = 0;

        assert_int_equal(write_file("/proc/sys/net/ipv4/tcp_fin_timeout", fin_timeout), 0);
        /* No SO_REUSEADDR: its remains are in everybody's way. */
        assert_int_equal(try_bind(server, "127.0.0.1", 31000), 0);
        assert_int_equal(listen(server, 1), 0);
        set_option(client, SOL_SOCKET, SO_RCVBUF, 4 * (int) ANSWER);
        assert_int_equal(try_connect(client, "127.0.0.1", 31000), 0);
        served = accept(server, NULL, NULL);
        assert_int_equal(write(served, answer, ANSWER), ANSWER);
        while (arrived < (int) ANSWER)
                assert_int_equal(ioctl(client, FIONREAD, &arrived), 0);
        return client;
}

static void read_answer(int client)
{
        struct pollfd p = { .fd = client };
        size_t read_so_far = 0;
        char piece[4096];
        ssize_t n;

        assert_int_equal(poll(&p, 1, 0), 0); /* no POLLERR, no POLLHUP */
        while ((n = read(client, piece, sizeof(piece))) > 0)
                read_so_far += (size_t) n;
        assert_int_equal(n, 0);
        assert_int_equal(read_so_far, ANSWER);
        assert_int_equal(poll(&p, 1, 0), 0);
}

/* FIN_WAIT2 is taken away while the client has yet to read: it notices nothing. */
static void test_remains_unread(void **state)
{
        _cleanup_(closep) int client = client_with_answer("60"), again = -1;
        Fixture *f = start(state, CONFIG_31000);
        int n;

        LOOP_UNTIL(f, f->n_begin > 0);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        n = watch_clear_remains(f->watch, only_collision(f)->endpoint, 31000);
        if (n == -EOPNOTSUPP) {
                print_message("kernel without SOCK_DESTROY of TIME_WAIT\n");
                skip();
        }
        assert_int_equal(n, 1);
        again = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        read_answer(client);
}

/* The same while the kernel keeps a whole socket for it, whose end would be a reset. */
static void test_remains_whole(void **state)
{
        _cleanup_(closep) int client = client_with_answer("120");
        Fixture *f = start(state, CONFIG_31000);

        LOOP_UNTIL(f, f->n_begin > 0);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        assert_int_equal(watch_clear_remains(f->watch, only_collision(f)->endpoint, 31000), 0);
        read_answer(client);
}

/* Where a walk over all connections is dear, one tells of all ports, and what came since is found by
 * the next. */
static void test_remains_where_walks_are_dear(void **state)
{
        _cleanup_(closep) _unused_ int first = client_with_answer("60"), second = -1;
        Fixture *f = start(state, CONFIG_31000);
        const Endpoint *e = f->config->reservations[0]->endpoints;
        uint64_t dumps;
        int n;

        LOOP_UNTIL(f, f->n_begin > 0);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        f->watch->pace.sweep_cost = f->watch->walk_cost = USEC_PER_SEC;
        n = watch_clear_remains(f->watch, e, 31000);
        if (n == -EOPNOTSUPP) {
                print_message("kernel without SOCK_DESTROY of TIME_WAIT\n");
                skip();
        }
        assert_int_equal(n, 1);
        LOOP_UNTIL(f, f->n_end > 0);
        second = client_with_answer("60");
        LOOP_UNTIL(f, f->n_begin > 1);
        LOOP_UNTIL(f, only_collision(f)->holder.socket.state == SOCKET_FIN_WAIT2);
        f->watch->pace.sweep_cost = f->watch->walk_cost = USEC_PER_SEC;
        f->watch->remains_until = now_usec(CLOCK_MONOTONIC) + 60 * USEC_PER_SEC;
        dumps = watch_stats(f->watch)->diag->dumps;
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(watch_clear_remains(f->watch, e, 31000), 0);
        assert_int_equal(watch_stats(f->watch)->diag->dumps, dumps);
        f->watch->remains_until = 0;
        assert_int_equal(watch_clear_remains(f->watch, e, 31000), 1);
}

/* A new configuration: what is on an endpoint before and after goes on, the rest ends. */
static void test_apply(void **state)
{
        _cleanup_(closep) int a = -1, b = -1;
        _cleanup_(config_freep) Config *old = NULL, *older = NULL;
        Fixture *f;

        need_cgroups();
        f = start(state, "[a]\nPorts=31000/tcp\n[b]\nPorts=31001/tcp\n");
        enter("thief.service");
        a = listener_on("127.0.0.1", 31000);
        b = listener_on("127.0.0.1", 31001);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin == 2);
        old = f->config;
        f->config = make_config("[new]\nPorts=80/tcp\n[a]\nPorts=30000-31000/tcp\n");
        /* Not the same endpoint, if only by its run: still the same place and port. */
        assert_int_equal(watch_apply(f->watch, f->config), 0);
        assert_int_equal(f->n_begin, 2);
        assert_int_equal(f->n_end, 1);
        assert_int_equal(f->told[2].port, 31001);
        assert_string_equal(only_collision(f)->reservation->name, "a");
        older = f->config;
        f->config = make_config("[b]\nPorts=31001/tcp\n");
        assert_int_equal(watch_apply(f->watch, f->config), 0);
        assert_int_equal(f->n_end, 2);
        assert_int_equal(f->n_begin, 3);
        assert_string_equal(only_collision(f)->reservation->name, "b");
}

/* More events than the buffer holds: noticed, looked again, and the end is told all the same. */
static void test_lost_events(void **state)
{
        _cleanup_(closep) int squatter = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        enter("thief.service");
        squatter = listener_on("127.0.0.1", 31000);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin == 1);
        assert_int_equal(watch_stats(f->watch)->diag->overruns, 0);
        set_option(f->watch->events_fd, SOL_SOCKET, SO_RCVBUF, 1);
        for (unsigned i = 0; i < 2000; i++) {
                int fd = socket_for("127.0.0.1", SOCK_DGRAM);

                assert_int_equal(try_bind(fd, "127.0.0.1", 31000), 0);
                close(fd);
        }
        close(squatter);
        squatter = -1;
        LOOP_UNTIL(f, watch_stats(f->watch)->diag->overruns > 0);
        LOOP_UNTIL(f, f->n_end == 1 && f->n_well == 1);
        assert_int_equal(f->n_degraded, 1);
}

#define STEADY 900
#define CHURN  60

/* Sockets that come and go before the steady ones in their bucket of the kernel's table, at an
 * address that is nobody's business. */
static pid_t start_churn(void)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
                int fds[CHURN];

                for (unsigned i = 0; i < CHURN; i++) {
                        fds[i] = socket_for("127.0.0.2", SOCK_DGRAM);
                        set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
                        assert_int_equal(try_bind(fds[i], "127.0.0.2", 31000), 0);
                }
                for (unsigned i = 0; i < CHURN; i++)
                        close(fds[i]);
        }
}

/* Dumps miss rows while others come and go: that ends no collision, however often. */
static void test_churn(void **state)
{
        time_t end = time(NULL) + 20;
        struct rlimit limit;
        int fds[STEADY];
        const WatchStats *s;
        unsigned freed;
        pid_t churn;
        Fixture *f;

        need_cgroups();
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        f = start(state, "[web]\nListenDatagram=127.0.0.1:31000\nHold=none\n[Daemon]\n"
                         "ScanIntervalSec=50ms\nScanBudgetPercent=100\n");
        enter("thief.service");
        for (unsigned i = 0; i < STEADY; i++) {
                fds[i] = socket_for("127.0.0.1", SOCK_DGRAM);
                set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
                assert_int_equal(try_bind(fds[i], "127.0.0.1", 31000), 0);
        }
        enter(NULL);
        assert_int_equal(watch_sweep(f->watch), 0);
        s = watch_stats(f->watch);
        LOOP_UNTIL(f, f->n_begin == STEADY);

        churn = start_churn();
        for (unsigned i = 0; i < 200 || (s->missed < 20 && time(NULL) < end); i++)
                assert_true(sd_event_run(f->event, 100000) >= 0);
        assert_int_equal(kill(churn, SIGKILL), 0);
        assert_int_equal(waitpid(churn, NULL, 0), churn);
        s = watch_stats(f->watch);
        print_message("%u of %u rows missed and found again\n", (unsigned) s->missed,
                      (unsigned) s->diag->rows);
        assert_int_equal(f->n_begin, STEADY);
        assert_int_equal(f->n_end, 0);

        /* What has gone ends all the same, without the churn's help. */
        freed = f->n_freed;
        for (unsigned i = 0; i < STEADY; i++)
                close(fds[i]);
        LOOP_UNTIL(f, f->n_end == STEADY && f->n_freed > freed);
        assert_int_equal(watch_count(f->watch), 0);
}

/* A dump without the row, and none of it is told: whoever is not told by an event either is there
 * until several dumps in a row agree. */
static void test_missed_row(void **state)
{
        _cleanup_(closep) int squatter = -1;
        CollisionEntry *x;
        Fixture *f;

        need_cgroups();
        f = start(state, CONFIG_31000);
        enter("thief.service");
        squatter = listener_on("127.0.0.1", 31000);
        enter(NULL);
        LOOP_UNTIL(f, f->n_begin == 1);
        x = collision_set_first(f->watch->set);
        for (unsigned i = 0; i < 2; i++) {
                /* A pass that saw all states, and nobody. */
                Pass p = { .generation = ++f->watch->generation, .saw_rest = true };

                assert_true(watch_conclude(f->watch, &p));
                assert_ptr_equal(collision_set_first(f->watch->set), x);
        }
        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(watch_stats(f->watch)->missed, 1);
        assert_int_equal(f->n_told, 1);
        for (unsigned i = 0; f->n_end == 0; i++) {
                Pass p = { .generation = ++f->watch->generation, .saw_rest = true };

                assert_true(i < 10);
                (void) watch_conclude(f->watch, &p);
        }
}

/* A look that does not ask for bound sockets says nothing of those who only bound. */
static void test_bound_out_of_sight(void **state)
{
        _cleanup_(closep) int owner = -1, squatter = -1;
        Fixture *f;

        need_cgroups();
        f = start(state, "[web]\nPorts=31000/tcp\n[other]\nPorts=31001/tcp\n");
        if (!watch_stats(f->watch)->bound_inactive) {
                print_message("kernel without TCP_BOUND_INACTIVE (6.8)\n");
                skip();
        }
        enter("web.service");
        owner = bound_on("127.0.0.1", SOCK_STREAM, 31000);
        enter("thief.service");
        squatter = bound_on("127.0.0.1", SOCK_STREAM, 31001);
        enter(NULL);
        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(f->n_owner_bound, 1);
        assert_int_equal(f->n_begin, 1);

        close(owner);
        owner = -1;
        close(squatter);
        squatter = -1;
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(watch_look(f->watch), 0);
        assert_int_equal(f->n_owner_bound, 4);
        assert_int_equal(f->n_owner_gone, 0);
        assert_int_equal(f->n_end, 0);

        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(f->n_owner_gone, 1);
        LOOP_UNTIL(f, f->n_end == 1);
}

/* Nobody makes us remember more than so many. */
static void test_cap(void **state)
{
        struct rlimit limit;
        int fds[1500];
        Fixture *f;

        need_cgroups();
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        f = start(state, CONFIG_31000);
        enter("thief.service");
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = socket_for("127.0.0.1", SOCK_DGRAM);
                set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
                assert_int_equal(try_bind(fds[i], "127.0.0.1", 31000), 0);
        }
        enter(NULL);
        assert_int_equal(watch_sweep(f->watch), 0);
        assert_int_equal(watch_count(f->watch), COLLISIONS_PER_RESERVATION_MAX);
        assert_int_equal(watch_stats(f->watch)->dropped, 500);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
        LOOP_UNTIL(f, watch_count(f->watch) == 0);
        assert_int_equal(f->n_begin, f->n_end);
}

static uint64_t cpu_usec(void)
{
        struct timespec ts;

        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts), 0);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* Full sweeps cost at most ScanBudgetPercent= of a CPU, however short the interval is. */
static void test_budget(void **state)
{
        Fixture *f = start(state, "[web]\nPorts=31000\n[Daemon]\nScanIntervalSec=50ms\n"
                                  "ScanBudgetPercent=1\n");
        const WatchStats *s = watch_stats(f->watch);
        uint64_t begin, cost, looks;

        for (int i = 0; i < 5; i++) {
                begin = cpu_usec();
                assert_int_equal(watch_sweep(f->watch), 0);
                cost = cpu_usec() - begin;
                /* Ours includes a little that theirs does not: a half for that. */
                assert_true(s->sweep_interval_usec >= MAX_OF(50 * cost, UINT64_C(50000)));
                assert_true(s->sweep_interval_usec <= MAX_OF(100 * cost, UINT64_C(50000)));
        }

        /* And it is heeded: meanwhile there are looks only. */
        f->watch->pace.sweep = UINT64_MAX / 2;
        begin = s->sweeps;
        looks = s->looks;
        LOOP_UNTIL(f, s->looks >= looks + 3);
        assert_int_equal(s->sweeps, begin);
        f->watch->pace.sweep = 0;
        LOOP_UNTIL(f, s->sweeps > begin);
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        /* A namespace each: what remains of one test's connections is not the next one's. */
        if (!f || unshare(CLONE_NEWNET) < 0 || loopback_up(state) < 0 ||
            sd_event_new(&f->event) < 0)
                return -1;
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        watch_free(f->watch);
        config_free(f->config);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static int group_setup(void **state)
{
        cgroups_init(&cgroups);
        return 0;
}

static int group_teardown(void **state)
{
        static const char *const units[] = { "thief.service", "web.service", NULL };

        cgroups_done(&cgroups, units);
        return 0;
}

#define WATCH_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WATCH_TEST(test_ephemeral),
                WATCH_TEST(test_stale),
                WATCH_TEST(test_squatter),
                WATCH_TEST(test_unknown),
                WATCH_TEST(test_udp),
                WATCH_TEST(test_bound_only),
                WATCH_TEST(test_addresses),
                WATCH_TEST(test_owner),
                WATCH_TEST(test_accepted),
                WATCH_TEST(test_remains),
                WATCH_TEST(test_remains_unread),
                WATCH_TEST(test_remains_whole),
                WATCH_TEST(test_remains_where_walks_are_dear),
                WATCH_TEST(test_apply),
                WATCH_TEST(test_lost_events),
                WATCH_TEST(test_churn),
                WATCH_TEST(test_missed_row),
                WATCH_TEST(test_cap),
                WATCH_TEST(test_budget),
                WATCH_TEST(test_bound_and_connected),
                WATCH_TEST(test_bound_out_of_sight),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
