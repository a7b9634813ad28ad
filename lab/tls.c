#include "lab.h"
#include "misbehave.h"

static bool set_versions(SSL_CTX *ctx, int pinned)
{
    const int min = pinned == 0 ? TLS1_2_VERSION : pinned;
    const int max = pinned == 0 ? TLS1_3_VERSION : pinned;
    return SSL_CTX_set_min_proto_version(ctx, min) == 1 && SSL_CTX_set_max_proto_version(ctx, max) == 1;
}

/* A client certificate is welcome, not required; the request decides what it may do without one. */
static bool set_client_trust(SSL_CTX *ctx, const struct ca *ca)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    if (X509_STORE_add_cert(store, ca->root) != 1 || SSL_CTX_add_client_CA(ctx, ca->root) != 1 ||
        SSL_CTX_add_client_CA(ctx, ca->issuing) != 1)
        return false;
    /* A client need not send the issuing certificate, which is ours. */
    if (X509_STORE_add_cert(store, ca->issuing) != 1)
        return false;
    /* Nor does a rollover make what the old CA issued worthless. */
    if (ca->old_root != NULL &&
        (X509_STORE_add_cert(store, ca->old_root) != 1 || X509_STORE_add_cert(store, ca->old_issuing) != 1 ||
         SSL_CTX_add_client_CA(ctx, ca->old_issuing) != 1))
        return false;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return true;
}

bool tls_use_chain(SSL_CTX *ctx, X509 *leaf, EVP_PKEY *key, STACK_OF(X509) *chain)
{
    return SSL_CTX_use_certificate(ctx, leaf) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
           SSL_CTX_set1_chain(ctx, chain) == 1;
}

SSL_CTX *tls_context(const struct door *door)
{
    struct lab *lab = door->lab;
    static const unsigned char id[] = "estuary-lab";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Without it a resumed session would not carry the client certificate over. */
    if (SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) != 1 ||
        !set_versions(ctx, lab->options.tls_version) || !set_client_trust(ctx, &lab->ca) ||
        !staple_use(lab, ctx) || !misbehave_context(door, ctx) || !misbehave_server_identity(door, ctx)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}
