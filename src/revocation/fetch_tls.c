/* https for evidence: its peer's chain and name are checked, its revocation is not (R0). */
#include "revocation/checker.h"

static bool trust_whom(const estuary_revocation *checker, SSL_CTX *ctx)
{
    if (checker->anchors == NULL)
        return SSL_CTX_set_default_verify_paths(ctx) == 1;
    X509_STORE *store = est_anchors_get0_store(checker->anchors);
    return store != NULL && SSL_CTX_set1_verify_cert_store(ctx, store) == 1;
}

estuary_status est_fetch_prepare_tls(const estuary_revocation *checker, const char *host, SSL_CTX *ctx,
                                     estuary_error *err)
{
    SSL_CTX_set_keylog_callback(ctx, NULL); /* libcurl honours SSLKEYLOGFILE */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || !trust_whom(checker, ctx) ||
        !est_host_into_param(SSL_CTX_get0_param(ctx), host))
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    return ESTUARY_OK;
}
