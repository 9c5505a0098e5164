/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The set of collisions against a plain array. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/watch/collision-set.h"

#define N_ENDPOINTS 8u
#define N_MODEL     512u

static Endpoint endpoints[N_ENDPOINTS];
static Reservation reservations[N_ENDPOINTS];

static void check(const CollisionSet *s, CollisionEntry *const *model)
{
        size_t n = 0, n_all = 0, n_by_endpoint = 0;

        for (size_t i = 0; i < N_MODEL; i++) {
                const CollisionEntry *x = model[i];

                if (!x)
                        continue;
                n++;
                assert_ptr_equal(
                        collision_set_find(s, x->collision.endpoint, x->collision.port, x->cookie),
                        x);
        }
        for (const CollisionEntry *x = collision_set_first(s); x; x = x->next)
                n_all++;
        for (size_t i = 0; i < N_ENDPOINTS; i++)
                for (const CollisionEntry *x = NULL;
                     (x = collision_set_next_of(s, endpoints + i, x));) {
                        assert_ptr_equal(x->collision.endpoint, endpoints + i);
                        n_by_endpoint++;
                }
        assert_int_equal(collision_set_count(s), n);
        assert_int_equal(n_all, n);
        assert_int_equal(n_by_endpoint, n);
}

static void test_random(void **state)
{
        _cleanup_(collision_set_freep) CollisionSet *s = NULL;
        CollisionEntry *model[N_MODEL] = {};

        srand(4);
        assert_int_equal(collision_set_new(&s), 0);
        for (unsigned round = 0; round < 20000; round++) {
                unsigned slot = (unsigned) rand() % N_MODEL, e = (unsigned) rand() % N_ENDPOINTS;
                /* The slot is in the key, so that no two are the same. */
                uint64_t cookie = slot / 2;
                uint16_t port = (uint16_t) (80 + slot % 2);

                if (!model[slot]) {
                        assert_null(collision_set_find(s, endpoints + e, port, cookie));
                        assert_int_equal(collision_set_add(s, reservations + e, endpoints + e, port,
                                                           cookie, &model[slot]),
                                         0);
                } else if (rand() % 2) {
                        collision_set_remove(s, model[slot]);
                        model[slot] = collision_entry_free(model[slot]);
                } else
                        collision_set_move(s, model[slot], reservations + e, endpoints + e);
                if (round % 100 == 0)
                        check(s, model);
        }
        check(s, model);
}

static void test_caps(void **state)
{
        _cleanup_(collision_set_freep) CollisionSet *s = NULL;
        CollisionEntry *x = NULL, *other;

        assert_int_equal(collision_set_new(&s), 0);
        for (unsigned i = 0; i < COLLISIONS_PER_RESERVATION_MAX; i++)
                assert_int_equal(collision_set_add(s, reservations, endpoints, 80, i, &x), 0);
        assert_int_equal(collision_set_add(s, reservations, endpoints, 80, 5000, &other), -ENOSPC);
        /* One goes, one may come. */
        collision_set_remove(s, x);
        collision_entry_free(x);
        assert_int_equal(collision_set_add(s, reservations, endpoints, 80, 5000, &other), 0);
        assert_int_equal(collision_set_add(s, reservations, endpoints, 80, 5001, &other), -ENOSPC);
        assert_int_equal(collision_set_count(s), COLLISIONS_PER_RESERVATION_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random),
                cmocka_unit_test(test_caps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
