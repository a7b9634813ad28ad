/* The request builder (E4, RFC 2986). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rsa_keys.h"

#include "key/key.h"
#include "wire/wire.h"

#include <openssl/objects.h>
#include <string.h>

static estuary_csr *builder(void)
{
    estuary_csr *csr = NULL;
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    return csr;
}

static EVP_PKEY *key_of(const char *algorithm)
{
    EVP_PKEY *key = NULL;
    assert_int_equal(estuary_key_generate(algorithm, &key, NULL), ESTUARY_OK);
    return key;
}

static X509_REQ *sign(const estuary_csr *csr, EVP_PKEY *key)
{
    X509_REQ *request = NULL;
    assert_int_equal(estuary_csr_sign(csr, key, &request, NULL), ESTUARY_OK);
    return request;
}

static void assert_same_key_bytes(X509_REQ *request, EVP_PKEY *key)
{
    unsigned char *put = NULL, *encoded = NULL;
    int put_len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request), &put);
    int len = i2d_PUBKEY(key, &encoded);
    assert_true(len > 0);
    assert_int_equal(put_len, len);
    assert_memory_equal(put, encoded, (size_t)len);
    OPENSSL_free(put);
    OPENSSL_free(encoded);
}

/* What OpenSSL's encoder would write is what stands there, whichever way it came in. */
static void test_key_as_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm;
        const char *point; /* compressed: the encoder's business */
        bool unread;
    } rows[] = {
        {"ec:P-256", NULL, true},          {"ec:P-384", NULL, true}, {"ec:P-521", NULL, true},
        {"ec:P-256", "compressed", false}, {"ed25519", NULL, false}, {"rsa:2048", NULL, false},
    };
    estuary_csr *csr = builder();
    assert_int_equal(estuary_csr_set_subject(csr, "CN=a", NULL), ESTUARY_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const bool rsa = strcmp(rows[i].algorithm, "rsa:2048") == 0;
        EVP_PKEY *key = rsa ? known_rsa_key(rsa_2048) : key_of(rows[i].algorithm);
        X509_REQ *request = NULL;
        bool unread = !rows[i].unread;
        if (rows[i].point != NULL)
            assert_int_equal(EVP_PKEY_set_utf8_string_param(key, "point-format", rows[i].point), 1);
        assert_int_equal(est_csr_sign(csr, key, &request, &unread, NULL), ESTUARY_OK);
        assert_int_equal(unread, rows[i].unread);
        assert_int_equal(X509_REQ_get0_pubkey(request) == NULL, rows[i].unread);
        assert_same_key_bytes(request, key);
        X509_REQ *whole = est_request_dup(request);
        assert_int_equal(X509_REQ_verify(whole, X509_REQ_get0_pubkey(whole)), 1);
        assert_int_equal(est_csr_refuse_broken(whole, NULL, NULL), ESTUARY_OK);
        X509_REQ_free(whole);
        X509_REQ_free(request);
        EVP_PKEY_free(key);
    }
    estuary_csr_free(csr);
}

