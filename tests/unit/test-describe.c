/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a reader of the journal is told of a culprit: the whole line, and the command to type. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "daemon/alert/describe.h"
#include "daemon/alert/event.h"

static Holder holder(Kind kind, int protocol, SocketState state, uint16_t remote_port,
                     Tristate automatic)
{
        Holder h;

        holder_init(&h);
        h.kind = kind;
        h.certain = true;
        h.socket = (Socket){ .protocol = protocol,
                             .state = state,
                             .local = { .family = AF_INET, .in.s_addr = htonl(INADDR_LOOPBACK) },
                             .local_port = 48121,
                             .remote = { .family = AF_INET, .in.s_addr = htonl(INADDR_LOOPBACK) },
                             .remote_port = remote_port,
                             .automatic = automatic,
                             .inode = 1 };
        return h;
}

static void assert_remedy(const Holder *h, const char *expected)
{
        _cleanup_(freep) char *remedy = describe_remedy(h, h->socket.protocol, 48121);

        assert_non_null(remedy);
        assert_string_equal(remedy, expected);
}

static void test_evict(void **state)
{
        Holder thief = holder(KIND_EPHEMERAL, IPPROTO_TCP, SOCKET_ESTABLISHED, 6379, TRI_YES),
               remains = holder(KIND_STALE, IPPROTO_TCP, SOCKET_TIME_WAIT, 6379, TRI_UNKNOWN),
               datagrams = holder(KIND_EPHEMERAL, IPPROTO_UDP, SOCKET_CLOSE, 0, TRI_YES);

        remains.socket.timewait = true;
        thief.pid = 812;
        assert_remedy(&thief, "portreservectl why 48121/tcp"); /* who knows whose it is */
        thief.cgroup = (char *) "/";
        assert_remedy(&thief, "portreservectl why 48121/tcp");
        thief.unit = (char *) "app.service";
        thief.cgroup = datagrams.cgroup = (char *) "/system.slice/app.service";
        assert_remedy(&thief, "portreservectl evict 48121/tcp");
        assert_remedy(&remains, "portreservectl evict 48121/tcp");
        assert_remedy(&datagrams, "portreservectl evict 48121/udp");
}

/* What keeps its port until its process closes it. */
static void test_stop(void **state)
{
        Holder h = holder(KIND_SQUATTER, IPPROTO_TCP, SOCKET_LISTEN, 0, TRI_NO);

        assert_remedy(&h, "portreservectl why 48121/tcp");
        h.pid = 812;
        assert_remedy(&h, "kill 812");
        h.unit = (char *) "session-3.scope";
        assert_remedy(&h, "kill 812");
        h.unit = (char *) "app.service";
        assert_remedy(&h, "systemctl stop app.service");
        h.unit = (char *) "dev\\x2dserver.service";
        assert_remedy(&h, "systemctl stop 'dev\\x2dserver.service'");
        h.unit = (char *) "user@1000.service";
        h.user = (char *) "alice";
        assert_remedy(&h, "kill 812");
        h.user_unit = (char *) "app.service";
        assert_remedy(&h, "systemctl --user --machine='alice@.host' stop 'app.service'");
        h.certain = false;
        assert_remedy(&h, "portreservectl why 48121/tcp");
        h.certain = true;
        h.container = (char *) "web";
        assert_remedy(&h, "kill 812");

        h = holder(KIND_EPHEMERAL, IPPROTO_TCP, SOCKET_CLOSE, 0, TRI_YES);
        h.unit = (char *) "app.service";
        h.cgroup = (char *) "/system.slice/app.service";
        assert_remedy(&h, "systemctl stop app.service");
        h = holder(KIND_UNKNOWN, IPPROTO_TCP, SOCKET_ESTABLISHED, 80, TRI_YES);
        h.unit = (char *) "app.service";
        assert_remedy(&h, "portreservectl why 48121/tcp");
}

static void assert_message(const Event *e, const char *expected)
{
        _cleanup_(freep) char *message = event_message(e);

        assert_non_null(message);
        assert_string_equal(message, expected);
}

static void test_messages(void **state)
{
        Holder thief = holder(KIND_EPHEMERAL, IPPROTO_TCP, SOCKET_ESTABLISHED, 6379, TRI_YES),
               squatter = holder(KIND_SQUATTER, IPPROTO_TCP, SOCKET_LISTEN, 0, TRI_NO);
        Reservation r = { .name = (char *) "web", .unit = (char *) "web.service" };
        Endpoint e = { .protocol = IPPROTO_TCP, .port = 48121, .last = 48130 };
        char long_command[300];

        thief.cgroup = (char *) "/system.slice/app.service";
        thief.unit = (char *) "app.service";
        thief.pid = 812;
        thief.exe = (char *) "/usr/bin/app";
        thief.command = (char *) "app --serve";
        thief.user = (char *) "alice";
        thief.started_usec = UINT64_C(1700000000123456);
        thief.since_usec = UINT64_C(1700000060999999);
        assert_message(
                &(Event){ EVENT_COLLISION, &r, &e, 48121, &thief },
                "web: tcp *:48121 is taken by system.slice/app.service (pid 812, /usr/bin/app), "
                "127.0.0.1:48121 -> 127.0.0.1:6379 ESTABLISHED; the kernel chose the port for an "
                "outgoing connection; user alice; command: app --serve; running since "
                "2023-11-14T22:13:20Z; seen there since 2023-11-14T22:14:20Z. What to do: "
                "portreservectl evict 48121/tcp (more: portreservectl why 48121/tcp)");

        /* A stranger may call itself as he likes, and at any length. */
        memset(long_command, 'x', sizeof(long_command) - 1);
        memcpy(long_command + 119, "\xc3\xa4", 2);
        long_command[sizeof(long_command) - 1] = 0;
        squatter.command = long_command;
        {
                Event event = { EVENT_COLLISION, &r, &e, 48121, &squatter };
                _cleanup_(freep) char *message = event_message(&event);

                assert_non_null(strstr(message, "xxx…. What to do: portreservectl why 48121/tcp"));
                assert_true(strlen(message) < 400);
                assert_null(strstr(message, "(more:"));
        }
        assert_message(&(Event){ EVENT_PENDING, &r, &e, 48121, .detail = "Address already in use" },
                       "web: tcp *:48121 cannot be held yet: Address already in use. What to do: "
                       "portreservectl why 48121/tcp");
        assert_message(&(Event){ EVENT_CLAIMED, &r, &e, 48121 },
                       "web: tcp *:48121 has come free and is held now");
        assert_message(&(Event){ EVENT_DRIFT, .detail = "80,443" },
                       "net.ipv4.ip_local_reserved_ports was overwritten by another program; "
                       "missing: 80,443");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_evict),
                cmocka_unit_test(test_stop),
                cmocka_unit_test(test_messages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
