/* Memory, length conversions and the bounded buffer (house rules 11 and 12). */
#include "support.h"

#include <limits.h>

static void buffer_grows_and_terminates(void **state)
{
    (void)state;
    est_buf buf = {.max = 5000};
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(est_buf_append(&buf, "x", 1), EST_APPEND_OK);
        assert_int_equal(buf.data[buf.len], 0);
    }
    assert_int_equal(buf.len, 5000);
    assert_int_equal(est_buf_append(&buf, "y", 1), EST_APPEND_TOO_LARGE);
    assert_int_equal(buf.len, 5000); /* unchanged */
    assert_int_equal(est_buf_append(&buf, NULL, 0), EST_APPEND_OK);
    est_buf_free(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    est_buf_free(&buf);
}

static void buffer_limit_cannot_wrap(void **state)
{
    (void)state;
    est_buf none = {0};
    assert_int_equal(est_buf_append(&none, "x", 1), EST_APPEND_TOO_LARGE);
    est_buf buf = {.max = 10};
    assert_int_equal(est_buf_append(&buf, "0123456789", 10), EST_APPEND_OK);
    assert_int_equal(est_buf_append(&buf, "x", SIZE_MAX), EST_APPEND_TOO_LARGE);
    assert_int_equal(est_buf_append(&buf, "x", SIZE_MAX - 9), EST_APPEND_TOO_LARGE);
    est_buf_free(&buf);
}

static void length_conversions(void **state)
{
    (void)state;
    int i = 7;
    long l = 7;
    size_t s = 7;
    assert_true(est_size_to_int(INT_MAX, &i));
    assert_int_equal(i, INT_MAX);
    assert_false(est_size_to_int((size_t)INT_MAX + 1, &i));
    assert_int_equal(i, INT_MAX);
    assert_true(est_size_to_long(LONG_MAX, &l));
    assert_false(est_size_to_long((size_t)LONG_MAX + 1, &l));
    assert_true(est_int_to_size(0, &s));
    assert_int_equal(s, 0);
    assert_false(est_int_to_size(-1, &s));
}

static void strings(void **state)
{
    (void)state;
    char *text = est_printf("%s-%d", "a", 12);
    assert_string_equal(text, "a-12");
    est_free(text);
    assert_null(est_strdup(NULL));
    text = est_strndup("abcdef", 3);
    assert_string_equal(text, "abc");
    est_free(text);
    text = est_alloc(0);
    assert_non_null(text);
    est_free(text);
    est_free(NULL);
}

static void case_is_ascii_only(void **state)
{
    (void)state;
    assert_true(est_text_equal_nocase("Content-TYPE", "content-type"));
    assert_true(est_text_equal_nocase("", ""));
    assert_false(est_text_equal_nocase("a", ""));
    assert_false(est_text_equal_nocase("", "a"));
    assert_false(est_text_equal_nocase("ab", "a"));
    assert_false(est_text_equal_nocase("[", "{")); /* neighbours of the letters */
    assert_false(est_text_equal_nocase("\xc3\x84", "\xc3\xa4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_grows_and_terminates), cmocka_unit_test(buffer_limit_cannot_wrap),
        cmocka_unit_test(length_conversions),          cmocka_unit_test(strings),
        cmocka_unit_test(case_is_ascii_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