/* Everything at once, read back by the inspection. */
static void test_all_fields(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL);
    estuary_csr *csr = builder();
    static const uint8_t must_staple[] = {0x30, 3, 2, 1, 5};
    assert_int_equal(estuary_csr_set_subject(csr, "CN=device 1,O=Example", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "b.example", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_IP, "192.0.2.1", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "B.example", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_set_key_usage(csr, "digitalSignature, keyAgreement", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_eku(csr, "clientAuth", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_eku(csr, "1.2.3.4", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_eku(csr, "clientauth", NULL), ESTUARY_OK);
    assert_int_equal(
        estuary_csr_add_extension(csr, "1.3.6.1.5.5.7.1.24", false, must_staple, sizeof(must_staple), NULL),
        ESTUARY_OK);
    assert_int_equal(estuary_csr_set_challenge_password(csr, "ab+/=", 5, NULL), ESTUARY_OK);
    X509_REQ *request = sign(csr, key);
    estuary_csr_report *report = NULL;
    assert_int_equal(estuary_csr_inspect(request, &report, NULL), ESTUARY_OK);
    assert_string_equal(estuary_csr_report_subject(report), "CN=device 1,O=Example");
    assert_string_equal(estuary_csr_report_key(report), "ec:P-256");
    assert_int_equal(estuary_csr_report_key_bits(report), 256);
    assert_string_equal(estuary_csr_report_signature(report), "ecdsa-with-SHA256");
    assert_true(estuary_csr_report_has_challenge(report));
    assert_string_equal(estuary_csr_report_san(report, 0), "dns:b.example");
    assert_string_equal(estuary_csr_report_san(report, 1), "ip:192.0.2.1");
    assert_null(estuary_csr_report_san(report, 2));
    assert_string_equal(estuary_csr_report_extension(report, 0),
                        "keyUsage: digitalSignature, keyAgreement (critical)");
    assert_string_equal(estuary_csr_report_extension(report, 1), "extendedKeyUsage: clientAuth, 1.2.3.4");
    assert_string_equal(estuary_csr_report_extension(report, 2), "tlsfeature: status_request");
    assert_null(estuary_csr_report_extension(report, 3));
    assert_int_equal(estuary_csr_report_flaw(report, 0, NULL), ESTUARY_CSR_FLAW_NONE);
    estuary_csr_report_free(report);
    X509_REQ_free(request);
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
}

static void test_digests(void **state)
{
    static const struct {
        const char *algorithm;
        int signature;
    } rows[] = {
        {"ec:P-256", NID_ecdsa_with_SHA256},
        {"ec:P-384", NID_ecdsa_with_SHA384},
        {"ec:P-521", NID_ecdsa_with_SHA512},
        {"rsa:2048", NID_sha256WithRSAEncryption},
        {"ed25519", NID_ED25519},
        {"ed448", NID_ED448},
        {"RSA-PSS", NID_rsassaPss},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (getenv("ESTUARY_VALGRIND") != NULL && strcmp(rows[i].algorithm, "RSA-PSS") == 0)
            continue; /* making it takes half a minute there */
        const bool rsa = strcmp(rows[i].algorithm, "rsa:2048") == 0;
        EVP_PKEY *key = rsa ? known_rsa_key(rsa_2048) : key_of(rows[i].algorithm);
        estuary_csr *csr = builder();
        assert_int_equal(estuary_csr_set_subject(csr, "CN=a", NULL), ESTUARY_OK);
        X509_REQ *request = sign(csr, key);
        assert_int_equal(X509_REQ_get_signature_nid(request), rows[i].signature);
        assert_int_equal(est_csr_refuse_broken(request, NULL, NULL), ESTUARY_OK);
        X509_REQ_free(request);
        estuary_csr_free(csr);
        EVP_PKEY_free(key);
    }
}

static int san_critical(const X509_REQ *request)
{
    int critical = -1;
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions((X509_REQ *)request);
    GENERAL_NAMES_free(X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL));
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return critical;
}

/* RFC 5280 4.2.1.6 */
static void test_san_critical_without_subject(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL);
    estuary_csr *csr = builder();
    assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "a.example", NULL), ESTUARY_OK);
    X509_REQ *request = sign(csr, key);
    assert_int_equal(san_critical(request), 1);
    X509_REQ_free(request);
    assert_int_equal(estuary_csr_set_subject(csr, "CN=a", NULL), ESTUARY_OK);
    request = sign(csr, key); /* the builder may sign again */
    assert_int_equal(san_critical(request), 0);
    X509_REQ_free(request);
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
}

/* RFC 2985 5.4.1, RFC 7030 3.5 */
static void test_challenge_types(void **state)
{
    static const struct {
        const char *text;
        int type;
    } rows[] = {{"dGxzLXVuaXF1ZQ+/=", V_ASN1_PRINTABLESTRING},
                {"a*b", V_ASN1_UTF8STRING},
                {"\xc3\xa4", V_ASN1_UTF8STRING}};
    (void)state;
    EVP_PKEY *key = key_of("ed25519");
    for (size_t i = 0; i < 3; i++) {
        estuary_csr *csr = builder();
        assert_int_equal(estuary_csr_set_subject(csr, "CN=a", NULL), ESTUARY_OK);
        assert_int_equal(estuary_csr_set_challenge_password(csr, "old", 3, NULL), ESTUARY_OK);
        assert_int_equal(estuary_csr_set_challenge_password(csr, rows[i].text, strlen(rows[i].text), NULL),
                         ESTUARY_OK);
        X509_REQ *request = sign(csr, key);
        int at = X509_REQ_get_attr_by_NID(request, NID_pkcs9_challengePassword, -1);
        const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(request, at), 0);
        assert_int_equal(value->type, rows[i].type);
        assert_int_equal(ASN1_STRING_length(value->value.asn1_string), strlen(rows[i].text));
        assert_memory_equal(ASN1_STRING_get0_data(value->value.asn1_string), rows[i].text,
                            strlen(rows[i].text));
        X509_REQ_free(request);
        estuary_csr_free(csr);
    }
    EVP_PKEY_free(key);
}

