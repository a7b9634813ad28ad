/* CSR attributes: parsing and what they do to a request (E3, RFC 7030 4.5.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rsa_keys.h"

#include "key/key.h"
#include "wire/wire.h"

#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>

/* Hexadecimal digits to CsrAttrs with a SEQUENCE of less than 128 bytes around them. */
static estuary_status parse(const char *hex, estuary_csr_attributes **out, estuary_error *err)
{
    uint8_t der[256];
    size_t len = strlen(hex) / 2;
    assert_true(len < 128);
    der[0] = 0x30;
    der[1] = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        der[2 + i] = (uint8_t)byte;
    }
    return estuary_csr_attributes_parse(der, len + 2, out, err);
}

#define CHALLENGE "06092a864886f70d010907"
#define EC_P384                                                                                              \
    "301206072a8648ce3d020131070605"                                                                         \
    "2b81040022"
#define EC_ANY   "06072a8648ce3d0201"
#define RSA_4096 "301106092a864886f70d010101310402021000"
#define RSA_SILLY                                                                                            \
    "301206092a864886f70d01010131050203"                                                                     \
    "100000"
#define RSA_EMPTY "300d06092a864886f70d0101013100"
#define ED25519   "06032b6570"
#define SERIAL    "0603550405"
#define ORG_EXAMPLE                                                                                          \
    "30100603550"                                                                                            \
    "40a31090c07"                                                                                            \
    "4578616d706c65"
#define ECDSA_SHA384 "06082a8648ce3d040303"
#define RSA_SHA1     "06092a864886f70d010105"
#define RSA_SHA512   "06092a864886f70d01010d"
#define PSS          "06092a864886f70d01010a"
#define SHA384       "0609608648016503040202"
#define MAC                                                                                                  \
    "06072b0601010101"                                                                                       \
    "16"
/* extensionRequest { keyUsage critical digitalSignature } and { subjectAltName dns:a } */
#define EXT_KU                                                                                               \
    "301f06092a864886f70d01090e31123010300e0603551d0f0101ff0404030207"                                       \
    "80"
#define EXT_SAN_A "301d06092a864886f70d01090e3110300e300c0603551d1104053003820161"

static void test_kinds(void **state)
{
    static const struct {
        const char *hex;
        estuary_csr_attribute_kind kind;
        const char *oid, *name, *words, *key;
    } rows[] = {
        {CHALLENGE, ESTUARY_CSRATTR_CHALLENGE_PASSWORD, "1.2.840.113549.1.9.7", "challengePassword",
         "the request should be bound to the TLS session by a challengePassword", ""},
        {EC_P384, ESTUARY_CSRATTR_KEY, "1.2.840.10045.2.1", "id-ecPublicKey",
         "the key should be an EC key on curve P-384", "ec:P-384"},
        {EC_ANY, ESTUARY_CSRATTR_KEY, "1.2.840.10045.2.1", "id-ecPublicKey", "the key should be an EC key",
         "ec:P-256"},
        {RSA_4096, ESTUARY_CSRATTR_KEY, "1.2.840.113549.1.1.1", "rsaEncryption",
         "the key should be an RSA key of 4096 bits", "rsa:4096"},
        {RSA_EMPTY, ESTUARY_CSRATTR_KEY, "1.2.840.113549.1.1.1", "rsaEncryption",
         "the key should be an RSA key", "rsa:3072"},
        {RSA_SILLY, ESTUARY_CSRATTR_UNKNOWN, "1.2.840.113549.1.1.1", "rsaEncryption",
         "the server asks for an RSA key of a size that makes no sense: ignored", ""},
        {ED25519, ESTUARY_CSRATTR_KEY, "1.3.101.112", "ED25519", "the key should be an ED25519 key",
         "ed25519"},
        {SERIAL, ESTUARY_CSRATTR_SUBJECT, "2.5.4.5", "serialNumber",
         "the request should carry serialNumber in its subject", ""},
        {ORG_EXAMPLE, ESTUARY_CSRATTR_SUBJECT, "2.5.4.10", "organizationName",
         "the request should carry organizationName in its subject", ""},
        {ECDSA_SHA384, ESTUARY_CSRATTR_SIGNATURE, "1.2.840.10045.4.3.3", "ecdsa-with-SHA384",
         "the request should be signed with ecdsa-with-SHA384", ""},
        {SHA384, ESTUARY_CSRATTR_SIGNATURE, "2.16.840.1.101.3.4.2.2", "SHA384",
         "the request should be signed with the digest SHA384", ""},
        {MAC, ESTUARY_CSRATTR_UNKNOWN, "1.3.6.1.1.1.1.22", "macAddress",
         "the server names macAddress: ignored", ""},
        {EXT_KU, ESTUARY_CSRATTR_EXTENSIONS, "1.2.840.113549.1.9.14", "extensionRequest",
         "the request should carry the extensions: keyUsage", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        estuary_csr_attributes *attributes = NULL;
        estuary_csr_attribute_kind kind = ESTUARY_CSRATTR_UNKNOWN;
        const char *oid = NULL, *name = NULL, *words = NULL;
        if (parse(rows[i].hex, &attributes, NULL) != ESTUARY_OK)
            fail_msg("row %zu", i);
        assert_int_equal(estuary_csr_attributes_count(attributes), 1);
        assert_true(estuary_csr_attributes_at(attributes, 0, &kind, &oid, &name, &words));
        assert_int_equal(kind, rows[i].kind);
        assert_string_equal(oid, rows[i].oid);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(words, rows[i].words);
        assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), rows[i].key);
        assert_int_equal(estuary_csr_attributes_wants_binding(attributes), i == 0);
        assert_false(estuary_csr_attributes_at(attributes, 1, &kind, &oid, &name, &words));
        estuary_csr_attributes_free(attributes);
    }
}

