#include "cert/cert.h"
#include "make_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* T3 */
static void test_normalise(void **state)
{
    static const struct {
        const char *host, *wanted; /* NULL: refused */
        bool is_ip;
    } rows[] = {
        {"est.example", "est.example", false},
        {"EST.Example.", "est.example", false},
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example", false},
        {"localhost", "localhost", false},
        {"3com.example", "3com.example", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"[2001:DB8::1]", "2001:db8::1", true},
        {"2001:0db8:0:0:0:0:0:1", "2001:db8::1", true},
        {"", NULL, false},
        {".", NULL, false},
        {".est.example", NULL, false},
        {"est..example", NULL, false},
        {"-est.example", NULL, false},
        {"est-.example", NULL, false},
        {"est example", NULL, false},
        {"*.example", NULL, false},
        {"est_1.example", NULL, false},
        {"1.2.3", NULL, false},
        {"1.2.3.4.5", NULL, false},
        {"256.1.1.1", NULL, false},
        {"0x7f.1", NULL, false},
        {"0x7f000001", NULL, false},
        {"2130706433", NULL, false},
        {"[192.0.2.1]", NULL, false},
        {"[2001:db8::1", NULL, false},
        {"2001:db8::1%eth0", NULL, false},
        {"est.example:443", NULL, false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[256] = "";
        bool is_ip = false;
        bool good = est_host_normalise(rows[i].host, out, sizeof(out), &is_ip);
        if (good != (rows[i].wanted != NULL))
            fail_msg("\"%s\" was %s", rows[i].host, good ? "taken" : "refused");
        if (good) {
            assert_string_equal(out, rows[i].wanted);
            assert_int_equal(is_ip, rows[i].is_ip);
        }
    }
    assert_false(est_host_normalise(NULL, (char[8]){0}, 8, NULL));
    assert_false(est_host_normalise("est.example", (char[8]){0}, 8, NULL));
}

/* T3: RFC 6125 6.4.3, 6.4.4 */
static void test_matches(void **state)
{
    static const struct {
        const char *san, *host;
        bool matches;
    } rows[] = {
        {"DNS:est.example", "est.example", true},
        {"DNS:EST.example", "est.EXAMPLE.", true},
        {"DNS:est.example", "other.example", false},
        {"DNS:est.example", "sub.est.example", false},
        {"DNS:*.example.com", "a.example.com", true},
        {"DNS:*.example.com", "a.b.example.com", false},
        {"DNS:*.example.com", "example.com", false},
        {"DNS:e*.example.com", "est.example.com", false},
        {"DNS:*t.example.com", "est.example.com", false},
        {"DNS:a.*.com", "a.example.com", false},
        {"DNS:xn--bcher-kva.example",
         "b\xc3\xbc"
         "cher.example",
         true},
        {"IP:192.0.2.1", "192.0.2.1", true},
        {"IP:192.0.2.1", "192.0.2.2", false},
        {"DNS:192.0.2.1", "192.0.2.1", false},
        {"IP:2001:db8::1", "[2001:db8:0::1]", true},
        {"email:server", "server", false}, /* the CN is "server", too: no fallback */
        {NULL, "server", false},
    };
    made ca = make_ca("root", NULL);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        made leaf = make_server(rows[i].san, &ca);
        if (est_certificate_matches_host(leaf.cert, rows[i].host) != rows[i].matches)
            fail_msg("%s against %s", rows[i].san == NULL ? "no SAN" : rows[i].san, rows[i].host);
        free_made(&leaf);
    }
    free_made(&ca);
}

static void test_host_list(void **state)
{
    made ca = make_ca("root", NULL);
    made many =
        make_server("DNS:a.example,IP:192.0.2.1,email:x@example,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g,DNS:h", &ca);
    made none = make_server("email:x@example", &ca);
    char text[256], cut[12];
    (void)state;
    est_certificate_host_list(many.cert, text, sizeof(text));
    assert_string_equal(text, "dns:a.example, ip:192.0.2.1, dns:c, dns:d, dns:e, dns:f and 2 more");
    est_certificate_host_list(many.cert, cut, sizeof(cut));
    assert_string_equal(cut, "dns:a.examp");
    est_certificate_host_list(none.cert, text, sizeof(text));
    assert_string_equal(text, "no host");
    assert_true(est_certificate_has_host_names(many.cert));
    assert_false(est_certificate_has_host_names(none.cert));
    free_made(&none);
    free_made(&many);
    free_made(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_normalise), cmocka_unit_test(test_matches),
                                       cmocka_unit_test(test_host_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
