/* The request of /fullcmc (RFC 7030 4.3.1, RFC 5272 3.2), and what its enrolment remembers. */
#include "est/fullcmc.h"

#include <openssl/rand.h>
#include <string.h>

estuary_status est_cmc_new(const estuary_request *request, est_cmc **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    est_cmc *cmc = est_alloc(sizeof(*cmc));
    if (cmc == NULL)
        return est_fail_memory(err);
    /* RFC 5272 6.6: the client makes it and keeps it to the end */
    if (RAND_bytes(cmc->transaction, sizeof(cmc->transaction)) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO_RANDOM, NULL);
    cmc->crmf = request->cmc_crmf;
    cmc->secret = estuary_secret_up_ref(request->cmc_secret);
    cmc->proof = cmc->secret != NULL;
    cmc->identity = est_strdup(request->cmc_identity);
    if (request->cmc_identity != NULL && cmc->identity == NULL)
        EST_TRY(est_fail_memory(err));
    *out = cmc;
    cmc = NULL;
cleanup:
    est_cmc_free(cmc);
    return status;
}

static void drop_signer(est_cmc *cmc)
{
    X509_free(cmc->signer.certificate);
    sk_X509_pop_free((STACK_OF(X509) *)cmc->signer.chain, X509_free);
    EVP_PKEY_free(cmc->signer.key);
    memset(&cmc->signer, 0, sizeof(cmc->signer));
}

void est_cmc_free(est_cmc *cmc)
{
    if (cmc == NULL)
        return;
    est_free(cmc->identity);
    estuary_secret_free(cmc->secret);
    drop_signer(cmc);
    estuary_anchors_free(cmc->anchors);
    sk_X509_pop_free(cmc->helpers, X509_free);
    OPENSSL_free(cmc->message);
    OPENSSL_free(cmc->pend_token);
    OPENSSL_free(cmc->server_nonce);
    sk_X509_pop_free(cmc->published, X509_free);
    est_free(cmc);
}

void est_cmc_forget_message(est_cmc *cmc)
{
    if (cmc == NULL)
        return;
    OPENSSL_free(cmc->message);
    cmc->message = NULL;
    cmc->message_len = 0;
}

estuary_status estuary_request_set_cmc_body(estuary_request *request, estuary_cmc_body body,
                                            estuary_error *err)
{
    if (body != ESTUARY_CMC_BODY_PKCS10 && body != ESTUARY_CMC_BODY_CRMF)
        return est_fail(err, EST_USAGE, "there is no such body of a CMC request");
    request->cmc_crmf = body == ESTUARY_CMC_BODY_CRMF;
    return ESTUARY_OK;
}

/* Replaces both; `secret` is immutable, so a reference is a copy. */
static estuary_status replace_secret(char **old_identity, estuary_secret **old_secret, const char *identity,
                                     const estuary_secret *secret, estuary_error *err)
{
    size_t len = 0;
    (void)estuary_secret_get0(secret, &len);
    if (len == 0)
        return est_fail(err, EST_USAGE, "the shared secret of a CMC request is empty");
    if (identity != NULL && (*identity == '\0' || strlen(identity) > EST_CMC_IDENTITY_MAX))
        return est_fail(err, EST_USAGE, "the identification of a CMC request has 1 to %d bytes",
                        EST_CMC_IDENTITY_MAX);
    char *copy = est_strdup(identity);
    if (identity != NULL && copy == NULL)
        return est_fail_memory(err);
    est_free(*old_identity);
    estuary_secret_free(*old_secret);
    *old_identity = copy;
    *old_secret = estuary_secret_up_ref((estuary_secret *)secret);
    return ESTUARY_OK;
}

estuary_status estuary_request_set_cmc_secret(estuary_request *request, const char *identity,
                                              const estuary_secret *secret, estuary_error *err)
{
    return replace_secret(&request->cmc_identity, &request->cmc_secret, identity, secret, err);
}

static estuary_status need_cmc(const estuary_enrollment *enrollment, estuary_error *err)
{
    return enrollment->cmc == NULL ? est_fail(err, EST_USAGE, "this is no enrolment over fullcmc")
                                   : ESTUARY_OK;
}

estuary_status estuary_enrollment_set_cmc_secret(estuary_enrollment *enrollment, const char *identity,
                                                 const estuary_secret *secret, estuary_error *err)
{
    estuary_status status = need_cmc(enrollment, err);
    if (status != ESTUARY_OK)
        return status;
    est_cmc *cmc = enrollment->cmc;
    status = replace_secret(&cmc->identity, &cmc->secret, identity, secret, err);
    cmc->proof = cmc->proof || cmc->secret != NULL;
    return status;
}