#define REFUSED(call, wanted)                                                                                \
    do {                                                                                                     \
        estuary_error_clear(err);                                                                            \
        assert_int_not_equal(call, ESTUARY_OK);                                                              \
        assert_string_equal(estuary_error_code(err), wanted);                                                \
    } while (0)

static void test_refusals(void **state)
{
    static const uint8_t null[] = {5, 0}, two[] = {5, 0, 5, 0}, endless[] = {0x30, 0x80, 0, 0};
    char long_text[256] = "";
    (void)state;
    estuary_error *err = estuary_error_new();
    estuary_csr *csr = builder();
    X509_REQ *request = NULL;
    memset(long_text, 'a', sizeof(long_text));
    REFUSED(estuary_csr_set_subject(csr, "nonsense", err), "usage.dn");
    REFUSED(estuary_csr_set_subject_name(csr, NULL, err), "usage.dn");
    REFUSED(estuary_csr_add_san(csr, ESTUARY_SAN_IP, "x", err), "usage.san");
    REFUSED(estuary_csr_set_key_usage(csr, "digitalSignature,nosuch", err), "usage.key-usage");
    assert_string_equal(estuary_error_message(err), "there is no key usage called \"nosuch\"");
    REFUSED(estuary_csr_set_key_usage(csr, "", err), "usage.key-usage");
    REFUSED(estuary_csr_set_key_usage(csr, NULL, err), "usage.key-usage");
    REFUSED(estuary_csr_add_eku(csr, "sha256", err), "usage.eku");
    REFUSED(estuary_csr_add_eku(csr, NULL, err), "usage.eku");
    REFUSED(estuary_csr_add_extension(csr, "x", false, null, 2, err), "usage.extension");
    REFUSED(estuary_csr_add_extension(csr, "1.2.3", false, two, 4, err), "usage.extension");
    REFUSED(estuary_csr_add_extension(csr, "1.2.3", false, endless, 4, err), "usage.extension");
    REFUSED(estuary_csr_add_extension(csr, "1.2.3", false, NULL, 0, err), "usage.extension");
    REFUSED(estuary_csr_add_extension(csr, "2.5.29.15", false, null, 2, err), "usage.extension");
    REFUSED(estuary_csr_set_challenge_password(csr, "", 0, err), "usage.argument");
    REFUSED(estuary_csr_set_challenge_password(csr, long_text, 256, err), "usage.argument");
    REFUSED(estuary_csr_set_challenge_password(csr, "\xff", 1, err), "usage.argument");
    REFUSED(estuary_csr_sign(csr, NULL, &request, err), "usage.argument");
    EVP_PKEY *kex = key_of("X25519");
    REFUSED(estuary_csr_sign(csr, kex, &request, err), "key.failed");
    assert_null(request);
    assert_int_equal(estuary_csr_set_challenge_password(csr, long_text, 255, NULL), ESTUARY_OK);
    EVP_PKEY_free(kex);
    estuary_csr_free(csr);
    estuary_csr_free(NULL);
    estuary_error_free(err);
}