/* RFC 7030 4.5.2: an empty SEQUENCE is as good as 204 or 404 */
static void test_none(void **state)
{
    estuary_csr_attributes *attributes = NULL;
    (void)state;
    assert_int_equal(estuary_csr_attributes_parse(NULL, 0, &attributes, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_attributes_count(attributes), 0);
    assert_false(estuary_csr_attributes_wants_binding(attributes));
    assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), "");
    estuary_csr_attributes_free(attributes);
    assert_int_equal(parse("", &attributes, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_attributes_count(attributes), 0);
    estuary_csr_attributes_free(attributes);
    estuary_csr_attributes_free(NULL);
    assert_int_equal(estuary_csr_attributes_count(NULL), 0);
}

static void assert_broken(const uint8_t *der, size_t len, const char *code)
{
    estuary_error *err = estuary_error_new();
    estuary_csr_attributes *attributes = NULL;
    assert_int_equal(estuary_csr_attributes_parse(der, len, &attributes, err), ESTUARY_E_PROTOCOL);
    assert_null(attributes);
    assert_string_equal(estuary_error_code(err), code);
    estuary_error_free(err);
}

static void test_broken(void **state)
{
    static const uint8_t trailing[] = {0x30, 0, 0}, cut[] = {0x30, 5, 6, 1}, number[] = {0x30, 3, 2, 1, 5},
                         no_set[] = {0x30, 5, 0x30, 3, 6, 1, 0x2a}, text[] = "<html>";
    static uint8_t many[2 + 2 + 257 * 3], large[65537];
    (void)state;
    assert_broken(trailing, sizeof(trailing), "protocol.csrattrs-trailing");
    assert_broken(cut, sizeof(cut), "protocol.csrattrs");
    assert_broken(number, sizeof(number), "protocol.csrattrs");
    assert_broken(no_set, sizeof(no_set), "protocol.csrattrs");
    assert_broken(text, sizeof(text), "protocol.csrattrs");
    assert_broken(large, sizeof(large), "protocol.csrattrs");
    many[0] = 0x30;
    many[1] = 0x82;
    many[2] = (uint8_t)((257 * 3) >> 8);
    many[3] = (uint8_t)(257 * 3);
    for (size_t i = 0; i < 257; i++)
        memcpy(many + 4 + 3 * i, "\x06\x01\x2a", 3);
    assert_broken(many, sizeof(many), "protocol.csrattrs-count");
    /* one attribute with 257 values */
    static uint8_t values[12 + 3 + 257 * 2];
    const size_t set = 257 * 2, seq = 3 + 4 + set, all = 4 + seq;
    const uint8_t head[] = {0x30,
                            0x82,
                            (uint8_t)(all >> 8),
                            (uint8_t)all,
                            0x30,
                            0x82,
                            (uint8_t)(seq >> 8),
                            (uint8_t)seq,
                            6,
                            1,
                            0x2a,
                            0x31,
                            0x82,
                            (uint8_t)(set >> 8),
                            (uint8_t)set};
    memcpy(values, head, sizeof(head));
    for (size_t i = 0; i < 257; i++)
        memcpy(values + sizeof(head) + 2 * i, "\x05\x00", 2);
    assert_broken(values, sizeof(values), "protocol.csrattrs-count");
}

