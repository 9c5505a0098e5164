/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is said where something is not known; what the kernel does is compared by
 * tests/kernel/kernel-bind-matrix. */

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/bind-rules.h"

static const Endpoint anywhere = { .protocol = IPPROTO_TCP, .port = 80, .last = 80 };

static Socket at(const char *address, SocketState state)
{
        Socket s = { .protocol = IPPROTO_TCP,
                     .family = AF_INET,
                     .state = state,
                     .local_port = 80,
                     .automatic = TRI_YES,
                     .reuse = TRI_UNKNOWN };

        assert_int_equal(address_parse(address, &s.local), 0);
        return s;
}

static void test_unknown_matters_only_with_reuseaddr(void **state)
{
        Socket s = at("127.0.0.1", SOCKET_ESTABLISHED);

        assert_int_equal(bind_rules_allow(&anywhere, false, &s), TRI_NO);
        assert_int_equal(bind_rules_allow(&anywhere, true, &s), TRI_UNKNOWN);
        s.state = SOCKET_LISTEN;
        assert_int_equal(bind_rules_allow(&anywhere, true, &s), TRI_NO);
        s.local_port = 81;
        assert_int_equal(bind_rules_allow(&anywhere, false, &s), TRI_YES);
}

static void test_servers_are_guessed_to_set_it(void **state)
{
        static const Kind likely[] = { KIND_HOLD, KIND_LISTENER, KIND_OWNER, KIND_ACCEPTED };
        Socket s = at("127.0.0.1", SOCKET_ESTABLISHED);
        bool certain = true;

        for (size_t i = 0; i < ELEMENTSOF(likely); i++) {
                assert_int_equal(bind_rules_would_bind(&anywhere, likely[i], &s, &certain),
                                 WOULD_BIND_WITH_REUSEADDR);
                assert_false(certain);
        }
        assert_int_equal(bind_rules_would_bind(&anywhere, KIND_EPHEMERAL, &s, &certain),
                         WOULD_BIND_NO);
        assert_false(certain);
        /* What is known is not guessed. */
        s.reuse = TRI_YES;
        assert_int_equal(bind_rules_would_bind(&anywhere, KIND_EPHEMERAL, &s, &certain),
                         WOULD_BIND_WITH_REUSEADDR);
        assert_true(certain);
        s.reuse = TRI_NO;
        assert_int_equal(bind_rules_would_bind(&anywhere, KIND_OWNER, &s, &certain), WOULD_BIND_NO);
        assert_true(certain);
}

static void test_remains_by_who_chose_the_port(void **state)
{
        Socket s = at("127.0.0.1", SOCKET_TIME_WAIT);
        bool certain;

        assert_int_equal(bind_rules_would_bind(&anywhere, KIND_STALE, &s, &certain), WOULD_BIND_NO);
        s.automatic = TRI_NO;
        assert_int_equal(bind_rules_would_bind(&anywhere, KIND_STALE, &s, &certain),
                         WOULD_BIND_WITH_REUSEADDR);
}

static void test_names(void **state)
{
        assert_string_equal(would_bind_to_string(WOULD_BIND_YES), "yes");
        assert_string_equal(would_bind_to_string(WOULD_BIND_WITH_REUSEADDR), "with-reuseaddr");
        assert_string_equal(would_bind_to_string(WOULD_BIND_NO), "no");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unknown_matters_only_with_reuseaddr),
                cmocka_unit_test(test_servers_are_guessed_to_set_it),
                cmocka_unit_test(test_remains_by_who_chose_the_port),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