estuary_status estuary_enrollment_set_cmc_signer(estuary_enrollment *enrollment, X509 *certificate,
                                                 const STACK_OF(X509) *chain, EVP_PKEY *key,
                                                 estuary_error *err)
{
    estuary_status status = need_cmc(enrollment, err);
    STACK_OF(X509) *copy = NULL;
    if (status != ESTUARY_OK)
        return status;
    if (certificate == NULL || key == NULL)
        return est_fail(err, EST_USAGE, "a CMC request is signed with a certificate and its key");
    if (chain != NULL) {
        copy = X509_chain_up_ref((STACK_OF(X509) *)chain);
        if (copy == NULL)
            return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    drop_signer(enrollment->cmc);
    enrollment->cmc->signer.chain = copy;
    if (X509_up_ref(certificate) != 1)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    enrollment->cmc->signer.certificate = certificate;
    if (EVP_PKEY_up_ref(key) != 1)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    enrollment->cmc->signer.key = key;
    return ESTUARY_OK;
}

estuary_status estuary_enrollment_set_cmc_trust(estuary_enrollment *enrollment,
                                                const estuary_anchors *anchors, const STACK_OF(X509) *helpers,
                                                bool vouches, estuary_error *err)
{
    estuary_status status = need_cmc(enrollment, err);
    STACK_OF(X509) *copy = NULL;
    if (status != ESTUARY_OK)
        return status;
    if (anchors == NULL)
        return est_fail(err, EST_USAGE_NO_TRUST, NULL);
    if (helpers != NULL) {
        copy = X509_chain_up_ref((STACK_OF(X509) *)helpers);
        if (copy == NULL)
            return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    est_cmc *cmc = enrollment->cmc;
    estuary_anchors_free(cmc->anchors);
    sk_X509_pop_free(cmc->helpers, X509_free);
    cmc->anchors = estuary_anchors_up_ref(anchors);
    cmc->helpers = copy;
    cmc->vouches = vouches;
    return ESTUARY_OK;
}

/* Signed by the client's certificate, or by the key to be certified when there is none (RFC 5272 3.2). */
static estuary_status sign(const estuary_enrollment *e, const uint8_t *data, size_t data_len, uint8_t **out,
                           size_t *len, estuary_error *err)
{
    const est_cmc *cmc = e->cmc;
    if (cmc->signer.key != NULL)
        return est_cmc_sign(data, data_len, &cmc->signer, out, len, err);
    if (e->key == NULL)
        return est_fail(err, EST_USAGE,
                        "a request signed elsewhere needs a client certificate to sign the CMC message");
    return est_cmc_sign_with_request_key(data, data_len, e->request, e->key, out, len, err);
}

static estuary_status make_message(estuary_enrollment *e, uint8_t **out, size_t *len, estuary_error *err)
{
    est_cmc *cmc = e->cmc;
    uint8_t *data = NULL;
    size_t data_len = 0;
    bool query = cmc->pend_token != NULL;
    if (RAND_bytes(cmc->nonce, sizeof(cmc->nonce)) != 1)
        return est_fail_openssl(err, EST_CRYPTO_RANDOM, NULL);
    cmc->nonce_len = sizeof(cmc->nonce);
    est_cmc_request request = {.request = query ? NULL : e->request,
                               .key = e->key,
                               .crmf = cmc->crmf,
                               .transaction = cmc->transaction,
                               .nonce = cmc->nonce,
                               .recipient_nonce = cmc->server_nonce,
                               .recipient_nonce_len = cmc->server_nonce_len,
                               .pend_token = cmc->pend_token,
                               .pend_token_len = cmc->pend_token_len,
                               .identity = cmc->identity,
                               .secret = cmc->secret};
    estuary_status status = est_cmc_request_encode(&request, &data, &data_len, err);
    if (status == ESTUARY_OK)
        status = sign(e, data, data_len, out, len, err);
    OPENSSL_free(data);
    return status;
}

/* RFC 5272 6.13: what is pending is asked for by its token, in a new message of the same transaction */
static estuary_status build_query(estuary_exchange *x, estuary_error *err)
{
    uint8_t *message = NULL;
    size_t len = 0;
    estuary_status status = make_message(x->enrollment, &message, &len, err);
    if (status == ESTUARY_OK)
        status = est_exchange_set_body(x, message, len, err);
    OPENSSL_free(message);
    return status;
}

estuary_status est_fullcmc_build(estuary_exchange *exchange, estuary_error *err)
{
    est_cmc *cmc = exchange->enrollment->cmc;
    if (cmc->pend_token != NULL)
        return build_query(exchange, err);
    if (cmc->crmf && exchange->enrollment->bound)
        return est_fail(err, EST_USAGE, "a CRMF body has no place for a binding to the TLS session");
    /* E7: what is sent again is the same, byte for byte */
    if (cmc->message == NULL) {
        /* no secret is kept on disk; without it the proof would be missing, and nobody would see why */
        if (cmc->proof && cmc->secret == NULL)
            return est_fail(err, EST_USAGE, "the CMC request needs the shared secret again");
        estuary_status status = make_message(exchange->enrollment, &cmc->message, &cmc->message_len, err);
        if (status != ESTUARY_OK)
            return status;
    }
    return est_exchange_set_body(exchange, cmc->message, cmc->message_len, err);
}

estuary_cmc_status estuary_enrollment_cmc_status(const estuary_enrollment *enrollment)
{
    return enrollment->cmc == NULL ? ESTUARY_CMC_NONE : enrollment->cmc->status;
}

const STACK_OF(X509) *estuary_enrollment_get0_published_anchors(const estuary_enrollment *enrollment)
{
    return enrollment->cmc == NULL ? NULL : enrollment->cmc->published;
}

int64_t estuary_enrollment_published_sequence(const estuary_enrollment *enrollment)
{
    return enrollment->cmc == NULL ? 0 : enrollment->cmc->published_sequence;
}

estuary_status estuary_enrollment_confirm_published(const estuary_enrollment *enrollment,
                                                    const char *const *fingerprints, size_t n,
                                                    estuary_anchors **out, estuary_error *err)
{
    const est_cmc *cmc = enrollment->cmc;
    *out = NULL;
    if (cmc == NULL || cmc->published == NULL)
        return est_fail(err, EST_USAGE, "no trust anchors were published");
    if (n == 0 && cmc->published_vouched)
        return estuary_anchors_from_certs(cmc->published, out, err);
    return est_anchors_confirm(cmc->published, fingerprints, n, out, err);
}