/* A list of extensions that does not parse is not one we know: ignored. */
static void test_odd_extension_request(void **state)
{
    /* RFC 7030 4.5.2's own example: an OID where Extensions should be */
    static const char *const rows[] = {"301606092a864886f70d01090e310906072b060101010116",
                                       "06092a864886f70d01090e", "300f06092a864886f70d01090e31023000"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        estuary_csr_attributes *attributes = NULL;
        estuary_csr_attribute_kind kind = ESTUARY_CSRATTR_KEY;
        assert_int_equal(parse(rows[i], &attributes, NULL), ESTUARY_OK);
        assert_true(estuary_csr_attributes_at(attributes, 0, &kind, NULL, NULL, NULL));
        assert_int_equal(kind, ESTUARY_CSRATTR_UNKNOWN);
        estuary_csr_attributes_free(attributes);
    }
}

typedef struct fixture {
    EVP_PKEY *p256, *p384, *rsa, *ed25519;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    *state = &f;
    f.rsa = known_rsa_key(rsa_2048);
    return !(estuary_key_generate("ec:P-256", &f.p256, NULL) == ESTUARY_OK &&
             estuary_key_generate("ec:P-384", &f.p384, NULL) == ESTUARY_OK && f.rsa != NULL &&
             estuary_key_generate("ed25519", &f.ed25519, NULL) == ESTUARY_OK);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    EVP_PKEY_free(f->p256);
    EVP_PKEY_free(f->p384);
    EVP_PKEY_free(f->rsa);
    EVP_PKEY_free(f->ed25519);
    return 0;
}

/* expected: the signature algorithm of the signed request, or part of the conflict's sentence */
static void apply(const char *hex, EVP_PKEY *key, EVP_PKEY *signer, const char *subject, const char *dns,
                  const char *signature, const char *conflict)
{
    estuary_error *err = estuary_error_new();
    estuary_csr_attributes *attributes = NULL;
    estuary_csr *csr = NULL;
    X509_REQ *request = NULL;
    assert_int_equal(parse(hex, &attributes, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_set_subject(csr, subject, NULL), ESTUARY_OK);
    if (dns != NULL)
        assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, dns, NULL), ESTUARY_OK);
    estuary_status status = estuary_csr_apply(csr, attributes, key, err);
    if (conflict != NULL) {
        assert_int_equal(status, ESTUARY_E_CERTIFICATE);
        assert_string_equal(estuary_error_code(err), "csr.attribute-conflict");
        if (strstr(estuary_error_message(err), conflict) == NULL)
            fail_msg("%s: %s", conflict, estuary_error_message(err));
    } else {
        if (status != ESTUARY_OK)
            fail_msg("%s: %s", hex, estuary_error_message(err));
        assert_int_equal(estuary_csr_sign(csr, signer, &request, NULL), ESTUARY_OK);
        assert_string_equal(OBJ_nid2sn(X509_REQ_get_signature_nid(request)), signature);
        assert_int_equal(est_csr_refuse_broken(request, NULL, NULL), ESTUARY_OK);
    }
    X509_REQ_free(request);
    estuary_csr_free(csr);
    estuary_csr_attributes_free(attributes);
    estuary_error_free(err);
}

static void test_apply_key(void **state)
{
    const fixture *f = *state;
    apply(EC_P384, f->p384, f->p384, "CN=a", NULL, "ecdsa-with-SHA384", NULL);
    apply(EC_ANY, f->p256, f->p256, "CN=a", NULL, "ecdsa-with-SHA256", NULL);
    apply(RSA_EMPTY, f->rsa, f->rsa, "CN=a", NULL, "RSA-SHA256", NULL);
    apply(ED25519, f->ed25519, f->ed25519, "CN=a", NULL, "ED25519", NULL);
    apply(EC_P384, NULL, f->p256, "CN=a", NULL, "ecdsa-with-SHA256", NULL);
    apply(EC_P384, f->p256, NULL, "CN=a", NULL, NULL,
          "the server asks for the key algorithm ec:P-384, the key is ec:P-256");
    apply(RSA_4096, f->rsa, NULL, "CN=a", NULL, NULL,
          "asks for the key algorithm rsa:4096, the key is rsa:2048");
    apply(RSA_EMPTY, f->p256, NULL, "CN=a", NULL, NULL,
          "asks for the key algorithm rsa, the key is ec:P-256");
}

