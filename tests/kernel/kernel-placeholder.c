/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Thieves against placeholders: 32 kinds of bind (8 places, 4 flags), as root and as another uid,
 * against TCP and UDP placeholders of 5 shapes, in every state. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/placeholder.h"
#include "thief.h"

/* Another port for each round: remains of the last one are not to disturb it. */
#define PORT      (26000 + round_number)
#define OTHER_UID 65534
#define OWNER_UID 1234

typedef enum Expect {
        ALL_REFUSED,
        REUSEADDR_GETS_IN,
} Expect;

typedef struct Shape {
        const char *name;
        const char *address; /* NULL: AF_UNSPEC */
        bool v6only;
        const Place *place;
} Shape;

static const Shape shapes[] = {
        { "*", NULL, false, &places[3] },
        { "0.0.0.0", "0.0.0.0", false, &places[0] },
        { "127.0.0.1", "127.0.0.1", false, &places[1] },
        { "[::] v6only", "::", true, &places[4] },
        { "[::1]", "::1", false, &places[5] },
};

static const int both_protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
static unsigned n_thieves;
static uint16_t round_number;

static Endpoint endpoint_of(int protocol, const Shape *s)
{
        Endpoint e = { .protocol = protocol, .v6only = s->v6only, .port = PORT, .last = PORT };

        if (s->address)
                assert_int_equal(address_parse(s->address, &e.address), 0);
        return e;
}

static void expect(int protocol, const Shape *s, Expect what, const char *when)
{
        static const uid_t uids[] = { 0, OTHER_UID };

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                for (int flags = PLAIN; flags <= BOTH; flags++)
                        for (size_t u = 0; u < ELEMENTSOF(uids); u++) {
                                bool meets = place_meets(&places[i], s->place), in;
                                int r, want;

                                in = !meets || (what == REUSEADDR_GETS_IN && (flags & REUSEADDR));
                                want = in ? 0 : -EADDRINUSE;
                                r = steal_as(uids[u], protocol, &places[i], PORT, flags);
                                n_thieves++;
                                if (r != want)
                                        fail_msg("%s %s, %s: thief %s %s uid %u: %s, expected %s",
                                                 protocol == IPPROTO_TCP ? "tcp" : "udp", s->name,
                                                 when, places[i].name, flag_names[flags], uids[u],
                                                 strerror(-r), strerror(-want));
                        }
}

/* The owner at the placeholder's own place, serving. */
static int owner_binds(int protocol, const Shape *s, uid_t uid, int flags)
{
        int fd;

        assert_int_equal(seteuid(uid), 0);
        fd = open_at(protocol, s->place, PORT, flags);
        assert_int_equal(seteuid(0), 0);
        if (fd < 0)
                fail_msg("%s: owner: %s", s->name, strerror(-fd));
        if (protocol == IPPROTO_TCP)
                assert_int_equal(listen(fd, 16), 0);
        return fd;
}

static void expect_served(int protocol, const Shape *s, int owner)
{
        int family = s->place->v4 ? AF_INET : AF_INET6;

        if (protocol == IPPROTO_UDP)
                assert_true(datagram_arrives(owner, family, PORT));
        else {
                _cleanup_(closep) int client = connect_to(family, PORT), accepted = -1;

                assert_true(client >= 0);
                accepted = accept(owner, NULL, NULL);
                assert_true(accepted >= 0);
                /* The client's side closes first: the remains stay with it, not on our port. */
                close(client);
                client = -1;
                assert_true(readable(accepted, 5000));
        }
}

