/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/table.h"

#define KEYS 512

static void test_empty(void **state)
{
        _cleanup_(table_deinit) Table t = {};

        assert_null(table_get(&t, 1));
        table_remove(&t, 1);
        assert_true(table_reserve(&t, 100));
        assert_null(table_get(&t, 1));
        assert_null(table_get(&t, 0));
        assert_false(table_reserve(&t, SIZE_MAX / 2));
}

/* Against an array. Keys that are few and close collide all the time. */
static void test_like_an_array(void **state)
{
        _cleanup_(table_deinit) Table t = {};
        void *model[KEYS] = {};
        size_t n = 0;

        srand(7);
        for (unsigned i = 0; i < 200000; i++) {
                unsigned key = 1 + (unsigned) rand() % (KEYS - 1);
                void *value = rand() % 2 ? &model[rand() % KEYS] : NULL;

                n += (value != NULL) - (model[key] != NULL);
                model[key] = value;
                if (value)
                        assert_true(table_set(&t, (uint64_t) key << 16, value));
                else
                        table_remove(&t, (uint64_t) key << 16);
                assert_int_equal(t.n, n);
                key = 1 + (unsigned) rand() % (KEYS - 1);
                assert_ptr_equal(table_get(&t, (uint64_t) key << 16), model[key]);
        }
        for (unsigned key = 1; key < KEYS; key++)
                assert_ptr_equal(table_get(&t, (uint64_t) key << 16), model[key]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_like_an_array),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