static void test_apply_signature(void **state)
{
    const fixture *f = *state;
    apply(ECDSA_SHA384, f->p256, f->p256, "CN=a", NULL, "ecdsa-with-SHA384", NULL);
    apply(SHA384, f->p256, f->p256, "CN=a", NULL, "ecdsa-with-SHA384", NULL);
    apply(SHA384, f->rsa, f->rsa, "CN=a", NULL, "RSA-SHA384", NULL);
    apply(RSA_SHA512, f->rsa, f->rsa, "CN=a", NULL, "RSA-SHA512", NULL);
    apply(RSA_SHA512 ECDSA_SHA384, f->p256, f->p256, "CN=a", NULL, "ecdsa-with-SHA384", NULL);
    apply(PSS, f->rsa, f->rsa, "CN=a", NULL, "RSASSA-PSS", NULL);
    apply(PSS SHA384, f->rsa, f->rsa, "CN=a", NULL, "RSASSA-PSS", NULL);
    apply(SHA384, NULL, f->ed25519, "CN=a", NULL, "ED25519", NULL);
    apply(RSA_SHA512, f->p256, NULL, "CN=a", NULL, NULL,
          "asks for a signature with RSA-SHA512, the key is ec:P-256");
    apply(RSA_SHA1, f->rsa, NULL, "CN=a", NULL, NULL, "RSA-SHA1, which is too weak");
    apply(SHA384, f->ed25519, NULL, "CN=a", NULL, NULL, "SHA384, the key is ed25519");
    apply(PSS, f->p256, NULL, "CN=a", NULL, NULL, "the key is ec:P-256");
}

static void test_apply_subject(void **state)
{
    const fixture *f = *state;
    apply(SERIAL, f->p256, f->p256, "serialNumber=1,CN=a", NULL, "ecdsa-with-SHA256", NULL);
    apply(ORG_EXAMPLE, f->p256, f->p256, "CN=a,O=Example", NULL, "ecdsa-with-SHA256", NULL);
    apply(SERIAL, f->p256, NULL, "CN=a", NULL, NULL, "the server asks for serialNumber in the subject");
    apply(SERIAL ORG_EXAMPLE, f->p256, NULL, "CN=a,O=Other", NULL, NULL,
          "the server asks for serialNumber, organizationName in the subject");
    apply(MAC CHALLENGE, f->p256, f->p256, "CN=a", NULL, "ecdsa-with-SHA256", NULL);
}

static void test_apply_extensions(void **state)
{
    const fixture *f = *state;
    apply(EXT_SAN_A, f->p256, f->p256, "CN=x", NULL, "ecdsa-with-SHA256", NULL);
    apply(EXT_SAN_A, f->p256, f->p256, "CN=x", "a", "ecdsa-with-SHA256", NULL);
    apply(EXT_SAN_A, f->p256, NULL, "CN=x", "b", NULL,
          "the subjectAltName dns:a, which the request does not have");
    /* keyUsage whose content is an INTEGER */
    apply("301c06092a864886f70d01090e310f300d300b0603551d0f0404"
          "04020107",
          f->p256, NULL, "CN=x", NULL, NULL, "keyUsage with a value that is broken");

    estuary_error *err = estuary_error_new();
    estuary_csr_attributes *attributes = NULL;
    estuary_csr *csr = NULL;
    X509_REQ *request = NULL;
    GENERAL_NAMES *names = NULL;
    assert_int_equal(parse(EXT_KU, &attributes, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_set_key_usage(csr, "keyAgreement", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_apply(csr, attributes, NULL, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(estuary_error_message(err),
                        "the server asks for the extension keyUsage with another value than the request has");
    /* the caller's value stands */
    assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "x", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_sign(csr, f->p256, &request, NULL), ESTUARY_OK);
    estuary_csr_report *report = NULL;
    assert_int_equal(estuary_csr_inspect(request, &report, NULL), ESTUARY_OK);
    assert_string_equal(estuary_csr_report_extension(report, 0), "keyUsage: keyAgreement (critical)");
    estuary_csr_report_free(report);
    X509_REQ_free(request);
    estuary_csr_free(csr);
    estuary_csr_attributes_free(attributes);

    assert_int_equal(parse(EXT_SAN_A EXT_KU, &attributes, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_apply(csr, attributes, NULL, err), ESTUARY_OK);
    assert_int_equal(estuary_csr_sign(csr, f->p256, &request, NULL), ESTUARY_OK);
    assert_true(est_request_san(request, &names));
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    GENERAL_NAMES_free(names);
    X509_REQ_free(request);
    estuary_csr_free(csr);
    estuary_csr_attributes_free(attributes);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),         cmocka_unit_test(test_none),
        cmocka_unit_test(test_broken),        cmocka_unit_test(test_odd_extension_request),
        cmocka_unit_test(test_apply_key),     cmocka_unit_test(test_apply_signature),
        cmocka_unit_test(test_apply_subject), cmocka_unit_test(test_apply_extensions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