static void every_thief_in_every_state(void **state)
{
        for (size_t p = 0; p < ELEMENTSOF(both_protocols); p++)
                for (size_t i = 0; i < ELEMENTSOF(shapes); i++) {
                        int protocol = both_protocols[p];
                        Endpoint e = endpoint_of(protocol, &shapes[i]);
                        _cleanup_(closep) int fd = -1, owner = -1;
                        bool scrubbed = false;

                        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_OK);
                        expect(protocol, &shapes[i], ALL_REFUSED, "exclusive");

                        assert_int_equal(placeholder_share(fd), 0);
                        expect(protocol, &shapes[i], REUSEADDR_GETS_IN, "sharing");

                        owner = owner_binds(protocol, &shapes[i], OWNER_UID, REUSEADDR);
                        assert_int_equal(placeholder_unshare(fd), 0);
                        expect(protocol, &shapes[i], ALL_REFUSED, "in use");
                        expect_served(protocol, &shapes[i], owner);

                        if (protocol == IPPROTO_TCP) {
                                assert_int_equal(placeholder_exclude(fd, &scrubbed), 0);
                                assert_false(scrubbed);
                                expect_served(protocol, &shapes[i], owner);
                        }
                        close(owner);
                        owner = -1;
                        assert_int_equal(placeholder_exclude(fd, &scrubbed), 0);
                        assert_true(scrubbed);
                        expect(protocol, &shapes[i], ALL_REFUSED, "exclusive again");
                        assert_int_equal(placeholder_probe(&e, PORT), 1);
                }
        print_message("%u thieves\n", n_thieves);
}

/* Not even by its uid can what the owner left be told from a stranger. */
static void expect_owner_refused(int protocol, const Shape *s)
{
        for (size_t t = 0; t < ELEMENTSOF(places); t++)
                if (place_meets(&places[t], s->place))
                        for (int flags = PLAIN; flags <= BOTH; flags++)
                                assert_int_equal(
                                        steal_as(OWNER_UID, protocol, &places[t], PORT, flags),
                                        -EADDRINUSE);
}

/* The owner's own uid may come back in while it runs (its other workers), nobody after it has
 * gone. */
static void reuseport_owner(void **state)
{
        for (size_t p = 0; p < ELEMENTSOF(both_protocols); p++)
                for (size_t i = 0; i < ELEMENTSOF(shapes); i++) {
                        int protocol = both_protocols[p];
                        Endpoint e = endpoint_of(protocol, &shapes[i]);
                        _cleanup_(closep) int fd = -1;
                        bool scrubbed = false;
                        int owner;

                        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_OK);
                        assert_int_equal(placeholder_share(fd), 0);
                        owner = owner_binds(protocol, &shapes[i], OWNER_UID, BOTH);
                        assert_int_equal(placeholder_unshare(fd), 0);
                        expect(protocol, &shapes[i], ALL_REFUSED, "in use by SO_REUSEPORT");
                        close(owner);

                        assert_int_equal(placeholder_exclude(fd, &scrubbed), 0);
                        assert_true(scrubbed);
                        expect(protocol, &shapes[i], ALL_REFUSED, "after SO_REUSEPORT");
                        expect_owner_refused(protocol, &shapes[i]);
                }
}

/* A UDP owner over IPv6 with SO_REUSEPORT is put behind ours; ours steps behind it, whoever both
 * are. */
