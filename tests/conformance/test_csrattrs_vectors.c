/* The working group's CSR attribute examples, and the message of RFC 7030 A.2 (E3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../unit/der_text.h"

#include <estuary/csrattrs.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES 4096

typedef struct expected {
    estuary_csr_attribute_kind kind;
    const char *oid, *name;
} expected;

#define CHALLENGE                                                                                            \
    {                                                                                                        \
        ESTUARY_CSRATTR_CHALLENGE_PASSWORD, "1.2.840.113549.1.9.7", "challengePassword"                      \
    }
#define EC                                                                                                   \
    {                                                                                                        \
        ESTUARY_CSRATTR_KEY, "1.2.840.10045.2.1", "id-ecPublicKey"                                           \
    }
#define SERIAL                                                                                               \
    {                                                                                                        \
        ESTUARY_CSRATTR_SUBJECT, "2.5.4.5", "serialNumber"                                                   \
    }
#define FRIENDLY                                                                                             \
    {                                                                                                        \
        ESTUARY_CSRATTR_UNKNOWN, "1.2.840.113549.1.9.20", "friendlyName"                                     \
    }
#define DRINK                                                                                                \
    {                                                                                                        \
        ESTUARY_CSRATTR_UNKNOWN, "0.9.2342.19200300.100.1.5", "favouriteDrink"                               \
    }
#define SHA384                                                                                               \
    {                                                                                                        \
        ESTUARY_CSRATTR_SIGNATURE, "1.2.840.10045.4.3.3", "ecdsa-with-SHA384"                                \
    }
#define SHA512                                                                                               \
    {                                                                                                        \
        ESTUARY_CSRATTR_SIGNATURE, "1.2.840.10045.4.3.4", "ecdsa-with-SHA512"                                \
    }
#define MAC                                                                                                  \
    {                                                                                                        \
        ESTUARY_CSRATTR_UNKNOWN, "1.3.6.1.1.1.1.22", "macAddress"                                            \
    }

/* Literally as in the dump beside each file. */
static const struct {
    const char *file;
    size_t count;
    expected entries[7];
    bool binding;
    const char *key;
} vectors[] = {
    {"harkins01.csrattr.b64",
     3,
     {CHALLENGE,
      {ESTUARY_CSRATTR_KEY, "1.2.840.113549.1.1.1", "rsaEncryption"},
      {ESTUARY_CSRATTR_SIGNATURE, "1.2.840.113549.1.1.11", "RSA-SHA256"}},
     true,
     "rsa:4096"},
    {"harkins02.csrattr.b64", 4, {CHALLENGE, EC, SERIAL, SHA384}, true, "ec:P-384"},
    {"harkins03.csrattr.b64", 6, {CHALLENGE, EC, FRIENDLY, DRINK, SERIAL, SHA512}, true, "ec:P-521"},
    {"potato-example.csrattr.b64", 6, {CHALLENGE, EC, FRIENDLY, DRINK, SERIAL, SHA512}, true, "ec:P-521"},
    {"realistic-acp.csrattr.b64",
     1,
     {{ESTUARY_CSRATTR_EXTENSIONS, "1.2.840.113549.1.9.14", "extensionRequest"}},
     false,
     ""},
    {"rfc7030-example01.csrattr.b64", 4, {CHALLENGE, EC, MAC, SHA384}, true, "ec:P-384"},
};

static char folder[1024];

static int find_vectors(void **state)
{
    (void)state;
    const char *given = getenv("ESTUARY_VECTORS");
    if (given != NULL)
        snprintf(folder, sizeof(folder), "%s/csrattrs", given);
    else
        snprintf(folder, sizeof(folder), "%s/../shared/vectors/csrattrs", SOURCE_ROOT);
    return 0;
}

/* The length, or 0 when the file is not there. */
static size_t load(const char *name, uint8_t *out)
{
    char path[1200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    size_t len = fread(out, 1, MAX_BYTES, file);
    fclose(file);
    return len;
}

static void absent(void)
{
    const char *strict = getenv("ESTUARY_STRICT");
    if (strict != NULL && strcmp(strict, "1") == 0)
        fail_msg("the vectors are not in %s", folder);
    print_message("the vectors are not there; set ESTUARY_VECTORS\n");
    skip();
}

static size_t decode(const uint8_t *text, size_t len, uint8_t *der)
{
    EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
    int used = 0, last = 0;
    EVP_DecodeInit(context);
    assert_true(EVP_DecodeUpdate(context, der, &used, text, (int)len) >= 0);
    assert_int_equal(EVP_DecodeFinal(context, der + used, &last), 1);
    EVP_ENCODE_CTX_free(context);
    return (size_t)(used + last);
}

static void assert_entries(const estuary_csr_attributes *attributes, const expected *entries, size_t count)
{
    assert_int_equal(estuary_csr_attributes_count(attributes), count);
    for (size_t i = 0; i < count; i++) {
        estuary_csr_attribute_kind kind = ESTUARY_CSRATTR_UNKNOWN;
        const char *oid = NULL, *name = NULL, *words = NULL;
        assert_true(estuary_csr_attributes_at(attributes, i, &kind, &oid, &name, &words));
        assert_string_equal(oid, entries[i].oid);
        assert_string_equal(name, entries[i].name);
        assert_int_equal(kind, entries[i].kind);
        assert_true(strlen(words) > 10);
    }
}

static void test_vectors(void **state)
{
    uint8_t text[MAX_BYTES], der[MAX_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        size_t len = load(vectors[i].file, text);
        if (len == 0)
            absent();
        estuary_csr_attributes *attributes = NULL;
        len = decode(text, len, der);
        assert_int_equal(estuary_csr_attributes_parse(der, len, &attributes, NULL), ESTUARY_OK);
        assert_entries(attributes, vectors[i].entries, vectors[i].count);
        assert_int_equal(estuary_csr_attributes_wants_binding(attributes), vectors[i].binding);
        assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), vectors[i].key);
        estuary_csr_attributes_free(attributes);
    }
}

