#include "cert/cert.h"
#include "make_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* RFC 5280 4.2.1.12 */
static void test_purposes(void **state)
{
    static const struct {
        const char *extension, *purpose;
        bool allows, lists;
    } rows[] = {
        {"serverAuth", "serverAuth", true, true},
        {"serverAuth", "1.3.6.1.5.5.7.3.1", true, true},
        {"serverAuth", "clientAuth", false, false},
        {"serverAuth,clientAuth", "clientAuth", true, true},
        {"anyExtendedKeyUsage", "serverAuth", true, false},
        {"1.3.6.1.5.5.7.3.28", "cmcRA", true, true},
        {"serverAuth,1.3.6.1.5.5.7.3.28", "1.3.6.1.5.5.7.3.28", true, true},
        {"1.3.6.1.5.5.7.3.28", "serverAuth", false, false},
        {NULL, "serverAuth", true, false},
        {NULL, "no such purpose", false, false},
        {"serverAuth", "", false, false},
        {"serverAuth", NULL, false, false},
    };
    made ca = make_ca("root", NULL);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        made leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &ca, .purposes = rows[i].extension});
        assert_int_equal(est_certificate_allows(leaf.cert, rows[i].purpose), rows[i].allows);
        assert_int_equal(est_certificate_lists_purpose(leaf.cert, rows[i].purpose), rows[i].lists);
        free_made(&leaf);
    }
    free_made(&ca);
}

/* An extension that stands twice, or does not decode, allows nothing. */
static void test_broken(void **state)
{
    made ca = make_ca("root", NULL);
    made twice = make_cert(&(recipe){.cn = "leaf", .issuer = &ca, .purposes = "serverAuth"});
    (void)state;
    X509_EXTENSION *extension =
        X509_get_ext(twice.cert, X509_get_ext_by_NID(twice.cert, NID_ext_key_usage, -1));
    assert_int_equal(X509_add_ext(twice.cert, extension, -1), 1);
    assert_false(est_certificate_allows(twice.cert, "serverAuth"));
    assert_false(est_certificate_lists_purpose(twice.cert, "serverAuth"));
    free_made(&twice);
    free_made(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_purposes), cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
