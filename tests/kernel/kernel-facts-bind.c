/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What this kernel does at bind(), as the placeholders rely on it. A kernel that behaves otherwise
 * fails here by name, before it does so somewhere in the field. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/tcp.h>

#include "thief.h"

#define PORT      25000
#define OTHER_UID 65534

static const Place *const dual = &places[3];
static const Place *const local = &places[1];
static const int both_protocols[] = { IPPROTO_TCP, IPPROTO_UDP };

static int must_open(int protocol, const Place *p, int flags)
{
        int fd = open_at(protocol, p, PORT, flags);

        if (fd < 0)
                fail_msg("%s %s: %s", p->name, flag_names[flags], strerror(-fd));
        return fd;
}

/* As the product scrubs, without the filter. */
static void scrub(int fd)
{
        assert_int_equal(listen(fd, 0), 0);
        assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
}

static void flag_takes_effect_at_once(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(both_protocols); i++) {
                int protocol = both_protocols[i];
                _cleanup_(closep) int ours = must_open(protocol, dual, PLAIN);

                assert_int_equal(steal_as(0, protocol, dual, PORT, REUSEADDR), -EADDRINUSE);
                set_flag(ours, SO_REUSEADDR, 1);
                assert_int_equal(steal_as(0, protocol, dual, PORT, REUSEADDR), 0);
                assert_int_equal(steal_as(OTHER_UID, protocol, local, PORT, REUSEADDR), 0);
                assert_int_equal(steal_as(0, protocol, dual, PORT, PLAIN), -EADDRINUSE);
                assert_int_equal(steal_as(0, protocol, dual, PORT, REUSEPORT), -EADDRINUSE);
                if (protocol == IPPROTO_TCP)
                        scrub(ours);
                set_flag(ours, SO_REUSEADDR, 0);
                assert_int_equal(steal_as(0, protocol, dual, PORT, REUSEADDR), -EADDRINUSE);
                assert_int_equal(steal_as(0, protocol, local, PORT, BOTH), -EADDRINUSE);
        }
}

/* set, bind, clear: enough for UDP on every kernel; for TCP only together with the scrub (6.1 is
 * open without). */
static void clearing_is_enough_for_udp(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_UDP, dual, REUSEADDR);

        set_flag(ours, SO_REUSEADDR, 0);
        for (int flags = PLAIN; flags <= BOTH; flags++) {
                assert_int_equal(steal_as(0, IPPROTO_UDP, dual, PORT, flags), -EADDRINUSE);
                assert_int_equal(steal_as(OTHER_UID, IPPROTO_UDP, local, PORT, flags), -EADDRINUSE);
        }
}

/* Also after a SO_REUSEPORT owner has been there: UDP has no memory of it. */
static void udp_forgets_reuseport(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_UDP, dual, REUSEADDR);
        int owner = must_open(IPPROTO_UDP, dual, BOTH);

        close(owner);
        set_flag(ours, SO_REUSEADDR, 0);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(0, IPPROTO_UDP, dual, PORT, flags), -EADDRINUSE);
}

static void tcp_scrub_closes(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);

        scrub(ours);
        set_flag(ours, SO_REUSEADDR, 0);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
}

/* The order does not matter while nothing else is on the port: then the door need not be open for
 * the scrub. */
static void tcp_scrub_works_closed(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);

        set_flag(ours, SO_REUSEADDR, 0);
        scrub(ours);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
}

/* A SO_REUSEPORT server that has gone leaves the port open to its uid, until a scrub. */
static void tcp_remembers_reuseport(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);
        int owner;

        owner = must_open(IPPROTO_TCP, dual, BOTH);
        assert_int_equal(listen(owner, 1), 0);
        close(owner);
        set_flag(ours, SO_REUSEADDR, 0);
        if (steal_as(0, IPPROTO_TCP, dual, PORT, REUSEPORT) == -EADDRINUSE)
                print_message("this kernel forgets SO_REUSEPORT by itself\n");
        scrub(ours);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
}

static void closed_between_bind_and_listen(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);
        _cleanup_(closep) int owner = must_open(IPPROTO_TCP, dual, REUSEADDR);

        set_flag(ours, SO_REUSEADDR, 0);
        assert_int_equal(listen(owner, 1), -1);
        assert_int_equal(errno, EADDRINUSE);
        set_flag(ours, SO_REUSEADDR, 1);
        assert_int_equal(listen(owner, 1), 0);
        set_flag(ours, SO_REUSEADDR, 0);
        assert_int_equal(listen(owner, 8), 0); /* again, with another backlog, as on a reload */
}

/* While our door is open, a SO_REUSEADDR bind fails for a listener and for nothing else. */
static void open_door_shows_listeners(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);
        _cleanup_(closep) int owner = must_open(IPPROTO_TCP, local, REUSEADDR);

        assert_int_equal(fcntl(ours, F_GETFD), FD_CLOEXEC);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, REUSEADDR), 0);
        assert_int_equal(listen(owner, 1), 0);
        assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, REUSEADDR), -EADDRINUSE);
}

