/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What model/eviction.c says of a socket is what the kernel does: those to be destroyed leave their
 * port free, those to be aborted keep it until they are closed, and those that are left would too. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diag-util.h"
#include "model/eviction.h"

#define PORT 30500u
#define PEER 30000u

typedef enum Life {
        BOUND,
        LISTENING,
        CONNECTED,
        CONNECTING,
        CLOSE_WAIT,
        REMAINS,
} Life;

typedef struct Case {
        const char *name;
        const char *address;
        int type;
        bool automatic;
        Life life;
        EvictionVerdict verdict; /* for EVICTION_ANY */
        int destroyed;           /* what the kernel says to SOCK_DESTROY */
        bool is_free;            /* afterwards, while its process still has it */
} Case;

static const Case cases[] = {
        { "thief", "127.0.0.1", SOCK_STREAM, true, CONNECTED, EVICTION_DESTROY, 0, true },
        { "thief, IPv6", "::1", SOCK_STREAM, true, CONNECTED, EVICTION_DESTROY, 0, true },
        { "thief that waits", "127.0.0.1", SOCK_STREAM, true, CONNECTING, EVICTION_DESTROY, 0,
          true },
        { "thief whose peer closed", "127.0.0.1", SOCK_STREAM, true, CLOSE_WAIT, EVICTION_DESTROY,
          0, true },
        { "remains", "127.0.0.1", SOCK_STREAM, true, REMAINS, EVICTION_DESTROY, 0, true },
        { "remains, IPv6", "::1", SOCK_STREAM, true, REMAINS, EVICTION_DESTROY, 0, true },
        { "bind(0), listening", "127.0.0.1", SOCK_STREAM, true, LISTENING, EVICTION_DESTROY, 0,
          true },
        { "bind(0), no more", "127.0.0.1", SOCK_STREAM, true, BOUND, EVICTION_BOUND, -ENOENT,
          false },
        { "bound, connected", "127.0.0.1", SOCK_STREAM, false, CONNECTED, EVICTION_ABORT, 0,
          false },
        { "bound, connected, IPv6", "::1", SOCK_STREAM, false, CONNECTED, EVICTION_ABORT, 0,
          false },
        { "bound, listening", "127.0.0.1", SOCK_STREAM, false, LISTENING, EVICTION_LISTENS, 0,
          false },
        { "bound, no more", "127.0.0.1", SOCK_STREAM, false, BOUND, EVICTION_BOUND, -ENOENT,
          false },
        { "UDP, connected", "127.0.0.1", SOCK_DGRAM, true, CONNECTED, EVICTION_DESTROY, 0, true },
        { "UDP, connected, IPv6", "::1", SOCK_DGRAM, true, CONNECTED, EVICTION_DESTROY, 0, true },
        { "UDP, bind(0)", "127.0.0.1", SOCK_DGRAM, true, BOUND, EVICTION_DESTROY, 0, true },
        { "UDP, bound", "127.0.0.1", SOCK_DGRAM, false, BOUND, EVICTION_BOUND, 0, false },
        { "UDP, bound, connected", "127.0.0.1", SOCK_DGRAM, false, CONNECTED, EVICTION_ABORT, 0,
          false },
};

/* Could a server have the port now? */
static bool is_free(int type)
{
        _cleanup_(closep) int fd = socket_for("::", type);
        int r;

        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        r = try_bind(fd, "::", PORT);
        assert_true(r == 0 || r == -EADDRINUSE);
        return r == 0;
}

typedef struct Scene {
        int peer, thief, accepted;
        int fillers[4];
} Scene;

static void scene_set(const Case *c, Scene *s)
{
        bool stream = c->type == SOCK_STREAM;

        *s = (Scene){ .peer = socket_for(c->address, c->type),
                      .thief = socket_for(c->address, c->type),
                      .accepted = -1,
                      .fillers = { -1, -1, -1, -1 } };
        set_option(s->peer, SOL_SOCKET, SO_REUSEADDR, 1);
        assert_int_equal(try_bind(s->peer, c->address, PEER), 0);
        if (stream)
                assert_int_equal(listen(s->peer, c->life == CONNECTING ? 0 : 16), 0);
        /* A queue that is full lets no more in, nor does it say no. */
        for (size_t i = 0; c->life == CONNECTING && i < ELEMENTSOF(s->fillers); i++) {
                s->fillers[i] = socket_for(c->address, c->type | SOCK_NONBLOCK);
                (void) try_connect(s->fillers[i], c->address, PEER);
        }

        ephemeral_range(PORT, PORT);
        if (!c->automatic || c->life == BOUND || c->life == LISTENING)
                assert_int_equal(try_bind(s->thief, c->address, c->automatic ? 0 : PORT), 0);
        if (c->life == LISTENING)
                assert_int_equal(listen(s->thief, 1), 0);
        if (c->life == CONNECTING) {
                assert_int_equal(fcntl(s->thief, F_SETFL, O_NONBLOCK), 0);
                assert_int_equal(try_connect(s->thief, c->address, PEER), -EINPROGRESS);
        } else if (c->life != BOUND && c->life != LISTENING)
                assert_int_equal(try_connect(s->thief, c->address, PEER), 0);
        ephemeral_range(32768, 60999);
        assert_int_equal(port_of(s->thief), PORT);

        if (stream && c->life >= CONNECTED && c->life != CONNECTING)
                s->accepted = accept(s->peer, NULL, NULL);
        if (c->life == CLOSE_WAIT) {
                close(s->accepted);
                s->accepted = -1;
                wait_readable(s->thief);
        } else if (c->life == REMAINS)
                close_in_order(&s->thief, &s->accepted);
}

