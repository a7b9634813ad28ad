/* est_text_sanitise(): what a server says, made fit to be shown (E11, O3). */
#include "support.h"

static void table(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"  a \t\r\n b\n\n", "a b"},
        {"\n\n", ""},
        {"a\x01"
         "b\x7f",
         "a?b?"},
        {"\x1b[31mred\x1b]0;title\x07", "?[31mred?]0;title?"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x9b"
         "2J",
         "??2J"}, /* C1 CSI */
        {"\xff\xfe", "??"},
        {"\x80\xbf", "??"},
        {"\xc3", "?"},
        {"\xe2\x82", "??"},
        {"\xc3(", "?("},
        {"\xc0\x80", "??"},                       /* overlong NUL */
        {"\xc1\xbf", "??"},                       /* overlong */
        {"\xe0\x80\xaf", "???"},                  /* overlong slash */
        {"\xf0\x80\x80\xaf", "????"},             /* overlong slash */
        {"\xed\xa0\x80", "???"},                  /* surrogate */
        {"\xed\xbf\xbf", "???"},                  /* surrogate */
        {"\xee\x80\x80", "\xee\x80\x80"},         /* the first after the surrogates */
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}, /* U+10FFFF */
        {"\xf4\x90\x80\x80", "????"},             /* above it */
        {"\xf8\x88\x80\x80\x80", "?????"},
        {"a\xe2\x80\xae"
         "b",
         "a???b"}, /* U+202E right-to-left override */
        {"a\xe2\x81\xa6"
         "b",
         "a???b"}, /* U+2066 isolate */
        {"a\xe2\x80\x8f"
         "b",
         "a???b"}, /* U+200F right-to-left mark */
        {"a\xd8\x9c"
         "b",
         "a??b"}, /* U+061C Arabic letter mark */
        {"a\xe2\x80\xa8"
         "b",
         "a???b"}, /* U+2028 line separator */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[64];
        est_text_sanitise(rows[i].in, strlen(rows[i].in), out, sizeof(out));
        assert_string_equal(out, rows[i].out);
    }
}

static void nul_bytes_are_no_end(void **state)
{
    (void)state;
    char out[16];
    est_text_sanitise("a\0b", 3, out, sizeof(out));
    assert_string_equal(out, "a?b");
}

static void cutting_keeps_sequences_whole(void **state)
{
    (void)state;
    static const char *const wanted[] = {"", "a", "a", "a", "a\xe2\x82\xac", "a\xe2\x82\xac\x62"};
    for (size_t size = 1; size <= 6; size++) {
        char out[8];
        memset(out, '#', sizeof(out));
        est_text_sanitise("a\xe2\x82\xac"
                          "bc",
                          6, out, size);
        assert_string_equal(out, wanted[size - 1]);
        assert_int_equal(out[size], '#');
    }
    char out[4];
    est_text_sanitise("ab cd", 5, out, sizeof(out)); /* no blank at the end of a cut text */
    assert_string_equal(out, "ab");
}

static void in_place(void **state)
{
    (void)state;
    char text[] = "  a\t\tb\x1b gr\xc3\xbc\xc3 \xff  ";
    est_text_sanitise(text, strlen(text), text, sizeof(text));
    assert_string_equal(text, "a b? gr\xc3\xbc? ?");
}

static void reads_no_further_than_told(void **state)
{
    (void)state;
    char out[8];
    char *exact = est_alloc(2); /* a sanitizer sees the byte after it */
    memcpy(exact, "a\xe2", 2);
    est_text_sanitise(exact, 2, out, sizeof(out));
    assert_string_equal(out, "a?");
    est_free(exact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(nul_bytes_are_no_end),
        cmocka_unit_test(cutting_keeps_sequences_whole),
        cmocka_unit_test(in_place),
        cmocka_unit_test(reads_no_further_than_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
