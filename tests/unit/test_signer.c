/* K6: an EVP_PKEY whose private half is a callback, in everything a key is used for. */
#include "make_certs.h"
#include "rsa_keys.h"
#include "small_ca.h"

#include "key/key.h"

#include <estuary/signer.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

/* A "token": a software key behind callbacks, with faults on demand. */
typedef enum fault {
    NO_FAULT = 0,
    FAULT_REFUSES,
    FAULT_BAD_SIGNATURE,
    FAULT_TOO_LONG,
    FAULT_OTHER_KEY
} fault;

typedef struct token {
    EVP_PKEY *key;
    fault fault;
    int signed_times, opened, derived, freed;
} token;

static estuary_status raw_or_whole(token *t, const estuary_sign_input *in, uint8_t *out, size_t *len)
{
    if (in->digest == NULL) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, t->key), 1);
        assert_int_equal(EVP_DigestSign(context, out, len, in->bytes, in->len), 1);
        EVP_MD_CTX_free(context);
        return ESTUARY_OK;
    }
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(t->key, NULL);
    EVP_MD *md = EVP_MD_fetch(NULL, in->digest, NULL);
    assert_non_null(md);
    assert_int_equal(EVP_PKEY_sign_init(context), 1);
    if (in->padding == ESTUARY_PADDING_PKCS1) {
        /* as a token does CKM_RSA_PKCS: the DigestInfo is the input */
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING), 1);
        assert_int_equal(EVP_PKEY_sign(context, out, len, in->digest_info, in->digest_info_len), 1);
    } else {
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, md), 1);
        if (in->padding == ESTUARY_PADDING_PSS) {
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, (int)in->salt_len), 1);
        }
        assert_int_equal(EVP_PKEY_sign(context, out, len, in->bytes, in->len), 1);
    }
    EVP_MD_free(md);
    EVP_PKEY_CTX_free(context);
    return ESTUARY_OK;
}

static estuary_status token_sign(void *arg, const estuary_sign_input *in, uint8_t *out, size_t *len,
                                 estuary_error *err)
{
    token *t = arg;
    t->signed_times++;
    if (t->fault == FAULT_REFUSES)
        return est_fail(err, EST_KEY_PASSPHRASE, "the token says the PIN is wrong");
    if (t->fault == FAULT_TOO_LONG) {
        *len += 1;
        return ESTUARY_OK;
    }
    estuary_status status = raw_or_whole(t, in, out, len);
    if (t->fault == FAULT_BAD_SIGNATURE)
        out[*len - 1] ^= 1;
    return status;
}

static estuary_status token_decrypt(void *arg, const estuary_decrypt_input *in, uint8_t *out, size_t *len,
                                    estuary_error *err)
{
    token *t = arg;
    t->opened++;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(t->key, NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    if (in->padding == ESTUARY_PADDING_OAEP) {
        EVP_MD *md = EVP_MD_fetch(NULL, in->digest, NULL);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(context, md), 1);
        EVP_MD_free(md);
    }
    int done = EVP_PKEY_decrypt(context, out, len, in->bytes, in->len);
    EVP_PKEY_CTX_free(context);
    return done == 1 ? ESTUARY_OK : est_fail(err, EST_KEY_OPERATION, "the token cannot decrypt this");
}

static estuary_status token_derive(void *arg, const EVP_PKEY *peer, uint8_t *out, size_t *len,
                                   estuary_error *err)
{
    token *t = arg;
    (void)err;
    t->derived++;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(t->key, NULL);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, (EVP_PKEY *)peer), 1);
    assert_int_equal(EVP_PKEY_derive(context, out, len), 1);
    EVP_PKEY_CTX_free(context);
    return ESTUARY_OK;
}

static void token_free(void *arg)
{
    ((token *)arg)->freed++;
}

static const estuary_signer whole = {.size = sizeof(estuary_signer),
                                     .sign = token_sign,
                                     .decrypt = token_decrypt,
                                     .derive = token_derive,
                                     .free = token_free};

typedef struct state {
    estuary_error *err;
    EVP_PKEY *ec, *ec384, *rsa, *ed25519, *ed448;
} state;

