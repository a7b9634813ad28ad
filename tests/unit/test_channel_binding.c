/* Both ends of a TLS session see the same channel binding (T10, RFC 5929, RFC 9266). */
#include "support.h"
#include "trust/trust.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#define BUFFER 65536

typedef struct pair {
    SSL_CTX *client_ctx, *server_ctx;
    SSL *client, *server;
} pair;

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -100));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 1000));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static void open_contexts(pair *p, int version, uint64_t client_options)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key);
    p->client_ctx = SSL_CTX_new(TLS_client_method());
    p->server_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_verify(p->client_ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_options(p->client_ctx, client_options);
    assert_int_equal(SSL_CTX_set_min_proto_version(p->client_ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(p->client_ctx, version), 1);
    assert_int_equal(SSL_CTX_use_certificate(p->server_ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(p->server_ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void shake(pair *p, SSL_SESSION *resumed)
{
    BIO *ours = NULL, *theirs = NULL;
    assert_int_equal(BIO_new_bio_pair(&ours, BUFFER, &theirs, BUFFER), 1);
    p->client = SSL_new(p->client_ctx);
    p->server = SSL_new(p->server_ctx);
    if (resumed != NULL)
        assert_int_equal(SSL_set_session(p->client, resumed), 1);
    SSL_set_bio(p->client, ours, ours);
    SSL_set_bio(p->server, theirs, theirs);
    SSL_set_connect_state(p->client);
    SSL_set_accept_state(p->server);
    for (int i = 0; i < 10 && !(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server)); i++) {
        (void)SSL_do_handshake(p->client);
        (void)SSL_do_handshake(p->server);
    }
    ERR_clear_error();
    assert_true(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server));
}

static void end(pair *p)
{
    (void)SSL_shutdown(p->client); /* else the session would not be resumed */
    SSL_free(p->client);
    SSL_free(p->server);
}

static void close_contexts(pair *p)
{
    SSL_CTX_free(p->client_ctx);
    SSL_CTX_free(p->server_ctx);
}

static void exporter(void **state)
{
    (void)state;
    pair p = {0};
    uint8_t ours[EST_CHANNEL_BINDING_MAX], theirs[32];
    size_t len = 0;
    open_contexts(&p, TLS1_3_VERSION, 0);
    shake(&p, NULL);
    assert_string_equal(est_channel_binding_type(p.client), "tls-exporter");
    assert_int_equal(est_channel_binding(p.client, ours, &len, NULL), ESTUARY_OK);
    assert_int_equal(len, 32);
    assert_int_equal(
        SSL_export_keying_material(p.server, theirs, 32, "EXPORTER-Channel-Binding", 24, NULL, 0, 1), 1);
    assert_memory_equal(ours, theirs, 32);
    end(&p);
    close_contexts(&p);
}

/* Resumed sessions are cheap: until one has a binding that begins with a zero byte, which text would end at.
 */
static void unique(void **state)
{
    (void)state;
    pair p = {0};
    uint8_t ours[EST_CHANNEL_BINDING_MAX], theirs[64];
    size_t len = 0;
    bool zero = false;
    open_contexts(&p, TLS1_2_VERSION, 0);
    shake(&p, NULL);
    assert_string_equal(est_channel_binding_type(p.client), "tls-unique");
    assert_int_equal(est_channel_binding(p.client, ours, &len, NULL), ESTUARY_OK);
    assert_int_equal(len, 12);
    assert_int_equal(SSL_get_peer_finished(p.server, theirs, sizeof(theirs)), 12);
    assert_memory_equal(ours, theirs, 12);
    SSL_SESSION *session = SSL_get1_session(p.client);
    end(&p);
    for (int i = 0; i < 20000 && !zero; i++) {
        shake(&p, session);
        assert_int_equal(SSL_session_reused(p.client), 1);
        assert_int_equal(est_channel_binding(p.client, ours, &len, NULL), ESTUARY_OK);
        assert_int_equal(len, 12);
        assert_int_equal(SSL_get_finished(p.server, theirs, sizeof(theirs)), 12);
        assert_memory_equal(ours, theirs, 12);
        zero = ours[0] == 0;
        end(&p);
    }
    assert_true(zero);
    SSL_SESSION_free(session);
    close_contexts(&p);
}

static void assert_refused(pair *p, const char *code)
{
    uint8_t out[EST_CHANNEL_BINDING_MAX];
    size_t len = 9;
    estuary_error *err = estuary_error_new();
    assert_int_equal(est_channel_binding(p->client, out, &len, err), ESTUARY_E_TLS);
    assert_string_equal(estuary_error_code(err), code);
    assert_int_equal(len, 0);
    estuary_error_free(err);
}

static void refusals(void **state)
{
    (void)state;
    pair p = {0};
    assert_refused(&p, "tls.channel-binding"); /* no session at all */
    open_contexts(&p, TLS1_2_VERSION, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    p.client = SSL_new(p.client_ctx);
    assert_refused(&p, "tls.channel-binding"); /* no handshake yet */
    SSL_free(p.client);
    shake(&p, NULL);
    assert_refused(&p, "tls.no-extended-master-secret");
    end(&p);
    close_contexts(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(exporter), cmocka_unit_test(unique),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
