/* Request inspection: what E5 refuses before submission. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rsa_keys.h"

#include "key/key.h"
#include "wire/wire.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

static X509_REQ *request_with(EVP_PKEY *key, const EVP_MD *digest, const char *subject,
                              X509_EXTENSIONS *extensions)
{
    X509_REQ *request = X509_REQ_new();
    X509_NAME *name = NULL;
    assert_int_equal(estuary_name_parse(subject, &name, NULL), ESTUARY_OK);
    assert_int_equal(X509_REQ_set_subject_name(request, name), 1);
    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    if (extensions != NULL)
        assert_int_equal(X509_REQ_add_extensions(request, extensions), 1);
    assert_true(X509_REQ_sign(request, key, digest) > 0);
    X509_NAME_free(name);
    return request;
}

static void assert_code(const X509_REQ *request, const char *code, const char *part)
{
    estuary_error *err = estuary_error_new();
    assert_int_equal(est_csr_refuse_broken(request, NULL, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(estuary_error_code(err), code);
    if (strstr(estuary_error_message(err), part) == NULL)
        fail_msg("%s", estuary_error_message(err));
    estuary_error_free(err);
}

static EVP_PKEY *key_of(const char *algorithm)
{
    EVP_PKEY *key = NULL;
    assert_int_equal(estuary_key_generate(algorithm, &key, NULL), ESTUARY_OK);
    return key;
}

static void test_digest_and_name(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL);
    X509_REQ *request = request_with(key, EVP_sha1(), "CN=a", NULL);
    assert_code(request, "csr.weak-digest", "ecdsa-with-SHA1, which is weak or unknown");
    X509_REQ_free(request);
    request = request_with(key, EVP_sha256(), "", NULL);
    assert_code(request, "csr.no-name", "neither a subject nor");
    X509_REQ_free(request);
    request = request_with(key, EVP_sha256(), "CN=a", NULL);
    assert_int_equal(est_csr_refuse_broken(request, NULL, NULL), ESTUARY_OK);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

static void test_signature(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL), *other = key_of(NULL);
    X509_REQ *request = request_with(key, EVP_sha256(), "CN=a", NULL);
    assert_int_equal(X509_REQ_set_pubkey(request, other), 1);
    assert_code(request, "csr.signature", "does not verify");
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void test_weak_keys(void **state)
{
    (void)state;
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    EVP_PKEY *ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "prime192v1");
    X509_REQ *request = request_with(rsa, EVP_sha256(), "CN=a", NULL);
    assert_code(request, "csr.weak-key", "RSA keys need at least 2048 bits, this one has 1024");
    X509_REQ_free(request);
    request = request_with(ec, EVP_sha256(), "CN=a", NULL);
    assert_code(request, "csr.weak-key", "EC keys need at least 224 bits, this one has 192");
    X509_REQ_free(request);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

/* A public RSA key of 2048 bits with the numbers given. */
static EVP_PKEY *rsa_with(unsigned long exponent, bool odd)
{
    BIGNUM *n = BN_new(), *e = BN_new();
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(BN_set_bit(n, 2047), 1);
    if (odd)
        assert_int_equal(BN_set_bit(n, 0), 1);
    assert_int_equal(BN_set_word(e, exponent), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    BN_free(n);
    BN_free(e);
    return key;
}

static void assert_why(EVP_PKEY *key, const char *name, const char *why)
{
    est_key_info info;
    assert_true(est_key_info_get(key, &info));
    assert_string_equal(info.name, name);
    assert_int_equal(info.weak, *why != '\0');
    assert_string_equal(info.why, why);
    EVP_PKEY_free(key);
}

static EVP_PKEY *explicit_curve(void)
{
    EVP_PKEY *key = key_of(NULL), *explicit_key = NULL;
    uint8_t *der = NULL;
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"), 1);
    int len = i2d_PUBKEY(key, &der);
    const uint8_t *at = der;
    explicit_key = d2i_PUBKEY(NULL, &at, len);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return explicit_key;
}

static void test_key_info(void **state)
{
    est_key_info info;
    (void)state;
    assert_why(rsa_with(65537, true), "rsa:2048", "");
    assert_why(rsa_with(3, true), "rsa:2048", "");
    assert_why(rsa_with(1, true), "rsa:2048", "the RSA exponent is smaller than 3");
    assert_why(rsa_with(65536, true), "rsa:2048", "the RSA exponent is even");
    assert_why(rsa_with(2, true), "rsa:2048", "the RSA exponent is even");
    assert_why(rsa_with(65537, false), "rsa:2048", "the RSA modulus is even");
    assert_why(explicit_curve(), "ec:P-256", "the curve is not a named one");
    assert_why(key_of("ed25519"), "ed25519", "");
    assert_why(key_of("ed448"), "ed448", "");
    assert_false(est_key_info_get(NULL, &info));
}

static void test_signature_is_weak(void **state)
{
    static const int good[] = {NID_ecdsa_with_SHA256, NID_sha384WithRSAEncryption, NID_ED25519, NID_ED448,
                               NID_sha256},
                     weak[] = {NID_sha1WithRSAEncryption,
                               NID_md5WithRSAEncryption,
                               NID_md4WithRSAEncryption,
                               NID_md2WithRSAEncryption,
                               NID_ecdsa_with_SHA1,
                               NID_sha1,
                               NID_undef,
                               NID_rsassaPss,
                               NID_commonName};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_false(est_signature_is_weak(good[i]));
    for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
        assert_true(est_signature_is_weak(weak[i]));
}

/* RSASSA-PSS tells its digest in the parameters. */
static void test_pss(void **state)
{
    (void)state;
    EVP_PKEY *key = known_rsa_key(rsa_2048);
    for (int i = 0; i < 2; i++) {
        X509_REQ *request = request_with(key, EVP_sha256(), "CN=a", NULL);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY_CTX *key_context = NULL;
        assert_int_equal(
            EVP_DigestSignInit(context, &key_context, i == 0 ? EVP_sha1() : EVP_sha256(), NULL, key), 1);
        assert_true(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(X509_REQ_sign_ctx(request, context) > 0);
        if (i == 0)
            assert_code(request, "csr.weak-digest", "RSASSA-PSS");
        else
            assert_int_equal(est_csr_refuse_broken(request, NULL, NULL), ESTUARY_OK);
        EVP_MD_CTX_free(context);
        X509_REQ_free(request);
    }
    EVP_PKEY_free(key);
}

static void add_raw(X509_EXTENSIONS **extensions, int nid, const void *bytes, int len)
{
    ASN1_OCTET_STRING *content = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(content, bytes, len), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, nid, 0, content);
    if (*extensions == NULL)
        *extensions = sk_X509_EXTENSION_new_null();
    assert_true(sk_X509_EXTENSION_push(*extensions, extension) > 0);
    ASN1_OCTET_STRING_free(content);
}

static void test_extensions(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL);
    GENERAL_NAMES *names = NULL;
    X509_EXTENSIONS *extensions = NULL;
    add_raw(&extensions, NID_subject_alt_name, "\x02\x01\x05", 3);
    X509_REQ *request = request_with(key, EVP_sha256(), "CN=a", extensions);
    assert_code(request, "csr.extension", "subjectAltName is broken");
    assert_false(est_request_san(request, &names));
    assert_null(names);
    X509_REQ_free(request);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    extensions = NULL;
    add_raw(&extensions, NID_basic_constraints, "\x30\x00", 2);
    add_raw(&extensions, NID_basic_constraints, "\x30\x00", 2);
    request = request_with(key, EVP_sha256(), "CN=a", extensions);
    assert_code(request, "csr.extension", "basicConstraints stands twice");
    assert_true(est_request_san(request, &names));
    assert_null(names);
    X509_REQ_free(request);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    /* an extensionRequest that holds something else */
    request = request_with(key, EVP_sha256(), "CN=a", NULL);
    assert_int_equal(
        X509_REQ_add1_attr_by_NID(request, NID_ext_req, V_ASN1_UTF8STRING, (const uint8_t *)"a", 1), 1);
    assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    assert_code(request, "csr.extension", "broken or stand twice");
    estuary_csr *csr = NULL;
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_copy_request(csr, request, NULL), ESTUARY_E_CERTIFICATE);
    estuary_csr_free(csr);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