static EVP_PKEY *made_key(const char *algorithm)
{
    EVP_PKEY *key = NULL;
    assert_int_equal(estuary_key_generate(algorithm, &key, NULL), ESTUARY_OK);
    return key;
}

static int set_up(void **s)
{
    state *st = est_alloc(sizeof(*st));
    st->err = estuary_error_new();
    st->ec = made_key("ec:P-256");
    st->ec384 = made_key("ec:P-384");
    st->rsa = known_rsa_key(rsa_2048);
    st->ed25519 = made_key("ed25519");
    st->ed448 = made_key("ed448");
    *s = st;
    return 0;
}

static int tear_down(void **s)
{
    state *st = *s;
    EVP_PKEY_free(st->ec);
    EVP_PKEY_free(st->ec384);
    EVP_PKEY_free(st->rsa);
    EVP_PKEY_free(st->ed25519);
    EVP_PKEY_free(st->ed448);
    estuary_error_free(st->err);
    est_free(st);
    return 0;
}

static EVP_PKEY *bridge(state *st, token *t)
{
    EVP_PKEY *out = NULL;
    assert_ok(estuary_key_from_signer(t->key, &whole, t, &out, st->err), st->err);
    return out;
}

static void test_signs_requests(void **s)
{
    state *st = *s;
    EVP_PKEY *const keys[] = {st->ec, st->ec384, st->rsa, st->ed25519, st->ed448};
    static const char *const names[] = {"ec:P-256", "ec:P-384", "rsa:2048", "ed25519", "ed448"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        token t = {.key = keys[i]};
        EVP_PKEY *key = bridge(st, &t);
        estuary_csr *csr = NULL;
        X509_REQ *request = NULL;
        char name[48];
        assert_ok(estuary_key_algorithm(key, name, sizeof(name), st->err), st->err);
        assert_string_equal(name, names[i]);
        assert_ok(estuary_csr_new(&csr, st->err), st->err);
        assert_ok(estuary_csr_set_subject(csr, "CN=device", st->err), st->err);
        assert_ok(estuary_csr_sign(csr, key, &request, st->err), st->err);
        assert_int_equal(X509_REQ_verify(request, keys[i]), 1);
        assert_int_equal(t.signed_times, 1);
        assert_true(est_key_equal(key, keys[i]));
        assert_true(est_key_equal(keys[i], key));
        X509_REQ_free(request);
        estuary_csr_free(csr);
        EVP_PKEY_free(key);
        assert_int_equal(t.freed, 1);
    }
}

static void test_rsa_pss(void **s)
{
    state *st = *s;
    static const int salts[] = {RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX, 20, 0};
    token t = {.key = st->rsa};
    EVP_PKEY *key = bridge(st, &t);
    for (size_t i = 0; i < COUNT_OF(salts); i++) {
        X509_REQ *request = X509_REQ_new();
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pctx = NULL;
        assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
        assert_int_equal(EVP_DigestSignInit(context, &pctx, EVP_sha256(), NULL, key), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salts[i]), 1);
        assert_true(X509_REQ_sign_ctx(request, context) > 0);
        assert_int_equal(X509_REQ_get_signature_nid(request), NID_rsassaPss);
        assert_int_equal(X509_REQ_verify(request, st->rsa), 1);
        EVP_MD_CTX_free(context);
        X509_REQ_free(request);
    }
    EVP_PKEY_free(key);
}

static void test_a_bad_signature_never_leaves(void **s)
{
    state *st = *s;
    EVP_PKEY *const keys[] = {st->ec, st->rsa, st->ed25519};
    static const struct {
        fault fault;
        const char *code, *sentence;
    } rows[] = {
        {FAULT_REFUSES, "key.passphrase-wrong", "the token says the PIN is wrong"},
        {FAULT_BAD_SIGNATURE, "key.signature", "the key made a signature that its own public key refuses"},
        {FAULT_TOO_LONG, "key.signature", "the key made a signature that its own public key refuses"}};
    for (size_t i = 0; i < COUNT_OF(keys) * COUNT_OF(rows); i++) {
        token t = {.key = keys[i / COUNT_OF(rows)], .fault = rows[i % COUNT_OF(rows)].fault};
        EVP_PKEY *key = bridge(st, &t);
        estuary_csr *csr = NULL;
        X509_REQ *request = NULL;
        assert_ok(estuary_csr_new(&csr, st->err), st->err);
        assert_ok(estuary_csr_set_subject(csr, "CN=device", st->err), st->err);
        assert_failed(estuary_csr_sign(csr, key, &request, st->err), st->err, rows[i % COUNT_OF(rows)].code);
        assert_string_equal(estuary_error_message(st->err), rows[i % COUNT_OF(rows)].sentence);
        assert_null(request);
        estuary_csr_free(csr);
        EVP_PKEY_free(key);
    }
}

