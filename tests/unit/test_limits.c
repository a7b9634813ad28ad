/* Every bound has a default, a range and a setter (T8). */
#include "support.h"

static const struct {
    estuary_limit which;
    int64_t preset;
} rows[] = {
    {ESTUARY_LIMIT_CONNECT_MS, 15000},
    {ESTUARY_LIMIT_TOTAL_MS, 60000},
    {ESTUARY_LIMIT_IDLE_MS, 15000},
    {ESTUARY_LIMIT_RESPONSE_BYTES, 1048576},
    {ESTUARY_LIMIT_HEADER_BYTES, 65536},
    {ESTUARY_LIMIT_HEADER_COUNT, 200},
    {ESTUARY_LIMIT_CERTIFICATES, 64},
    {ESTUARY_LIMIT_CHAIN_DEPTH, 8},
    {ESTUARY_LIMIT_REDIRECTS, 3},
    {ESTUARY_LIMIT_POLLS, 1000},
    {ESTUARY_LIMIT_RETRY_AFTER_SECONDS, 604800},
    {ESTUARY_LIMIT_ERROR_TEXT_BYTES, 512},
};

static void defaults_and_ranges(void **state)
{
    (void)state;
    estuary_limits *limits = NULL;
    estuary_error *err = estuary_error_new();
    assert_ok(estuary_limits_new(&limits, err), err);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(estuary_limits_get(limits, rows[i].which), rows[i].preset);
        assert_int_equal(estuary_limits_get(NULL, rows[i].which), rows[i].preset);
        static const int64_t bad[] = {0, -1, INT64_MIN, INT64_MAX};
        for (size_t k = 0; k < COUNT_OF(bad); k++) {
            assert_failed(estuary_limits_set(limits, rows[i].which, bad[k], err), err, "usage.limit");
            assert_int_equal(estuary_limits_get(limits, rows[i].which), rows[i].preset);
        }
        int64_t value = rows[i].preset - 1;
        assert_ok(estuary_limits_set(limits, rows[i].which, value, err), err);
        assert_int_equal(estuary_limits_get(limits, rows[i].which), value);
    }
    estuary_limits *copy = est_limits_dup(limits);
    assert_int_equal(estuary_limits_get(copy, ESTUARY_LIMIT_POLLS), 999);
    estuary_limits_free(copy);
    estuary_limits_free(limits);
    estuary_limits_free(NULL);
    estuary_error_free(err);
}

static void unknown_limits(void **state)
{
    (void)state;
    estuary_limits *limits = NULL;
    estuary_error *err = estuary_error_new();
    assert_ok(estuary_limits_new(&limits, err), err);
    static const int bad[] = {0, -1, 13, 1000};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_failed(estuary_limits_set(limits, (estuary_limit)bad[i], 5, err), err, "usage.limit");
        assert_int_equal(estuary_limits_get(limits, (estuary_limit)bad[i]), 0);
    }
    estuary_limits_free(limits);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults_and_ranges),
                                       cmocka_unit_test(unknown_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