static void udp_steps_behind(void **state)
{
        static const uid_t uids[] = { 0, OWNER_UID };

        for (size_t i = 0; i < ELEMENTSOF(shapes); i++)
                for (size_t u = 0; u < ELEMENTSOF(uids); u++) {
                        Endpoint e = endpoint_of(IPPROTO_UDP, &shapes[i]);
                        bool v6 = shapes[i].place->v6, v4 = shapes[i].place->v4;
                        _cleanup_(closep) int fd = -1, owner = -1, behind = -1;
                        int r;

                        assert_int_equal(placeholder_bind(&e, PORT, true, &fd), BIND_OK);
                        owner = owner_binds(IPPROTO_UDP, &shapes[i], uids[u], BOTH);
                        r = placeholder_step_behind(&e, PORT, false, &behind);
                        if (!v6) {
                                assert_int_equal(r, -EOPNOTSUPP);
                                assert_true(datagram_arrives(owner, AF_INET, PORT));
                                continue;
                        }
                        assert_int_equal(r, BIND_OK);
                        close(fd);
                        fd = -1;
                        assert_true(datagram_arrives(owner, AF_INET6, PORT));
                        if (v4)
                                assert_true(datagram_arrives(owner, AF_INET, PORT));
                        for (int n = 0; n < 20; n++) /* not now and then to ours */
                                assert_true(datagram_arrives(owner, AF_INET6, PORT));
                        for (size_t t = 0; t < ELEMENTSOF(places); t++)
                                for (int flags = PLAIN; flags <= BOTH; flags++)
                                        if (place_meets(&places[t], shapes[i].place))
                                                assert_int_equal(steal_as(OTHER_UID, IPPROTO_UDP,
                                                                          &places[t], PORT, flags),
                                                                 -EADDRINUSE);

                        close(owner);
                        owner = -1;
                        expect(IPPROTO_UDP, &shapes[i], ALL_REFUSED, "behind, owner gone");
                        assert_int_equal(placeholder_share(behind), 0);
                        expect(IPPROTO_UDP, &shapes[i], REUSEADDR_GETS_IN, "behind, sharing");
                }
}

/* A UDP server that was there first keeps its datagrams, though it would let ours in. */
static void udp_server_before_us(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++)
                for (int sharing = 0; sharing < 2; sharing++) {
                        Endpoint e = endpoint_of(IPPROTO_UDP, &shapes[i]);
                        int family = shapes[i].place->v6 ? AF_INET6 : AF_INET;
                        _cleanup_(closep) int owner = -1, fd = -1;

                        owner = owner_binds(IPPROTO_UDP, &shapes[i], OWNER_UID, REUSEADDR);
                        assert_int_equal(placeholder_bind(&e, PORT, sharing, &fd), BIND_IN_USE);
                        assert_true(datagram_arrives(owner, family, PORT));
                        if (!shapes[i].place->v6)
                                continue;
                        assert_int_equal(placeholder_step_behind(&e, PORT, sharing, &fd), BIND_OK);
                        assert_true(datagram_arrives(owner, family, PORT));
                }
}

/* Beside the remains of the owner's connections: back to exclusive, scrubbed in both ways, and bound
 * anew. */
static void remains(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++)
                for (int k = 0; k < 4; k++, round_number++) {
                        bool wait = k & 1, beside = k & 2;
                        Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[i]);
                        int family = shapes[i].place->v4 ? AF_INET : AF_INET6;
                        _cleanup_(closep) int fd = -1, client = -1, again = -1;
                        bool scrubbed = false;
                        int owner, accepted;

                        assert_int_equal(placeholder_bind(&e, PORT, true, &fd), BIND_OK);
                        owner = owner_binds(IPPROTO_TCP, &shapes[i], OWNER_UID, BOTH);
                        assert_int_equal(placeholder_unshare(fd), 0);
                        client = connect_to(family, PORT);
                        assert_true(client >= 0);
                        accepted = accept(owner, NULL, NULL);
                        assert_true(accepted >= 0);
                        close(accepted);
                        close(owner);
                        if (wait) { /* TIME_WAIT instead of FIN_WAIT2 */
                                assert_true(readable(client, 5000));
                                close(client);
                                client = -1;
                        }

                        assert_int_equal(placeholder_exclude(fd, &scrubbed), 0);
                        assert_false(scrubbed);
                        expect(IPPROTO_TCP, &shapes[i], ALL_REFUSED, "beside remains");
                        if (beside)
                                assert_int_equal(placeholder_scrub_beside(&e, PORT), 0);
                        else {
                                assert_int_equal(placeholder_scrub_open(fd, &scrubbed), 0);
                                assert_true(scrubbed);
                        }
                        expect(IPPROTO_TCP, &shapes[i], ALL_REFUSED, "beside remains, scrubbed");
                        expect_owner_refused(IPPROTO_TCP, &shapes[i]);
                        close(fd);
                        fd = -1;
                        assert_int_equal(placeholder_bind(&e, PORT, false, &again), BIND_OK);
                        expect(IPPROTO_TCP, &shapes[i], ALL_REFUSED, "bound beside remains");

                        /* And the owner's next run gets in. */
                        assert_int_equal(placeholder_share(again), 0);
                        owner = owner_binds(IPPROTO_TCP, &shapes[i], OWNER_UID, BOTH);
                        close(owner);
                }
}

