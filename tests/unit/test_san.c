/* subjectAltName (E4, RFC 5280 4.2.1.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/csr_parts.h"
#include "wire/wire.h"

#include <string.h>

static void test_good(void **state)
{
    static const struct {
        estuary_san_type type;
        const char *in, *out;
    } rows[] = {
        {ESTUARY_SAN_DNS, "Device.Example", "dns:device.example"},
        {ESTUARY_SAN_DNS, "*.example.com", "dns:*.example.com"},
        {ESTUARY_SAN_DNS,
         "b\xc3\xbc"
         "cher.example",
         "dns:xn--bcher-kva.example"},
        {ESTUARY_SAN_EMAIL, "Jo.Doe+x@Example.com", "email:Jo.Doe+x@example.com"},
        {ESTUARY_SAN_URI, "https://example.com/a?b=c", "uri:https://example.com/a?b=c"},
        {ESTUARY_SAN_URI, "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
         "uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
        {ESTUARY_SAN_IP, "192.0.2.1", "ip:192.0.2.1"},
        {ESTUARY_SAN_IP, "2001:DB8::1", "ip:2001:db8::1"},
        {ESTUARY_SAN_DIRNAME, "CN=a,O=b", "dirName:CN=a,O=b"},
        {ESTUARY_SAN_UPN, "user@example.com", "upn:user@example.com"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;UTF8:text", "otherName:1.2.3;UTF8:text"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;DER:0C0161", "otherName:1.2.3;UTF8:a"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;DER:020105", "otherName:1.2.3;DER:020105"},
        {ESTUARY_SAN_RID, "1.2.840.113549", "rid:1.2.840.113549"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        GENERAL_NAME *name = NULL;
        assert_int_equal(est_general_name_new(rows[i].type, rows[i].in, &name, NULL), ESTUARY_OK);
        char *text = est_general_name_text(name);
        assert_string_equal(text, rows[i].out);
        est_free(text);
        GENERAL_NAME_free(name);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        estuary_san_type type;
        const char *in;
        const char *code;
    } rows[] = {
        {ESTUARY_SAN_DNS, "", "usage.san"},
        {ESTUARY_SAN_DNS, NULL, "usage.san"},
        {ESTUARY_SAN_DNS, "a_b.example", "usage.san"},
        {ESTUARY_SAN_DNS, "a..b", "usage.san"},
        {ESTUARY_SAN_DNS, "f*.example", "usage.san"},
        {ESTUARY_SAN_DNS, "a.*.example", "usage.san"},
        {ESTUARY_SAN_DNS, "192.0.2.1", "usage.san"},
        {ESTUARY_SAN_DNS, "::1", "usage.san"},
        {ESTUARY_SAN_EMAIL, "nobody", "usage.san"},
        {ESTUARY_SAN_EMAIL, "a@b@c", "usage.san"},
        {ESTUARY_SAN_EMAIL, "@b", "usage.san"},
        {ESTUARY_SAN_EMAIL, "\xc3\xa4@b", "usage.san"},
        {ESTUARY_SAN_EMAIL, "a@", "usage.san"},
        {ESTUARY_SAN_URI, "example.com/a", "usage.san"},
        {ESTUARY_SAN_URI, "https:", "usage.san"},
        {ESTUARY_SAN_URI, "https://a b", "usage.san"},
        {ESTUARY_SAN_URI, "https://\xc3\xa4", "usage.san"},
        {ESTUARY_SAN_IP, "192.0.2", "usage.san"},
        {ESTUARY_SAN_IP, "192.0.2.1/24", "usage.san"},
        {ESTUARY_SAN_IP, "example", "usage.san"},
        {ESTUARY_SAN_DIRNAME, "nonsense", "usage.san"},
        {ESTUARY_SAN_UPN, "user", "usage.san"},
        {ESTUARY_SAN_UPN, "u\x01@x", "usage.san"},
        {ESTUARY_SAN_UPN, "u\xff@x", "usage.san"},
        {ESTUARY_SAN_OTHERNAME, "x;UTF8:a", "usage.san"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3", "usage.san"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;UTF8:", "usage.san"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;DER:", "usage.san"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;DER:0c02", "usage.san"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;DER:0c016161", "usage.san"},
        {ESTUARY_SAN_OTHERNAME, "1.2.3;HEX:00", "usage.san"},
        {ESTUARY_SAN_RID, "one", "usage.san"},
        {ESTUARY_SAN_RID, "9.9.9", "usage.san"},
        {(estuary_san_type)0, "a", "usage.san"},
        {(estuary_san_type)99, "a", "usage.san"},
    };
    estuary_error *err = estuary_error_new();
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        GENERAL_NAME *name = NULL;
        if (est_general_name_new(rows[i].type, rows[i].in, &name, err) != ESTUARY_E_USAGE)
            fail_msg("row %zu: %s", i, rows[i].in);
        assert_null(name);
        assert_string_equal(estuary_error_code(err), rows[i].code);
    }
    char longer[5000];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    GENERAL_NAME *name = NULL;
    assert_int_equal(est_general_name_new(ESTUARY_SAN_UPN, longer, &name, err), ESTUARY_E_USAGE);
    estuary_error_free(err);
}

static void test_type_names(void **state)
{
    (void)state;
    assert_int_equal(estuary_san_type_from_name("dns"), ESTUARY_SAN_DNS);
    assert_int_equal(estuary_san_type_from_name("email"), ESTUARY_SAN_EMAIL);
    assert_int_equal(estuary_san_type_from_name("uri"), ESTUARY_SAN_URI);
    assert_int_equal(estuary_san_type_from_name("IP"), ESTUARY_SAN_IP);
    assert_int_equal(estuary_san_type_from_name("dirname"), ESTUARY_SAN_DIRNAME);
    assert_int_equal(estuary_san_type_from_name("upn"), ESTUARY_SAN_UPN);
    assert_int_equal(estuary_san_type_from_name("otherName"), ESTUARY_SAN_OTHERNAME);
    assert_int_equal(estuary_san_type_from_name("rid"), ESTUARY_SAN_RID);
    assert_int_equal(estuary_san_type_from_name("x"), 0);
    assert_int_equal(estuary_san_type_from_name(NULL), 0);
}

/* What is in a certificate is hostile: no control byte comes through, a NUL cuts nothing off. */
static void test_hostile_text(void **state)
{
    static const uint8_t der[] = {0x82, 7, 'a', 0, 'b', 0x1b, '[', '2', 'J'};
    static const uint8_t odd_ip[] = {0x87, 3, 1, 2, 3};
    const uint8_t *at = der;
    (void)state;
    GENERAL_NAME *name = d2i_GENERAL_NAME(NULL, &at, sizeof(der));
    char *text = est_general_name_text(name);
    assert_string_equal(text, "dns:a?b?[2J");
    est_free(text);
    GENERAL_NAME_free(name);
    at = odd_ip;
    name = d2i_GENERAL_NAME(NULL, &at, sizeof(odd_ip));
    text = est_general_name_text(name);
    assert_string_equal(text, "ip:#010203");
    est_free(text);
    GENERAL_NAME_free(name);
}

static GENERAL_NAMES *names_of(const char *first, const char *second)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    const char *values[] = {first, second};
    for (int i = 0; i < 2; i++) {
        GENERAL_NAME *name = NULL;
        assert_int_equal(est_general_name_new(ESTUARY_SAN_DNS, values[i], &name, NULL), ESTUARY_OK);
        assert_true(sk_GENERAL_NAME_push(names, name) > 0);
    }
    return names;
}

static void test_equal(void **state)
{
    (void)state;
    GENERAL_NAMES *a = names_of("a", "b"), *b = names_of("a", "b"), *c = names_of("b", "a");
    assert_true(est_general_names_equal(a, b));
    assert_false(est_general_names_equal(a, c));
    assert_false(est_general_names_equal(a, NULL));
    assert_false(est_general_names_equal(NULL, a));
    assert_true(est_general_names_equal(NULL, NULL));
    assert_true(est_general_names_have(a, sk_GENERAL_NAME_value(c, 0)));
    GENERAL_NAMES_free(a);
    GENERAL_NAMES_free(b);
    GENERAL_NAMES_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_type_names), cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