/* The public key given is not the signer's own: found at the first signature. */
static void test_another_public_key(void **s)
{
    state *st = *s;
    EVP_PKEY *other = made_key("ec:P-256"), *key = NULL;
    token t = {.key = st->ec};
    estuary_csr *csr = NULL;
    X509_REQ *request = NULL;
    assert_ok(estuary_key_from_signer(other, &whole, &t, &key, st->err), st->err);
    assert_ok(estuary_csr_new(&csr, st->err), st->err);
    assert_ok(estuary_csr_set_subject(csr, "CN=device", st->err), st->err);
    assert_failed(estuary_csr_sign(csr, key, &request, st->err), st->err, "key.signature");
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void test_software_keys_stay_with_openssl(void **s)
{
    state *st = *s;
    token t = {.key = st->rsa};
    EVP_PKEY *key = bridge(st, &t);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key)), "estuary");
    static const char *const kinds[] = {"ec:P-256", "rsa:2048", "ed25519", "ed448"};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        EVP_PKEY *software = i == 1 ? st->rsa : made_key(kinds[i]);
        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(software)), "default");
        unsigned char *der = NULL;
        int len = i2d_PrivateKey(software, &der);
        const unsigned char *p = der;
        EVP_PKEY *read = d2i_AutoPrivateKey(NULL, &p, len);
        assert_non_null(read);
        if (EVP_PKEY_get0_provider(read) != NULL)
            assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(read)), "default");
        OPENSSL_free(der);
        EVP_PKEY_free(read);
        if (i != 1)
            EVP_PKEY_free(software);
    }
    EVP_PKEY_free(key);
}

static void test_the_private_half_is_not_to_be_had(void **s)
{
    state *st = *s;
    token t = {.key = st->ec};
    EVP_PKEY *key = bridge(st, &t);
    estuary_secret *pem = NULL;
    BIGNUM *d = NULL;
    assert_int_not_equal(estuary_key_to_pem(key, NULL, &pem, st->err), ESTUARY_OK);
    assert_null(pem);
    assert_int_equal(EVP_PKEY_get_bn_param(key, "priv", &d), 0);
    assert_null(d);
    ERR_clear_error();
    EVP_PKEY_free(key);
}

/* Parameters alone are no key: they equal none, the one they came from included. */
static void test_parameters_equal_no_key(void **s)
{
    state *st = *s;
    token t = {.key = st->ec};
    EVP_PKEY *key = bridge(st, &t), *empty = EVP_PKEY_new();
    assert_int_equal(EVP_PKEY_copy_parameters(empty, key), 1);
    assert_int_not_equal(EVP_PKEY_eq(empty, key), 1);
    assert_int_not_equal(EVP_PKEY_eq(key, empty), 1);
    ERR_clear_error();
    EVP_PKEY_free(empty);
    EVP_PKEY_free(key);
}

static CMS_ContentInfo *sealed_for(X509 *cert, bool oaep, const char *text)
{
    BIO *in = BIO_new_mem_buf(text, -1);
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), CMS_PARTIAL);
    CMS_RecipientInfo *info = CMS_add1_recipient_cert(cms, cert, oaep ? CMS_KEY_PARAM : 0);
    assert_non_null(info);
    if (oaep) {
        EVP_PKEY_CTX *pctx = CMS_RecipientInfo_get0_pkey_ctx(info);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_OAEP_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(pctx, EVP_sha256()), 1);
    }
    assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
    BIO_free(in);
    return cms;
}

