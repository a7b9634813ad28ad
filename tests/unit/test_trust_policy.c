#include "make_certs.h"
#include "trust/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static made root, client, weak;
static estuary_anchors *anchors;

static int set_up(void **state)
{
    (void)state;
    root = make_ca("root", NULL);
    client = make_client("device", &root);
    weak = make_cert(&(recipe){.cn = "weak", .issuer = &root, .digest = "SHA1"});
    STACK_OF(X509) *certs = make_stack(root.cert, NULL);
    estuary_status status = estuary_anchors_from_certs(certs, &anchors, NULL);
    sk_X509_pop_free(certs, X509_free);
    return status == ESTUARY_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    estuary_anchors_free(anchors);
    free_made(&root);
    free_made(&client);
    free_made(&weak);
    return 0;
}

static void keylog(const SSL *ssl, const char *line)
{
    (void)ssl;
    (void)line;
}

/* What libcurl, or a careless configuration, may hand to us. */
static SSL_CTX *careless(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_options(ctx, SSL_OP_ALL | SSL_OP_LEGACY_SERVER_CONNECT |
                                 SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 SSL_OP_NO_TLSv1_3);
    SSL_CTX_clear_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL:eNULL:@SECLEVEL=0"), 1);
    SSL_CTX_set_keylog_callback(ctx, keylog);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    return ctx;
}

/* T1 */
/* 7030-3.2.3-2, 7030-4.4-2, 7030-4.4-3, 7030-6-5 */
static void test_suites(void **state)
{
    static const char *const forbidden[] = {"NULL", "ADH", "AECDH", "EXP", "RC4", "DES", "MD5", "PSK", "SRP"};
    est_trust trust = {.anchors = anchors, .host = "est.example", .max_depth = 8};
    est_session session = {.trust = &trust};
    SSL_CTX *ctx = careless();
    (void)state;
    assert_int_equal(est_trust_prepare(ctx, &session, NULL), ESTUARY_OK);
    const STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(ctx);
    assert_true(sk_SSL_CIPHER_num(suites) > 8);
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(suites, i);
        for (size_t k = 0; k < sizeof(forbidden) / sizeof(forbidden[0]); k++)
            assert_null(strstr(SSL_CIPHER_get_name(suite), forbidden[k]));
        assert_int_not_equal(SSL_CIPHER_get_kx_nid(suite), NID_kx_rsa);
        assert_int_not_equal(SSL_CIPHER_get_auth_nid(suite), NID_auth_null);
        assert_true(SSL_CIPHER_get_bits(suite, NULL) >= 128);
    }
    SSL_CTX_free(ctx);
    est_session_reset(&session);
}

/* 7030-3.2.3-1, 7030-3.3-3, 7030-3.5-2 */
static void test_options(void **state)
{
    const uint64_t wanted =
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CLEANSE_PLAINTEXT;
    const uint64_t unwanted = SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                              SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TLSv1_3;
    est_trust trust = {.anchors = anchors, .host = "est.example", .max_depth = 8};
    est_session session = {.trust = &trust, .accepted = true};
    SSL_CTX *ctx = careless();
    (void)state;
    assert_int_equal(est_trust_prepare(ctx, &session, NULL), ESTUARY_OK);
    assert_false(session.accepted);
    assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_get_max_proto_version(ctx), TLS1_3_VERSION);
    assert_true((SSL_CTX_get_options(ctx) & wanted) == wanted);
    assert_true((SSL_CTX_get_options(ctx) & unwanted) == 0);
    assert_int_equal(SSL_CTX_get_security_level(ctx), 2);
    assert_null(SSL_CTX_get_keylog_callback(ctx));
    assert_int_equal(SSL_CTX_get_session_cache_mode(ctx), SSL_SESS_CACHE_OFF);
    assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_PEER);
    assert_null(SSL_CTX_get0_certificate(ctx));
    SSL_CTX_free(ctx);
}

/* T11 */
static void test_fips(void **state)
{
    est_trust trust = {.anchors = anchors, .host = "est.example", .fips = true};
    est_session session = {.trust = &trust};
    SSL_CTX *ctx = careless();
    (void)state;
    assert_int_equal(est_trust_prepare(ctx, &session, NULL), ESTUARY_OK);
    const STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++)
        assert_null(strstr(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(suites, i)), "CHACHA20"));
    SSL_CTX_free(ctx);
}

/* T4, T5 */
static void test_identity(void **state)
{
    est_trust trust = {
        .anchors = anchors, .host = "est.example", .identity = client.cert, .identity_key = client.key};
    est_session session = {.trust = &trust};
    estuary_error *err = estuary_error_new();
    SSL_CTX *ctx = careless();
    (void)state;
    assert_int_equal(est_trust_prepare(ctx, &session, NULL), ESTUARY_OK);
    assert_ptr_equal(SSL_CTX_get0_certificate(ctx), client.cert);
    SSL_CTX_free(ctx);

    ctx = careless();
    trust.accept_any = true;
    assert_int_equal(est_trust_prepare(ctx, &session, NULL), ESTUARY_OK);
    assert_null(SSL_CTX_get0_certificate(ctx));
    trust.accept_any = false;
    trust.identity_key = root.key;
    assert_int_equal(est_trust_prepare(ctx, &session, err), ESTUARY_E_TLS);
    assert_string_equal(estuary_error_code(err), "tls.identity-key-mismatch");
    trust.identity = weak.cert;
    trust.identity_key = weak.key;
    assert_int_equal(est_trust_prepare(ctx, &session, err), ESTUARY_E_TLS);
    assert_string_equal(estuary_error_code(err), "tls.identity-weak");
    SSL_CTX_free(ctx);
    estuary_error_free(err);
}

/* 7030-6-4 */
static void test_no_trust(void **state)
{
    est_trust trust = {.host = "est.example"};
    est_session session = {.trust = &trust}, empty = {0};
    estuary_error *err = estuary_error_new();
    SSL_CTX *ctx = careless();
    (void)state;
    assert_int_equal(est_trust_prepare(ctx, &session, err), ESTUARY_E_USAGE);
    assert_string_equal(estuary_error_code(err), "usage.no-trust");
    trust = (est_trust){.anchors = anchors}; /* no host: nothing to hold the certificate against */
    assert_int_equal(est_trust_prepare(ctx, &session, err), ESTUARY_E_USAGE);
    assert_int_equal(est_trust_prepare(ctx, &empty, err), ESTUARY_E_USAGE);
    assert_int_equal(est_trust_prepare(ctx, NULL, err), ESTUARY_E_USAGE);
    est_session_reset(NULL);
    SSL_CTX_free(ctx);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_suites), cmocka_unit_test(test_options),
                                       cmocka_unit_test(test_fips), cmocka_unit_test(test_identity),
                                       cmocka_unit_test(test_no_trust)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