static X509 *certificate_for(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = NULL;
    GENERAL_NAMES *names = NULL;
    int critical = 0;
    estuary_csr *csr = builder();
    assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "old.example", NULL), ESTUARY_OK);
    X509_REQ *request = sign(csr, key);
    assert_true(est_request_san(request, &names));
    assert_int_equal(estuary_name_parse("CN=old,O=Example", &name, NULL), ESTUARY_OK);
    assert_int_equal(X509_set_subject_name(certificate, name), 1);
    assert_int_equal(
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, critical, X509V3_ADD_DEFAULT), 1);
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    ASN1_BIT_STRING_set_bit(bits, 0, 1);
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT), 1);
    ASN1_BIT_STRING_free(bits);
    GENERAL_NAMES_free(names);
    X509_NAME_free(name);
    X509_REQ_free(request);
    estuary_csr_free(csr);
    return certificate;
}

/* RFC 7030 4.2.2 */
static void test_copy_certificate(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL);
    X509 *certificate = certificate_for(key);
    estuary_csr *csr = builder();
    assert_int_equal(estuary_csr_copy_certificate(csr, certificate, NULL), ESTUARY_OK);
    X509_REQ *request = sign(csr, key);
    GENERAL_NAMES *asked = NULL, *had = NULL;
    assert_true(est_request_san(request, &asked));
    assert_true(est_certificate_san(certificate, &had));
    assert_true(est_general_names_equal(asked, had));
    assert_int_equal(X509_NAME_cmp(X509_REQ_get_subject_name(request), X509_get_subject_name(certificate)),
                     0);
    assert_false(est_request_changes_subject(request));
    GENERAL_NAMES_free(asked);
    GENERAL_NAMES_free(had);
    X509_REQ_free(request);
    estuary_csr_free(csr);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void test_copy_request(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL);
    estuary_csr *csr = builder(), *again = builder();
    assert_int_equal(estuary_csr_set_subject(csr, "CN=a", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "a.example", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_set_challenge_password(csr, "secret", 6, NULL), ESTUARY_OK);
    X509_REQ *first = sign(csr, key);
    /* RFC 6402 2.8: ChangeSubjectName stays */
    ASN1_OBJECT *change = OBJ_txt2obj("1.3.6.1.5.5.7.7.36", 1);
    assert_int_equal(
        X509_REQ_add1_attr_by_OBJ(first, change, V_ASN1_SEQUENCE, (const uint8_t *)"\x30\x00", 2), 1);
    ASN1_OBJECT_free(change);
    assert_true(est_request_changes_subject(first));
    assert_int_equal(estuary_csr_copy_request(again, first, NULL), ESTUARY_OK);
    X509_REQ *second = sign(again, key);
    estuary_csr_report *report = NULL;
    assert_int_equal(estuary_csr_inspect(second, &report, NULL), ESTUARY_OK);
    assert_string_equal(estuary_csr_report_subject(report), "CN=a");
    assert_string_equal(estuary_csr_report_san(report, 0), "dns:a.example");
    assert_false(estuary_csr_report_has_challenge(report));
    assert_true(est_request_changes_subject(second));
    estuary_csr_report_free(report);
    X509_REQ_free(second);
    X509_REQ_free(first);
    estuary_csr_free(again);
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
}

/* The same input gives the same structure; only an ECDSA signature differs (Ed25519's does not). */
static void test_stable(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of("ed25519");
    estuary_csr *csr = builder();
    assert_int_equal(estuary_csr_set_subject(csr, "OU=b+CN=a", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_add_eku(csr, "serverAuth", NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_set_challenge_password(csr, "x", 1, NULL), ESTUARY_OK);
    estuary_csr *copy = est_csr_dup(csr);
    X509_REQ *a = sign(csr, key), *b = sign(copy, key);
    uint8_t *a_der = NULL, *b_der = NULL;
    int a_len = i2d_X509_REQ(a, &a_der), b_len = i2d_X509_REQ(b, &b_der);
    assert_int_equal(a_len, b_len);
    assert_memory_equal(a_der, b_der, (size_t)a_len);
    OPENSSL_free(a_der);
    OPENSSL_free(b_der);
    X509_REQ_free(a);
    X509_REQ_free(b);
    estuary_csr_free(copy);
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_fields),      cmocka_unit_test(test_digests),
        cmocka_unit_test(test_challenge_types), cmocka_unit_test(test_san_critical_without_subject),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_copy_certificate),
        cmocka_unit_test(test_copy_request),    cmocka_unit_test(test_stable),
        cmocka_unit_test(test_key_as_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
