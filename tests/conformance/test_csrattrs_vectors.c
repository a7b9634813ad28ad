/* The working group's CSR attribute examples, and the message of RFC 7030 A.2 (E3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

/* RFC 9908 3.4: who does not know the template ignores it */
static void test_template_is_ignored(void **state)
{
    /* { 1.2.840.113549.1.9.16.2.61, SET { SEQUENCE { INTEGER 0, [1] { } } } } */
    static const uint8_t der[] = {0x30, 0x18, 0x30, 0x16, 0x06, 0x0b, 0x2a, 0x86, 0x48,
                                  0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x3d, 0x31,
                                  0x07, 0x30, 0x05, 0x02, 0x01, 0x00, 0xa1, 0x00};
    static const expected entry = {ESTUARY_CSRATTR_UNKNOWN, "1.2.840.113549.1.9.16.2.61",
                                   "certificationRequestInfoTemplate"};
    estuary_csr_attributes *attributes = NULL;
    (void)state;
    assert_int_equal(estuary_csr_attributes_parse(der, sizeof(der), &attributes, NULL), ESTUARY_OK);
    assert_entries(attributes, &entry, 1);
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
        cmocka_unit_test(test_template_is_ignored),
        cmocka_unit_test(test_rfc7030_a2),
    };
    return cmocka_run_group_tests(tests, find_vectors, NULL);
}
