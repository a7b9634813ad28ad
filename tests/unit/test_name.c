/* RFC 4514 names in and out (E4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/wire.h"

#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>

static X509_NAME *parse(const char *text)
{
    estuary_error *err = estuary_error_new();
    X509_NAME *name = NULL;
    if (estuary_name_parse(text, &name, err) != ESTUARY_OK)
        print_error("%s: %s\n", text, estuary_error_message(err));
    estuary_error_free(err);
    assert_non_null(name);
    return name;
}

static void assert_round(const char *text, const char *expected)
{
    X509_NAME *name = parse(text);
    char *out = NULL;
    assert_int_equal(estuary_name_format(name, &out, NULL), ESTUARY_OK);
    assert_string_equal(out, expected);
    X509_NAME *again = parse(out);
    assert_int_equal(X509_NAME_cmp(name, again), 0);
    X509_NAME_free(again);
    X509_NAME_free(name);
    OPENSSL_free(out);
}

/* RFC 4514 2.4 and 4: escapes, multi-valued RDNs, hexstrings */
static void test_round_trip(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"CN=device 1,O=Example", "CN=device 1,O=Example"},
        {"cn=a, o = b ,c=de", "CN=a,O=b,C=de"},
        {"UID=jsmith,DC=example,DC=net", "UID=jsmith,DC=example,DC=net"},
        {"CN=James \\\"Jim\\\" Smith\\, III,DC=net", "CN=James \\\"Jim\\\" Smith\\, III,DC=net"},
        {"CN=a\\2Cb\\0Dc", "CN=a\\,b\\0Dc"},
        {"CN=\\#hash", "CN=\\#hash"},
        {"CN=\\ both\\ ", "CN=\\ both\\ "},
        {"CN=a\\20", "CN=a\\ "},
        {"CN=a=b", "CN=a=b"},
        {"CN=back\\\\slash", "CN=back\\\\slash"},
        {"CN=a\\+b\\;c\\<d\\>", "CN=a\\+b\\;c\\<d\\>"},
        {"CN=Lu\\C4\\8Di\\C4\\87", "CN=Lu\\C4\\8Di\\C4\\87"},
        {"CN=Lu\xc4\x8di\xc4\x87", "CN=Lu\\C4\\8Di\\C4\\87"},
        {"2.5.4.3=x", "CN=x"},
        {"commonName=x", "CN=x"},
        {"CN=#0c0161", "CN=a"},
        {"1.2.3.4=#0c0161,O=b", "1.2.3.4=#0C0161,O=b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].out != NULL)
            assert_round(rows[i].in, rows[i].out);
}

static void test_order_and_types(void **state)
{
    (void)state;
    X509_NAME *name = parse("serialNumber=42+CN=x,emailAddress=a@b.c,DC=d,O=b,C=DE");
    assert_int_equal(X509_NAME_entry_count(name), 6);
    static const struct {
        int nid, type, set;
    } rows[] = {
        {NID_countryName, V_ASN1_PRINTABLESTRING, 0}, {NID_organizationName, V_ASN1_UTF8STRING, 1},
        {NID_domainComponent, V_ASN1_IA5STRING, 2},   {NID_pkcs9_emailAddress, V_ASN1_IA5STRING, 3},
        {NID_commonName, V_ASN1_UTF8STRING, 4},       {NID_serialNumber, V_ASN1_PRINTABLESTRING, 4},
    };
    for (int i = 0; i < 6; i++) {
        X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        assert_int_equal(OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)), rows[i].nid);
        assert_int_equal(ASN1_STRING_type(X509_NAME_ENTRY_get_data(entry)), rows[i].type);
        assert_int_equal(X509_NAME_ENTRY_set(entry), rows[i].set);
    }
    X509_NAME *other = parse("CN=x+serialNumber=42,emailAddress=a@b.c,DC=d,O=b,C=DE");
    assert_int_equal(X509_NAME_cmp(name, other), 0);
    X509_NAME_free(other);
    X509_NAME_free(name);
}