static void scrub_is_refused_beside_a_listener(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);
        _cleanup_(closep) int owner = must_open(IPPROTO_TCP, local, REUSEADDR), client = -1;

        assert_int_equal(listen(owner, 1), 0);
        assert_int_equal(listen(ours, 0), -1);
        assert_int_equal(errno, EADDRINUSE);
        client = connect_to(AF_INET, PORT);
        assert_true(client >= 0);
}

/* With the flag the scrub passes the remains of a server's connections, without it does not. */
static void scrub_beside_remains(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);
        _cleanup_(closep) int client = -1;
        int owner, accepted;

        owner = must_open(IPPROTO_TCP, dual, REUSEADDR);
        assert_int_equal(listen(owner, 1), 0);
        client = connect_to(AF_INET, PORT);
        accepted = accept(owner, NULL, NULL);
        assert_true(accepted >= 0);
        close(accepted); /* the server first: FIN_WAIT2 on its side */
        close(owner);

        set_flag(ours, SO_REUSEADDR, 0);
        assert_int_equal(listen(ours, 0), -1);
        assert_int_equal(errno, EADDRINUSE);
        set_flag(ours, SO_REUSEADDR, 1);
        scrub(ours);
        set_flag(ours, SO_REUSEADDR, 0);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
}

/* A socket in TCP_REPAIR is bound, and listens, beside everything; the port then forgets what others
 * allowed, though ours kept its door closed. And it lets nobody else in. */
static void repair_scrubs_beside_remains(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);
        _cleanup_(closep) int client = -1;
        int owner, accepted, beside, on = TCP_REPAIR_ON;
        struct sockaddr_storage ss;
        socklen_t size;

        assert_int_equal(seteuid(OTHER_UID), 0);
        owner = must_open(IPPROTO_TCP, dual, BOTH);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(listen(owner, 1), 0);
        client = connect_to(AF_INET, PORT);
        accepted = accept(owner, NULL, NULL);
        assert_true(accepted >= 0);
        close(accepted);
        close(owner);
        set_flag(ours, SO_REUSEADDR, 0);
        assert_int_equal(steal_as(OTHER_UID, IPPROTO_TCP, dual, PORT, BOTH), 0);

        beside = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(beside >= 0);
        assert_int_equal(setsockopt(beside, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
        size = place_address(dual, PORT, &ss);
        assert_int_equal(bind(beside, (const struct sockaddr *) &ss, size), 0);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(OTHER_UID, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
        assert_int_equal(listen(beside, 0), 0);
        close(beside);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(OTHER_UID, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
}

static void no_placeholder_beside_a_listener(void **state)
{
        _cleanup_(closep) int owner = must_open(IPPROTO_TCP, local, REUSEADDR);

        assert_int_equal(listen(owner, 1), 0);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
}

static void clearing_beside_a_listener_breaks_nothing(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_TCP, dual, REUSEADDR);
        _cleanup_(closep) int owner = must_open(IPPROTO_TCP, dual, REUSEADDR), client = -1;

        assert_int_equal(listen(owner, 1), 0);
        set_flag(ours, SO_REUSEADDR, 0);
        client = connect_to(AF_INET6, PORT);
        assert_true(client >= 0);
        for (int flags = PLAIN; flags <= BOTH; flags++)
                assert_int_equal(steal_as(0, IPPROTO_TCP, dual, PORT, flags), -EADDRINUSE);
}

/* The newest of equal UDP sockets gets the datagrams; an AF_INET6 one bound with SO_REUSEPORT goes
 * behind the others instead. */
static void udp_order(void **state)
{
        _cleanup_(closep) int ours = must_open(IPPROTO_UDP, dual, REUSEADDR);
        _cleanup_(closep) int newer = must_open(IPPROTO_UDP, dual, REUSEADDR);
        _cleanup_(closep) int behind = must_open(IPPROTO_UDP, dual, BOTH);

        assert_true(datagram_arrives(newer, AF_INET6, PORT));
        assert_true(datagram_arrives(newer, AF_INET, PORT));
        assert_false(datagram_arrives(behind, AF_INET6, PORT));
        close(newer);
        newer = -1;
        assert_true(datagram_arrives(ours, AF_INET6, PORT));
        assert_false(datagram_arrives(behind, AF_INET6, PORT));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(flag_takes_effect_at_once),
                cmocka_unit_test(clearing_is_enough_for_udp),
                cmocka_unit_test(udp_forgets_reuseport),
                cmocka_unit_test(tcp_scrub_closes),
                cmocka_unit_test(tcp_scrub_works_closed),
                cmocka_unit_test(tcp_remembers_reuseport),
                cmocka_unit_test(closed_between_bind_and_listen),
                cmocka_unit_test(open_door_shows_listeners),
                cmocka_unit_test(scrub_is_refused_beside_a_listener),
                cmocka_unit_test(scrub_beside_remains),
                cmocka_unit_test(repair_scrubs_beside_remains),
                cmocka_unit_test(no_placeholder_beside_a_listener),
                cmocka_unit_test(clearing_beside_a_listener_breaks_nothing),
                cmocka_unit_test(udp_order),
        };

        if (loopback_up() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