static void test_parse(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of(NULL);
    X509_REQ *request = request_with(key, EVP_sha256(), "CN=a", NULL), *again = NULL;
    uint8_t *der = NULL;
    int len = i2d_X509_REQ(request, &der);
    assert_int_equal(estuary_csr_parse(der, (size_t)len, &again, NULL), ESTUARY_OK);
    X509_REQ_free(again);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_int_equal(PEM_write_bio_X509_REQ_NEW(bio, request), 1);
    long text_len = BIO_get_mem_data(bio, &text);
    assert_int_equal(estuary_csr_parse((uint8_t *)text, (size_t)text_len, &again, NULL), ESTUARY_OK);
    X509_REQ_free(again);
    uint8_t more[1024] = {0};
    memcpy(more, der, (size_t)len);
    static uint8_t large[65537];
    static const char encrypted[] =
        "-----BEGIN CERTIFICATE REQUEST-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
        "AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\nMAA=\n-----END CERTIFICATE "
        "REQUEST-----\n";
    const struct {
        const uint8_t *bytes;
        size_t len;
    } rows[] = {{more, (size_t)len + 1},
                {der, (size_t)len - 1},
                {large, sizeof(large)},
                {der, 0},
                {NULL, 0},
                {(const uint8_t *)"text", 4},
                {(const uint8_t *)encrypted, sizeof(encrypted) - 1}};
    estuary_error *err = estuary_error_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(estuary_csr_parse(rows[i].bytes, rows[i].len, &again, err), ESTUARY_E_CERTIFICATE);
        assert_null(again);
        assert_string_equal(estuary_error_code(err), "csr.malformed");
    }
    estuary_error_free(err);
    BIO_free(bio);
    OPENSSL_free(der);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

/* Every byte of a request changed in turn: nothing crashes, and what still parses never passes. */
static void test_every_byte_changed(void **state)
{
    (void)state;
    EVP_PKEY *key = key_of("ed25519");
    X509_REQ *request = request_with(key, NULL, "CN=a", NULL);
    uint8_t *der = NULL;
    int len = i2d_X509_REQ(request, &der);
    for (int i = 0; i < len; i++) {
        X509_REQ *changed = NULL;
        der[i] ^= 0x01;
        if (estuary_csr_parse(der, (size_t)len, &changed, NULL) == ESTUARY_OK)
            assert_int_equal(est_csr_refuse_broken(changed, NULL, NULL), ESTUARY_E_CERTIFICATE);
        X509_REQ_free(changed);
        der[i] ^= 0x01;
    }
    OPENSSL_free(der);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest_and_name),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_weak_keys),
        cmocka_unit_test(test_key_info),
        cmocka_unit_test(test_pss),
        cmocka_unit_test(test_signature_is_weak),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_every_byte_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
