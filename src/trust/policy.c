/* The TLS policy, put on an SSL_CTX that somebody else (libcurl) has made. */
#include "trust/session.h"

#include "key/key.h"

/*
 * T1. Forward secrecy and AEAD first; CBC only with SHA-2 for servers that have TLS 1.2 alone. No RSA key
 * transport (RFC 9325 4.1), so every server signs the session with its key. RFC 7030 3.3: no NULL, no
 * anonymous and no export suites.
 */
#define CIPHERS                                                                                              \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AESCCM:ECDHE+AES"                             \
    ":!aNULL:!eNULL:!kRSA:!PSK:!SRP:!aDSS:!MD5:!SHA1:!RC4:!3DES"
#define CIPHERSUITES      "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define FIPS_CIPHERSUITES "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
#define FIPS_GROUPS       "P-256:P-384:P-521"
#define SECURITY_LEVEL    2

/* What libcurl or an openssl.cnf may have switched on and we do not want. */
#define UNWANTED                                                                                             \
    (SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |                               \
     SSL_OP_ALLOW_CLIENT_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_EXTENDED_MASTER_SECRET |   \
     SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3 |          \
     SSL_OP_CRYPTOPRO_TLSEXT_BUG | SSL_OP_ENABLE_KTLS)
/* A renegotiation would break the channel binding (RFC 7030 3.5) and could change the server. */
#define WANTED (SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CLEANSE_PLAINTEXT)

static bool set_protocol(SSL_CTX *ctx, bool fips)
{
    SSL_CTX_clear_options(ctx, UNWANTED);
    SSL_CTX_set_options(ctx, WANTED);
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1)
        return false;
    /* T11: no ChaCha20 and no X25519 in FIPS mode; the provider lacks them, we do not even offer them */
    if (fips)
        return SSL_CTX_set_cipher_list(ctx, CIPHERS ":!CHACHA20") == 1 &&
               SSL_CTX_set_ciphersuites(ctx, FIPS_CIPHERSUITES) == 1 &&
               SSL_CTX_set1_groups_list(ctx, FIPS_GROUPS) == 1;
    return SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 && SSL_CTX_set_ciphersuites(ctx, CIPHERSUITES) == 1;
}

/* No resumption: a resumed session would bring back an identity that was shown earlier. */
static void set_habits(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_sess_set_new_cb(ctx, NULL);
    SSL_CTX_set_keylog_callback(ctx, NULL); /* libcurl honours SSLKEYLOGFILE */
    SSL_CTX_set_post_handshake_auth(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
}

/* The store that libcurl loaded is dropped: nothing may be trusted by accident. */
static bool set_verification(SSL_CTX *ctx, est_session *session)
{
    X509_STORE *empty = X509_STORE_new();
    if (empty == NULL)
        return false;
    SSL_CTX_set_cert_store(ctx, empty);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, est_peer_check, session);
    SSL_CTX_set_cert_cb(ctx, est_identity_wanted, session);
    return est_session_attach(ctx, session) && est_staple_request(ctx, session);
}

static bool knows_trust(const est_session *session)
{
    return session != NULL && session->trust != NULL &&
           (session->trust->accept_any || (session->trust->anchors != NULL && session->trust->host != NULL));
}

estuary_status est_trust_prepare(SSL_CTX *ctx, est_session *session, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (ctx == NULL || !knows_trust(session))
        EST_FAIL(EST_USAGE_NO_TRUST, NULL);
    const est_trust *trust = session->trust;
    est_session_reset(session);
    if (trust->fips && trust->identity_key != NULL && !est_key_is_fips_approved(trust->identity_key))
        EST_FAIL(EST_UNSUPPORTED_FIPS_ALGORITHM, "the key of our client certificate is not approved by FIPS");
    set_habits(ctx);
    if (!set_protocol(ctx, trust->fips) || !set_verification(ctx, session))
        EST_FAIL_OPENSSL(EST_CRYPTO, "TLS cannot be set up");
    /* T4: whoever answers an unverified session must not learn who we are */
    if (!trust->accept_any && trust->identity != NULL)
        EST_TRY(est_identity_install(ctx, trust, err));
cleanup:
    return status;
}