static void test_opens_cms(void **s)
{
    state *st = *s;
    static const char text[] = "a server-generated key";
    const struct {
        EVP_PKEY *key;
        bool oaep;
    } rows[] = {{st->rsa, false}, {st->rsa, true}, {st->ec, false}, {st->ec384, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        token t = {.key = rows[i].key};
        EVP_PKEY *key = bridge(st, &t);
        X509 *cert = small_root(rows[i].key, "Recipient");
        CMS_ContentInfo *cms = sealed_for(cert, rows[i].oaep, text);
        BIO *out = BIO_new(BIO_s_mem());
        char *opened = NULL;
        assert_int_equal(CMS_decrypt(cms, key, cert, NULL, out, CMS_BINARY), 1);
        assert_int_equal(BIO_get_mem_data(out, &opened), sizeof(text) - 1);
        assert_memory_equal(opened, text, sizeof(text) - 1);
        assert_int_equal(t.opened + t.derived, 1);
        BIO_free(out);
        CMS_ContentInfo_free(cms);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
}

static void test_signs_cms(void **s)
{
    state *st = *s;
    EVP_PKEY *const keys[] = {st->rsa, st->ec, st->ed25519};
    for (size_t i = 0; i < COUNT_OF(keys) - 1; i++) { /* OpenSSL 3.0 has no Ed25519 in CMS */
        token t = {.key = keys[i]};
        EVP_PKEY *key = bridge(st, &t);
        X509 *cert = small_root(keys[i], "Signer");
        BIO *in = BIO_new_mem_buf("what is signed", -1);
        CMS_ContentInfo *cms = CMS_sign(cert, key, NULL, in, CMS_BINARY);
        assert_non_null(cms);
        assert_int_equal(CMS_verify(cms, NULL, NULL, NULL, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
        assert_int_equal(t.signed_times, 1);
        CMS_ContentInfo_free(cms);
        BIO_free(in);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
}

static int accept_all(int ok, X509_STORE_CTX *ctx)
{
    (void)ok, (void)ctx;
    return 1;
}

/* A whole handshake in memory, the signer's key as the client's. */
static bool shake_hands(EVP_PKEY *client_key, X509 *client_cert, EVP_PKEY *server_key, X509 *server_cert,
                        int version, unsigned long *first_error)
{
    SSL_CTX *server_ctx = SSL_CTX_new(TLS_server_method()), *client_ctx = SSL_CTX_new(TLS_client_method());
    BIO *a = NULL, *b = NULL;
    bool done = false;
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    assert_int_equal(SSL_CTX_use_certificate(server_ctx, server_cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_ctx, server_key), 1);
    SSL_CTX_set_verify(server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_all);
    assert_int_equal(SSL_CTX_set_max_proto_version(server_ctx, version), 1);
    assert_int_equal(SSL_CTX_use_certificate(client_ctx, client_cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(client_ctx, client_key), 1);
    assert_int_equal(SSL_CTX_check_private_key(client_ctx), 1);
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    SSL_set_bio(server, a, a);
    SSL_set_bio(client, b, b);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    ERR_clear_error();
    for (int i = 0; i < 20 && !done; i++) {
        int one = SSL_do_handshake(client), other = SSL_do_handshake(server);
        done = one == 1 && other == 1;
        if (*first_error == 0)
            *first_error = ERR_peek_error();
    }
    if (done) {
        X509 *seen = SSL_get0_peer_certificate(server);
        assert_non_null(seen);
        assert_int_equal(X509_cmp(seen, client_cert), 0);
    }
    ERR_clear_error();
    SSL_free(server);
    SSL_free(client);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    return done;
}

static void test_tls_client_authentication(void **s)
{
    state *st = *s;
    EVP_PKEY *const keys[] = {st->ec, st->ec384, st->rsa, st->ed25519, st->ed448};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    X509 *root = small_root(st->ec, "Root");
    X509_NAME *name = small_name("Server");
    X509 *server_cert = small_issue(root, st->ec, &(small_cert){.subject = name, .key = st->ec});
    for (size_t i = 0; i < COUNT_OF(keys) * 2; i++) {
        token t = {.key = keys[i / 2]};
        unsigned long first = 0;
        EVP_PKEY *key = bridge(st, &t);
        X509 *cert = small_issue(root, st->ec, &(small_cert){.subject = name, .key = keys[i / 2]});
        assert_true(shake_hands(key, cert, st->ec, server_cert, versions[i % 2], &first));
        assert_int_equal(t.signed_times, 1);
        t.fault = FAULT_BAD_SIGNATURE;
        assert_false(shake_hands(key, cert, st->ec, server_cert, versions[i % 2], &first));
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    X509_NAME_free(name);
    X509_free(root);
    X509_free(server_cert);
}

static void test_what_a_key_cannot_do(void **s)
{
    state *st = *s;
    estuary_signer only_signs = {.size = sizeof(only_signs), .sign = token_sign};
    token t = {.key = st->rsa};
    EVP_PKEY *key = NULL;
    uint8_t in[256] = {0}, out[256];
    size_t len = sizeof(out);
    assert_ok(estuary_key_from_signer(st->rsa, &only_signs, &t, &key, st->err), st->err);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_not_equal(
        EVP_PKEY_decrypt_init(context) == 1 && EVP_PKEY_decrypt(context, out, &len, in, sizeof(in)) == 1, 1);
    assert_failed(est_fail_openssl(st->err, EST_CRYPTO, NULL), st->err, "key.operation");
    assert_string_equal(estuary_error_message(st->err), "the key cannot decrypt");
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    assert_int_equal(t.freed, 0);
}

static void test_refusals(void **s)
{
    state *st = *s;
    token t = {.key = st->ec};
    EVP_PKEY *key = NULL, *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    estuary_signer none = {.size = sizeof(none)}, old = whole;
    old.size = offsetof(estuary_signer, sign);
    assert_failed(estuary_key_from_signer(NULL, &whole, &t, &key, st->err), st->err, "usage.argument");
    assert_failed(estuary_key_from_signer(st->ec, NULL, &t, &key, st->err), st->err, "usage.argument");
    assert_failed(estuary_key_from_signer(st->ec, &none, &t, &key, st->err), st->err, "usage.argument");
    assert_failed(estuary_key_from_signer(st->ec, &old, &t, &key, st->err), st->err, "usage.argument");
    assert_failed(estuary_key_from_signer(x25519, &whole, &t, &key, st->err), st->err,
                  "unsupported.signer-key");
    assert_null(key);
    assert_int_equal(t.freed, 0);
    EVP_PKEY_free(x25519);
}

static void test_signature_from_raw(void **s)
{
    state *st = *s;
    uint8_t raw[64], der[80];
    size_t len = sizeof(der);
    memset(raw, 0xff, sizeof(raw));
    raw[0] = 0; /* leading zeros go, and what looks negative gets one */
    raw[32] = 0x7f;
    assert_ok(estuary_signature_from_raw(raw, sizeof(raw), der, &len, st->err), st->err);
    static const uint8_t head[] = {0x30, 0x44, 0x02, 0x20, 0x00, 0xff};
    assert_int_equal(len, 70);
    assert_memory_equal(der, head, sizeof(head));
    len = 20;
    assert_failed(estuary_signature_from_raw(raw, sizeof(raw), der, &len, st->err), st->err,
                  "usage.argument");
    len = sizeof(der);
    assert_failed(estuary_signature_from_raw(raw, 63, der, &len, st->err), st->err, "key.signature");
    assert_failed(estuary_signature_from_raw(raw, 0, der, &len, st->err), st->err, "key.signature");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs_requests),
        cmocka_unit_test(test_rsa_pss),
        cmocka_unit_test(test_a_bad_signature_never_leaves),
        cmocka_unit_test(test_another_public_key),
        cmocka_unit_test(test_software_keys_stay_with_openssl),
        cmocka_unit_test(test_the_private_half_is_not_to_be_had),
        cmocka_unit_test(test_parameters_equal_no_key),
        cmocka_unit_test(test_opens_cms),
        cmocka_unit_test(test_signs_cms),
        cmocka_unit_test(test_tls_client_authentication),
        cmocka_unit_test(test_what_a_key_cannot_do),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_signature_from_raw),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
