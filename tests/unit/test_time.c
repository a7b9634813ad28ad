/* RFC 3339 times in and out. */
#include "support.h"

static void formats(void **state)
{
    (void)state;
    static const struct {
        time_t at;
        const char *text;
    } rows[] = {{0, "1970-01-01T00:00:00Z"},
                {951782400, "2000-02-29T00:00:00Z"},
                {1769860800, "2026-01-31T12:00:00Z"},
                {-1, "1969-12-31T23:59:59Z"},
                {253402300799, "9999-12-31T23:59:59Z"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[EST_TIME_TEXT_SIZE];
        time_t back = 1;
        est_time_format(rows[i].at, out);
        assert_string_equal(out, rows[i].text);
        assert_true(est_time_parse(out, &back));
        assert_int_equal(back, rows[i].at);
    }
    char out[EST_TIME_TEXT_SIZE];
    est_time_format(INT64_MAX, out);
    assert_string_equal(out, "unknown");
}

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        time_t at;
    } rows[] = {{"2026-01-31T12:00:00Z", 1769860800},      {"2026-01-31t12:00:00z", 1769860800},
                {"2026-01-31 12:00:00Z", 1769860800},      {"2026-01-31T13:30:00+01:30", 1769860800},
                {"2026-01-31T04:00:00-08:00", 1769860800}, {"2026-01-31T12:00:00+00:00", 1769860800},
                {"2026-02-01T00:00:00+12:00", 1769860800}, {"2024-02-29T00:00:00Z", 1709164800},
                {"2016-12-31T23:59:60Z", 1483228800}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        time_t at = 1;
        if (!est_time_parse(rows[i].text, &at))
            fail_msg("%s is refused", rows[i].text);
        assert_int_equal(at, rows[i].at);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "x",
                                       "2026-01-31",
                                       "2026-01-31T12:00:00",
                                       "2026-01-31T12:00Z",
                                       "2026-02-31T12:00:00Z",
                                       "2026-02-29T00:00:00Z",
                                       "2026-04-31T00:00:00Z",
                                       "2026-13-01T00:00:00Z",
                                       "2026-00-01T00:00:00Z",
                                       "2026-01-00T00:00:00Z",
                                       "2026-01-32T00:00:00Z",
                                       "2026-01-31T24:00:00Z",
                                       "2026-01-31T12:60:00Z",
                                       "2026-01-31T12:00:61Z",
                                       "2026-01-31T12:-1:00Z",
                                       "2026-01-31T12: 1:00Z",
                                       "2026-1-31T12:00:00Z",
                                       "2026-01-31T12:0:00Z",
                                       " 2026-01-31T12:00:00Z",
                                       "+026-01-31T12:00:00Z",
                                       "2026-01-31T12:00:00Zx",
                                       "2026-01-31T12:00:00+1:00",
                                       "2026-01-31T12:00:00+01:0",
                                       "2026-01-31T12:00:00+01:00x",
                                       "2026-01-31T12:00:00+24:00",
                                       "2026-01-31T12:00:00+01:60",
                                       "2026-01-31T12:00:00++1:00",
                                       "2026-01-31T12:00:00*01:00",
                                       "2026-01-31x12:00:00Z",
                                       "99999-01-31T12:00:00Z"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        time_t at = 1;
        if (est_time_parse(rows[i], &at))
            fail_msg("\"%s\" is accepted", rows[i]);
    }
}

static void clocks(void **state)
{
    (void)state;
    time_t now = est_now();
    assert_true(now > 1700000000);
    int64_t first = est_monotonic_ms();
    assert_true(est_monotonic_ms() >= first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formats), cmocka_unit_test(parses),
                                       cmocka_unit_test(refuses), cmocka_unit_test(clocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