/* A listener for one family of two, or at one address, leaves room for others. */
static void covered(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++, round_number++) {
                Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[i]);
                _cleanup_(closep) int fd = -1, first = -1, second = -1;
                bool both = shapes[i].place->v4 && shapes[i].place->v6;

                assert_int_equal(placeholder_bind(&e, PORT, true, &fd), BIND_OK);
                assert_int_equal(placeholder_is_covered(&e, PORT, false), 0);
                first = owner_binds(IPPROTO_TCP, both ? &shapes[2] : &shapes[i], 0, REUSEADDR);
                assert_int_equal(placeholder_has_listener(&e, PORT), 1);
                assert_int_equal(placeholder_is_covered(&e, PORT, false), both ? 0 : 1);
                assert_int_equal(placeholder_is_covered(&e, PORT, true), both ? 0 : 1);
                if (both) {
                        second = owner_binds(IPPROTO_TCP, &shapes[3], 0, REUSEADDR);
                        assert_int_equal(placeholder_is_covered(&e, PORT, false), 1);
                        assert_int_equal(placeholder_is_covered(&e, PORT, true), 0);
                        close(first);
                        first = owner_binds(IPPROTO_TCP, &shapes[1], 0, REUSEADDR);
                        assert_int_equal(placeholder_is_covered(&e, PORT, true), 1);
                }
        }
}

/* Let in while the door was open, with both flags, beside a server for IPv4: kept out afterwards. */
static void reuseport_thief_is_forgotten(void **state)
{
        Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[0]);
        _cleanup_(closep) int fd = -1, owner = -1;

        assert_int_equal(placeholder_bind(&e, PORT, true, &fd), BIND_OK);
        owner = owner_binds(IPPROTO_TCP, &shapes[1], 0, REUSEADDR);
        assert_int_equal(steal_as(OTHER_UID, IPPROTO_TCP, &places[4], PORT, BOTH), 0);
        assert_int_equal(placeholder_unshare(fd), 0);
        assert_int_equal(steal_as(OTHER_UID, IPPROTO_TCP, &places[4], PORT, REUSEPORT), 0);
        assert_int_equal(placeholder_forget_reuseport(&e, PORT), 0);
        expect(IPPROTO_TCP, &shapes[0], ALL_REFUSED, "the thief has gone");
        expect_served(IPPROTO_TCP, &shapes[1], owner);
}

static void never_chosen(void **state)
{
        _cleanup_(closep) int listener = -1;
        struct sockaddr_storage ss;
        socklen_t size;
        char text[32];

        listener = open_at(IPPROTO_TCP, &places[1], PORT + 1, PLAIN);
        assert_true(listener >= 0);
        assert_int_equal(listen(listener, 16), 0);
        snprintf(text, sizeof(text), "%d %d", PORT, PORT);
        assert_int_equal(write_text("/proc/sys/net/ipv4/ip_local_port_range", text), 0);

        for (size_t p = 0; p < ELEMENTSOF(both_protocols); p++)
                for (int sharing = 0; sharing < 2; sharing++) {
                        int protocol = both_protocols[p];
                        int type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
                        Endpoint e = endpoint_of(protocol, &shapes[0]);
                        _cleanup_(closep) int fd = -1, client = -1;

                        assert_int_equal(placeholder_bind(&e, PORT, sharing, &fd), BIND_OK);
                        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                                assert_int_equal(steal_as(0, protocol, &places[i], 0, PLAIN),
                                                 -EADDRINUSE);
                                if (!sharing)
                                        assert_int_equal(steal_as(0, protocol, &places[i], 0, BOTH),
                                                         -EADDRINUSE);
                        }
                        client = socket(AF_INET, type | SOCK_CLOEXEC, 0);
                        assert_true(client >= 0);
                        size = place_address(&places[1], PORT + 1, &ss);
                        assert_int_equal(connect(client, (const struct sockaddr *) &ss, size), -1);
                        assert_true(errno == EADDRNOTAVAIL || errno == EAGAIN);
                }
        assert_int_equal(write_text("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999"), 0);
}