static void scene_clear(Scene *s)
{
        closep(&s->thief);
        closep(&s->accepted);
        closep(&s->peer);
        for (size_t i = 0; i < ELEMENTSOF(s->fillers); i++)
                closep(&s->fillers[i]);
}

/* As it is seen by the evictor: the row, and whether BC_AUTO has it. */
static Socket look(const Case *c, const Scene *s)
{
        int protocol = c->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
        uint64_t cookie = s->thief >= 0 ? cookie_of(s->thief) : 0;
        Found f = find(protocol, SOCK_DIAG_ALL, PORT, cookie, false);

        /* Kernels before 6.8 do not list those that are bound only, nor have to. */
        if (f.n == 0)
                return (Socket){
                        .protocol = protocol,
                        .family = AF_INET,
                        .state = SOCKET_CLOSE,
                        .local = { .family = AF_INET, .in.s_addr = htonl(INADDR_LOOPBACK) },
                        .remote = { .family = AF_INET },
                        .local_port = PORT,
                        .cookie = cookie,
                        .automatic = c->automatic ? TRI_YES : TRI_NO,
                };
        assert_int_equal(f.n, 1);
        f.row.automatic =
                find(protocol, SOCK_DIAG_ALL, PORT, f.row.cookie, true).n > 0 ? TRI_YES : TRI_NO;
        return f.row;
}

static void test_verdicts(void **state)
{
        Reservation r = { .name = (char *) "web" };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = cases + i;
                Endpoint e = { .protocol = c->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP,
                               .port = PORT,
                               .last = PORT };
                Observation o = { .owner = TRI_NO };
                EvictionVerdict v;
                Scene s;
                int q;

                scene_set(c, &s);
                o.socket = look(c, &s);
                if (o.socket.automatic != (c->automatic ? TRI_YES : TRI_NO))
                        fail_msg("%s: automatic %d", c->name, (int) o.socket.automatic);
                v = eviction_judge(EVICTION_ANY, policy_judge(&r, &e, &o), &o, false);
                if (v != c->verdict)
                        fail_msg("%s: verdict %d", c->name, (int) v);
                if (is_free(c->type))
                        fail_msg("%s: is in nobody's way", c->name);

                q = sock_diag_destroy(diag, &o.socket);
                if (q != c->destroyed)
                        fail_msg("%s: SOCK_DESTROY: %d", c->name, q);
                if (is_free(c->type) != c->is_free)
                        fail_msg("%s: %s after SOCK_DESTROY", c->name,
                                 c->is_free ? "still not free" : "free");
                closep(&s.thief);
                s.thief = -1;
                if (!is_free(c->type))
                        fail_msg("%s: not free when it is closed", c->name);
                scene_clear(&s);
        }
}

/* The row of a socket that has gone, and another one in its place: only the cookie differs. */
static void test_another_in_its_place(void **state)
{
        Case c = {
                .address = "127.0.0.1", .type = SOCK_STREAM, .automatic = true, .life = CONNECTED
        };
        _cleanup_(closep) int owner = -1;
        Scene s;
        Socket row;
        char byte = 'x';

        scene_set(&c, &s);
        row = look(&c, &s);
        assert_int_equal(sock_diag_destroy(diag, &row), 0);
        close(s.accepted);

        owner = socket_for(c.address, SOCK_STREAM);
        set_option(owner, SOL_SOCKET, SO_REUSEADDR, 1);
        assert_int_equal(try_bind(owner, c.address, PORT), 0);
        assert_int_equal(try_connect(owner, c.address, PEER), 0);
        s.accepted = accept(s.peer, NULL, NULL);
        assert_int_equal(sock_diag_destroy(diag, &row), -ENOENT);
        assert_int_equal(write(owner, &byte, 1), 1);
        assert_int_equal(read(s.accepted, &byte, 1), 1);
        scene_clear(&s);
}

/* An explicit listener that is destroyed is a server no more, and does not hear of it: its process
 * keeps the port all the same. That is why it is left. */
static void test_destroyed_listener(void **state)
{
        _cleanup_(closep) int fd = listener_on("127.0.0.1", PORT), client = -1;
        Found f = find(IPPROTO_TCP, SOCK_DIAG_LISTENERS, PORT, cookie_of(fd), false);

        assert_int_equal(f.n, 1);
        assert_int_equal(sock_diag_destroy(diag, &f.row), 0);
        client = socket_for("127.0.0.1", SOCK_STREAM);
        assert_int_equal(try_connect(client, "127.0.0.1", PORT), -ECONNREFUSED);
        assert_int_equal(port_of(fd), PORT);
}

static int setup(void **state)
{
        return loopback_up(state) < 0 || sock_diag_new(&diag) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
        diag = sock_diag_free(diag);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_verdicts),
                cmocka_unit_test(test_another_in_its_place),
                cmocka_unit_test(test_destroyed_listener),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