/* The file is a PKCS#10 request made from the template of its dump, not CsrAttrs: it is refused. */
static void test_request_is_not_csrattrs(void **state)
{
    uint8_t der[MAX_BYTES];
    estuary_error *err = estuary_error_new();
    estuary_csr_attributes *attributes = NULL;
    (void)state;
    size_t len = load("CSR-template.der", der);
    if (len == 0)
        absent();
    assert_int_equal(estuary_csr_attributes_parse(der, len, &attributes, err), ESTUARY_E_PROTOCOL);
    assert_string_equal(estuary_error_code(err), "protocol.csrattrs");
    assert_null(attributes);
    estuary_error_free(err);
}

/* RFC 9908 3.4: CSR-template.dump, as its text reads, with the identifiers that IANA has assigned since */
static void test_template(void **state)
{
    static const char text[] =
        "30{30{06:2a864886f70d010910023d 31{30{02:00"
        "  30{31{30{06:550403}} 31{30{06:55040b 0c\"myDept\"}} 31{30{06:55040b 0c\"myGroup\"}}}"
        "  a0{30{06:2a8648ce3d0201 06:2a8648ce3d030107}}"
        "  a1{30{06:2a864886f70d010910023e 31{30{"
        "    30{06:551d11 04{30{82\"www.myServer.com\" 87:}}}"
        "    30{06:551d0f 01:ff 04{03:0388}}"
        "    30{06:551d25}}}}}}}}}";
    static const expected entries[] = {
        {ESTUARY_CSRATTR_TEMPLATE, "1.2.840.113549.1.9.16.2.61", "certificationRequestInfoTemplate"},
        {ESTUARY_CSRATTR_SUBJECT, "2.5.4.3", "commonName"},
        {ESTUARY_CSRATTR_SUBJECT, "2.5.4.11", "organizationalUnitName"},
        {ESTUARY_CSRATTR_SUBJECT, "2.5.4.11", "organizationalUnitName"},
        EC,
        {ESTUARY_CSRATTR_EXTENSIONS, "2.5.29.17", "subjectAltName"},
        {ESTUARY_CSRATTR_EXTENSIONS, "2.5.29.15", "keyUsage"},
        {ESTUARY_CSRATTR_EXTENSIONS, "2.5.29.37", "extendedKeyUsage"},
    };
    static const bool must_fill[] = {false, true, false, false, false, true, false, true};
    uint8_t der[DER_TEXT_MAX];
    estuary_csr_attributes *attributes = NULL;
    (void)state;
    assert_int_equal(estuary_csr_attributes_parse(der, der_text(text, der), &attributes, NULL), ESTUARY_OK);
    assert_entries(attributes, entries, sizeof(entries) / sizeof(entries[0]));
    for (size_t i = 0; i < sizeof(must_fill) / sizeof(must_fill[0]); i++)
        assert_int_equal(estuary_csr_attributes_must_fill(attributes, i), must_fill[i]);
    assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), "ec:P-256");
    estuary_csr_attributes_free(attributes);
}

static void test_rfc7030_a2(void **state)
{
    static const char text[] = "MHwGBysGAQEBARYwIgYDiDcBMRsTGVBhcnNlIFNFVCBhcyAyLjk5OS4xIGRhdGEG\n"
                               "CSqGSIb3DQEJBzAsBgOINwIxJQYDiDcDBgOINwQTGVBhcnNlIFNFVCBhcyAyLjk5\n"
                               "OS4yIGRhdGEGCSskAwMCCAEBCwYJYIZIAWUDBAIC\n";
    static const expected entries[] = {
        MAC,
        {ESTUARY_CSRATTR_UNKNOWN, "2.999.1", "2.999.1"},
        CHALLENGE,
        {ESTUARY_CSRATTR_UNKNOWN, "2.999.2", "2.999.2"},
        {ESTUARY_CSRATTR_KEY, "1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"},
        {ESTUARY_CSRATTR_SIGNATURE, "2.16.840.1.101.3.4.2.2", "SHA384"},
    };
    uint8_t der[MAX_BYTES];
    estuary_csr_attributes *attributes = NULL;
    (void)state;
    size_t len = decode((const uint8_t *)text, sizeof(text) - 1, der);
    assert_int_equal(estuary_csr_attributes_parse(der, len, &attributes, NULL), ESTUARY_OK);
    assert_entries(attributes, entries, sizeof(entries) / sizeof(entries[0]));
    assert_true(estuary_csr_attributes_wants_binding(attributes));
    assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), "ec:brainpoolP384r1");
    estuary_csr_attributes_free(attributes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_request_is_not_csrattrs),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_rfc7030_a2),
    };
    return cmocka_run_group_tests(tests, find_vectors, NULL);
}