/* Nobody is ever taken as a client, not even while it is scrubbed. */
static void clients_are_refused(void **state)
{
        Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[0]);
        _cleanup_(closep) int fd = -1;
        bool scrubbed;

        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_OK);
        assert_int_equal(connect_to(AF_INET, PORT), -ECONNREFUSED);
        assert_int_equal(connect_to(AF_INET6, PORT), -ECONNREFUSED);
        for (int i = 0; i < 100; i++)
                assert_int_equal(placeholder_exclude(fd, &scrubbed), 0);
        assert_int_equal(connect_to(AF_INET, PORT), -ECONNREFUSED);
}

static void datagrams_are_dropped(void **state)
{
        Endpoint e = endpoint_of(IPPROTO_UDP, &shapes[0]);
        _cleanup_(closep) int fd = -1;

        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_OK);
        assert_false(datagram_arrives(fd, AF_INET, PORT));
        assert_false(datagram_arrives(fd, AF_INET6, PORT));
}

static void whatever_bindv6only_says(void **state)
{
        Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[0]);
        _cleanup_(closep) int fd = -1;

        assert_int_equal(write_text("/proc/sys/net/ipv6/bindv6only", "1"), 0);
        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_OK);
        expect(IPPROTO_TCP, &shapes[0], ALL_REFUSED, "bindv6only=1");
        assert_int_equal(write_text("/proc/sys/net/ipv6/bindv6only", "0"), 0);
}

static void addresses_not_there_yet(void **state)
{
        static const char *const addresses[] = { "192.0.2.7", "2001:db8::7" };

        for (size_t p = 0; p < ELEMENTSOF(both_protocols); p++)
                for (size_t i = 0; i < ELEMENTSOF(addresses); i++) {
                        Endpoint e = { .protocol = both_protocols[p], .port = PORT, .last = PORT };
                        _cleanup_(closep) int fd = -1, second = -1;

                        assert_int_equal(address_parse(addresses[i], &e.address), 0);
                        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_OK);
                        assert_int_equal(placeholder_bind(&e, PORT, false, &second), BIND_IN_USE);
                }
}

static void link_local_without_interface(void **state)
{
        Endpoint e = { .protocol = IPPROTO_TCP, .port = PORT, .last = PORT };
        int fd = -1;

        assert_int_equal(address_parse("fe80::1%999", &e.address), 0);
        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_NO_ADDRESS);
        assert_int_equal(fd, -1);
}

static void in_use(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++)
                for (int flags = PLAIN; flags <= BOTH; flags++) {
                        Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[i]);
                        _cleanup_(closep) int thief = -1;
                        int fd = -1;

                        thief = open_at(IPPROTO_TCP, shapes[i].place, PORT, flags);
                        assert_true(thief >= 0);
                        assert_int_equal(listen(thief, 1), 0);
                        assert_int_equal(placeholder_bind(&e, PORT, false, &fd), BIND_IN_USE);
                        assert_int_equal(placeholder_listen(&e, PORT, &fd), BIND_IN_USE);
                        assert_int_equal(fd, -1);
                }
}

