/* What the server stapled (RFC 6066 8), handed to whoever judges revocation, inside the handshake (R3). */
#include "trust/session.h"

#include <openssl/tls1.h>

static estuary_status ask(const est_trust *trust, SSL *ssl, estuary_error *err)
{
    const uint8_t *staple = NULL;
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    long len = SSL_get_tlsext_status_ocsp_resp(ssl, &staple);
    size_t size = 0;
    if (chain == NULL)
        return est_fail(err, EST_TRUST, NULL);
    if (staple == NULL || len <= 0 || !est_int_to_size(len, &size))
        staple = NULL;
    return trust->check_chain(trust->check_arg, chain, staple, staple == NULL ? 0 : size, err);
}

/*
 * Called with and without a staple, in TLS 1.2 and 1.3, before our side finishes: nothing has been sent yet.
 */
int est_staple_check(SSL *ssl, void *arg)
{
    est_session *session = arg;
    const est_trust *trust = session->trust;
    if (trust == NULL || !session->accepted)
        return 0;
    if (trust->accept_any)
        return 1;
    estuary_error *refusal = estuary_error_new();
    if (refusal != NULL && ask(trust, ssl, refusal) == ESTUARY_OK) {
        estuary_error_free(refusal);
        session->chain_checked = true;
        return 1;
    }
    session->accepted = false;
    estuary_error_free(session->refusal);
    session->refusal = refusal;
    return 0;
}

bool est_staple_request(SSL_CTX *ctx, est_session *session)
{
    if (session->trust->check_chain == NULL || session->trust->accept_any)
        return true;
    return SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp) == 1 &&
           SSL_CTX_set_tlsext_status_cb(ctx, est_staple_check) == 1 &&
           SSL_CTX_set_tlsext_status_arg(ctx, session) == 1;
}

bool est_session_is_trusted(const est_session *session)
{
    if (!session->accepted)
        return false;
    return session->chain_checked || session->trust == NULL || session->trust->check_chain == NULL ||
           session->trust->accept_any;
}