static void assert_refused(const char *text, const char *part)
{
    estuary_error *err = estuary_error_new();
    X509_NAME *name = NULL;
    assert_int_equal(estuary_name_parse(text, &name, err), ESTUARY_E_USAGE);
    assert_null(name);
    assert_string_equal(estuary_error_code(err), "usage.dn");
    if (strstr(estuary_error_message(err), part) == NULL)
        fail_msg("%.60s: %s", text, estuary_error_message(err));
    estuary_error_free(err);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_refused(NULL, "no subject");
    assert_refused("CN", "position 1");
    assert_refused("=x", "position 1");
    assert_refused("CN=a,", "position 6");
    assert_refused(",CN=a", "position 1");
    assert_refused("CN=a+", "position 6");
    assert_refused("CN=", "CN, position 4: the value is empty");
    assert_refused("O=b,nosuch=a", "nosuch at position 5 is not known");
    assert_refused("subjectAltName=a", "is an extension");
    assert_refused("1=a", "not known");
    assert_refused("1..2=a", "not known");
    assert_refused("2.05.4.3=a", "not known");
    assert_refused("CN=a;O=b", "CN, position 5");
    assert_refused("CN=\"a\"", "CN, position 4");
    assert_refused("CN=a\\zz", "CN, position 5: a backslash");
    assert_refused("CN=a\\", "CN, position 5: a backslash");
    assert_refused("CN=a\\4", "a backslash");
    assert_refused("CN=a\\00b", "NUL");
    assert_refused("CN=a\xff", "UTF-8");
    assert_refused("CN=\\ED\\A0\\80", "UTF-8");
    assert_refused("C=Germany", "C, position 3: a country is two letters");
    assert_refused("C=D1", "two letters");
    assert_refused("CN=12345678901234567890123456789012345678901234567890123456789012345",
                   "the value has 65 characters, allowed are 64");
    assert_refused("serialNumber=a_b", "does not allow");
    assert_refused("DC=\xc3\xa4", "does not allow");
    assert_refused("CN=#", "hexadecimal");
    assert_refused("CN=#0c016", "hexadecimal");
    assert_refused("CN=#0c0161zz", "hexadecimal");
    assert_refused("CN=#0c0261", "complete DER");
    assert_refused("CN=#0c016100", "complete DER");
    assert_refused("CN=#0c810161", "complete DER");
    assert_refused("CN=#0c01ff", "complete DER");
    assert_refused("CN=#020101", "complete DER");
    char text[5000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_refused(text, "longer than 4096");
    size_t used = 0;
    for (int i = 0; i < 65; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%sOU=a", i == 0 ? "" : ",");
    assert_refused(text, "64");
}

static void test_format_nothing(void **state)
{
    char *text = NULL;
    (void)state;
    assert_int_equal(estuary_name_format(NULL, &text, NULL), ESTUARY_E_USAGE);
    assert_null(text);
}

/* Every byte a value may hold comes back. */
static void test_every_byte(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 0x80; byte++) {
        char text[16];
        snprintf(text, sizeof(text), "O=\\%02X\\%02x", byte, byte);
        X509_NAME *name = parse(text);
        char *out = NULL;
        assert_int_equal(estuary_name_format(name, &out, NULL), ESTUARY_OK);
        X509_NAME *again = parse(out);
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(again, 0));
        assert_int_equal(ASN1_STRING_length(value), 2);
        assert_int_equal(ASN1_STRING_get0_data(value)[0], byte);
        assert_int_equal(ASN1_STRING_get0_data(value)[1], byte);
        OPENSSL_free(out);
        X509_NAME_free(again);
        X509_NAME_free(name);
    }
}

static void test_host_to_ascii(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"Device.Example", "device.example"},
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"m\xc3\xbcnchen.de", "xn--mnchen-3ya.de"},
        {"fa\xc3\x9f.de", "xn--fa-hia.de"},
        {"\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah"},
        {"\xce\xb4\xce\xbf\xce\xba\xce\xb9\xce\xbc\xce\xae", "xn--jxalpdlp"},
        {"\xd0\xb8\xd1\x81\xd0\xbf\xd1\x8b\xd1\x82\xd0\xb0\xd0\xbd\xd0\xb8\xd0\xb5", "xn--80akhbyknj4f"},
        {"xn--bcher-kva", "xn--bcher-kva"},
        {"\xc3\x9c"
         "ber.de",
         NULL}, /* upper case beyond ASCII */
        {"a..b", NULL},
        {"", NULL},
        {"a.", NULL},
        {"-a", NULL},
        {"a-", NULL},
        {"a_b", NULL},
        {"a b", NULL},
        {"\xe2\x80\xae"
         "abc",
         NULL},
        {"a\xcc\x88", NULL},
        {"xn--\xc3\xbc", NULL},
        {"a\xc3", NULL},
        {"a123456789012345678901234567890123456789012345678901234567890123", NULL},
    };
    char out[256];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(est_host_to_ascii(rows[i].in, out, sizeof(out)), rows[i].out != NULL);
        assert_string_equal(out, rows[i].out == NULL ? "" : rows[i].out);
    }
    assert_false(est_host_to_ascii("abcd", out, 4));
    assert_true(est_host_to_ascii("abcd", out, 5));
    assert_false(est_host_to_ascii("abcd", out, 0));
    char longest[256];
    for (size_t i = 0; i < 254; i++)
        longest[i] = i % 2 == 0 ? 'a' : '.';
    longest[253] = '\0';
    assert_true(est_host_to_ascii(longest, out, sizeof(out)));
    memcpy(longest + 253, "a", 2);
    assert_false(est_host_to_ascii(longest, out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_order_and_types),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_format_nothing), cmocka_unit_test(test_host_to_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
