/* Counters, shared between threads (O4). */
#include "support.h"

#include <pthread.h>
#include <stdio.h>

static void counts_in_order_of_name(void **state)
{
    (void)state;
    estuary_metrics *m = NULL;
    assert_int_equal(estuary_metrics_new(&m, NULL), ESTUARY_OK);
    assert_int_equal(estuary_metrics_get(m, "b"), 0);
    est_count(m, "b");
    est_count(m, "a");
    est_count(m, "c");
    est_count(m, "b");
    static const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"a", 1}, {"b", 2}, {"c", 1}};
    const char *name = NULL;
    uint64_t value = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(estuary_metrics_at(m, i, &name, &value));
        assert_string_equal(name, rows[i].name);
        assert_int_equal(value, rows[i].value);
        assert_int_equal(estuary_metrics_get(m, name), value);
    }
    assert_false(estuary_metrics_at(m, 3, &name, &value));
    assert_ptr_equal(estuary_metrics_up_ref(m), m);
    estuary_metrics_free(m);
    assert_int_equal(estuary_metrics_get(m, "a"), 1);
    estuary_metrics_free(m);
}

static void null_is_fine(void **state)
{
    (void)state;
    const char *name = NULL;
    uint64_t value = 0;
    est_count(NULL, "a");
    assert_int_equal(estuary_metrics_get(NULL, "a"), 0);
    assert_false(estuary_metrics_at(NULL, 0, &name, &value));
    assert_null(estuary_metrics_up_ref(NULL));
    estuary_metrics_free(NULL);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    static char names[200][8];
    estuary_metrics *m = NULL;
    assert_int_equal(estuary_metrics_new(&m, NULL), ESTUARY_OK);
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "n%03d", 199 - i);
        est_count(m, names[i]);
    }
    const char *name = NULL;
    uint64_t value = 0;
    assert_true(estuary_metrics_at(m, 127, &name, &value));
    assert_false(estuary_metrics_at(m, 128, &name, &value));
    estuary_metrics_free(m);
}

static void *count_many(void *m)
{
    for (int i = 0; i < 10000; i++)
        est_count(m, i % 2 == 0 ? "even" : "odd");
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    estuary_metrics *m = NULL;
    pthread_t threads[4];
    assert_int_equal(estuary_metrics_new(&m, NULL), ESTUARY_OK);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, m), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(estuary_metrics_get(m, "even"), 20000);
    assert_int_equal(estuary_metrics_get(m, "odd"), 20000);
    estuary_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_in_order_of_name),
                                       cmocka_unit_test(null_is_fine), cmocka_unit_test(the_table_is_bounded),
                                       cmocka_unit_test(threads_lose_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
