/* OCSP stapling by the lab's TLS server. RFC 6066 8, RFC 8446 4.4.2.1 */
#include "misbehave.h"
#include "revocation.h"

#include <openssl/err.h>
#include <string.h>

static bool make_staple(const struct lab *lab, X509 *certificate, struct bytes *der)
{
    const struct misbehaviour *lie = control_choice(lab, OP_STAPLE);
    struct ocsp_plan plan;
    const bool ok = ocsp_plan(lab, NULL, certificate, &plan) &&
                    (lie == NULL || lie->ocsp == NULL || lie->ocsp(lab, &plan, lie)) &&
                    ocsp_encode(&plan, der) &&
                    (lie == NULL || lie->body == NULL || lie->body(NULL, der, lie));
    ocsp_plan_clear(&plan);
    return ok;
}

/* Made for each handshake, so that what was revoked a moment ago is told at once. */
static int staple(SSL *ssl, void *arg)
{
    struct bytes der = {0};
    unsigned char *copy = NULL;
    int verdict = SSL_TLSEXT_ERR_NOACK;
    X509 *certificate = SSL_get_certificate(ssl);
    if (certificate == NULL || !make_staple(arg, certificate, &der) || der.len == 0)
        goto cleanup;
    copy = OPENSSL_memdup(der.data, der.len);
    if (copy != NULL && SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)der.len) == 1)
        verdict = SSL_TLSEXT_ERR_OK;
    else
        OPENSSL_free(copy);
cleanup:
    bytes_clear(&der);
    ERR_clear_error();
    return verdict;
}

bool staple_use(struct lab *lab, SSL_CTX *ctx)
{
    if (!lab->options.staple)
        return true;
    return SSL_CTX_set_tlsext_status_cb(ctx, staple) == 1 && SSL_CTX_set_tlsext_status_arg(ctx, lab) == 1;
}
