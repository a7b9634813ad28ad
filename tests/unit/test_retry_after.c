/* E7, RFC 7030 4.2.3: Retry-After in seconds or as one of three HTTP dates (RFC 9110 5.6.7, 10.2.3). */
#include "support.h"
#include "wire/wire.h"

#define NOW 1769860800 /* 2026-01-31T12:00:00Z */

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        time_t at;
    } rows[] = {
        {"0", NOW},
        {"120", NOW + 120},
        {"000120", NOW + 120},
        {"Fri, 31 Dec 1999 23:59:59 GMT", 946684799}, /* RFC 9110 10.2.3 */
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777}, /* RFC 9110 5.6.7 */
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Sat, 31 Jan 2026 12:02:00 GMT", NOW + 120},
        {"Saturday, 31-Jan-26 12:02:00 GMT", NOW + 120},
        {"Sat Jan 31 12:02:00 2026", NOW + 120},
        {"Thursday, 31-Jan-75 12:00:00 GMT", 3316161600}, /* 49 years ahead */
        {"Monday, 31-Jan-77 12:00:00 GMT", 223560000},    /* 51 ahead is 49 back */
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* a leap second */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        time_t at = 0;
        if (!est_retry_after_parse(rows[i].value, NOW, &at))
            fail_msg("%s is refused", rows[i].value);
        if (at != rows[i].at)
            fail_msg("%s gives %lld", rows[i].value, (long long)at);
    }
}

static void huge_numbers_do_not_wrap(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "9999999999", "4294967296", "18446744073709551616",
        "99999999999999999999999999999999999999999999999999999999999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        time_t at = 0;
        assert_true(est_retry_after_parse(rows[i], NOW, &at));
        assert_true(at - NOW >= 1000000000);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "-1",
        "+5",
        "1.5",
        "0x10",
        "12s",
        "1 2",
        "soon",
        "Fri, 31 Dec 1999 23:59:59",
        "Fri, 31 Dec 1999 23:59:59 UTC",
        "Fri, 31 Dec 1999 23:59:59 GMT+1",
        "Fri, 31 Dec 1999 24:00:00 GMT",
        "Fri, 31 Dec 1999 23:60:00 GMT",
        "Fri, 31 Dec 1999 23:59:61 GMT",
        "Fri, 31 Dec 1999 23:-1:00 GMT",
        "Fri, 32 Dec 1999 23:59:59 GMT",
        "Fri, 00 Dec 1999 23:59:59 GMT",
        "Fri, 31 Nov 1999 23:59:59 GMT",
        "Mon, 29 Feb 2023 00:00:00 GMT",
        "Fri, 31 Foo 1999 23:59:59 GMT",
        "Fri, 31 dec 1999 23:59:59 GMT",
        "31 Dec 1999 23:59:59 GMT",
        "Fri, 31 Dec 1969 23:59:59 GMT",
        "1999-12-31T23:59:59Z",
        "Fri, 31 Dec 1999 23:59:59 GMT                                                "};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        time_t at = 0;
        if (est_retry_after_parse(rows[i], NOW, &at))
            fail_msg("\"%s\" is accepted", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parses), cmocka_unit_test(huge_numbers_do_not_wrap),
                                       cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