/* A SO_REUSEADDR thief that has bound and does not listen lets our bind in: the probe must not take
 * that for exclusive. */
static void bound_thief_is_noticed(void **state)
{
        Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[0]);
        _cleanup_(closep) int thief = open_at(IPPROTO_TCP, shapes[0].place, PORT, REUSEADDR);
        _cleanup_(closep) int fd = -1;

        assert_true(thief >= 0);
        if (placeholder_bind(&e, PORT, false, &fd) == BIND_OK) {
                /* Then the port is ours all the same: the thief cannot listen any more. */
                assert_int_equal(listen(thief, 1), -1);
                assert_int_equal(errno, EADDRINUSE);
        }
}

static void listening(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++) {
                Endpoint e = endpoint_of(IPPROTO_TCP, &shapes[i]);
                _cleanup_(closep) int fd = -1;

                assert_int_equal(placeholder_listen(&e, PORT, &fd), BIND_OK);
                assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
                expect_served(IPPROTO_TCP, &shapes[i], fd);
                expect(IPPROTO_TCP, &shapes[i], ALL_REFUSED, "listening");
        }
}

static void described(void **state)
{
        for (size_t p = 0; p < ELEMENTSOF(both_protocols); p++)
                for (size_t i = 0; i < ELEMENTSOF(shapes); i++) {
                        Endpoint e = endpoint_of(both_protocols[p], &shapes[i]);
                        _cleanup_(closep) int fd = -1;
                        PlaceholderInfo info;

                        assert_int_equal(placeholder_bind(&e, PORT, i % 2, &fd), BIND_OK);
                        assert_int_equal(placeholder_describe(fd, &info), 0);
                        assert_int_equal(info.protocol, both_protocols[p]);
                        assert_int_equal(info.port, PORT);
                        assert_int_equal(info.sharing, i % 2);
                        assert_false(info.listening);
                        for (size_t k = 0; k < ELEMENTSOF(shapes); k++) {
                                Endpoint other = endpoint_of(both_protocols[p], &shapes[k]);

                                assert_int_equal(placeholder_serves(&info, &other, PORT), k == i);
                                assert_false(placeholder_serves(&info, &other, PORT + 1));
                        }
                        e.protocol = both_protocols[!p];
                        assert_false(placeholder_serves(&info, &e, PORT));
                }
}

static void not_ours_to_describe(void **state)
{
        _cleanup_(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        _cleanup_(closep) int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        PlaceholderInfo info;

        assert_int_equal(placeholder_describe(null, &info), -ENOTSOCK);
        assert_int_equal(placeholder_describe(local, &info), -EAFNOSUPPORT);
}

static int next_round(void **state)
{
        round_number++;
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(every_thief_in_every_state, next_round),
                cmocka_unit_test_setup(reuseport_owner, next_round),
                cmocka_unit_test_setup(udp_steps_behind, next_round),
                cmocka_unit_test_setup(udp_server_before_us, next_round),
                cmocka_unit_test_setup(remains, next_round),
                cmocka_unit_test_setup(covered, next_round),
                cmocka_unit_test_setup(reuseport_thief_is_forgotten, next_round),
                cmocka_unit_test_setup(never_chosen, next_round),
                cmocka_unit_test_setup(clients_are_refused, next_round),
                cmocka_unit_test_setup(datagrams_are_dropped, next_round),
                cmocka_unit_test_setup(whatever_bindv6only_says, next_round),
                cmocka_unit_test_setup(addresses_not_there_yet, next_round),
                cmocka_unit_test_setup(link_local_without_interface, next_round),
                cmocka_unit_test_setup(in_use, next_round),
                cmocka_unit_test_setup(bound_thief_is_noticed, next_round),
                cmocka_unit_test_setup(listening, next_round),
                cmocka_unit_test_setup(described, next_round),
                cmocka_unit_test_setup(not_ours_to_describe, next_round),
        };

        if (loopback_up() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
