/* The answers of /fullcmc (RFC 7030 4.3.2, RFC 5272 4): the signer is judged before anything is read. */
#include "est/fullcmc.h"

#include <openssl/crypto.h>
#include <string.h>

#define PKCS7          "application/pkcs7-mime"
#define CERTS_ONLY     "certs-only"
#define CMC_RESPONSE   "cmc-response"
#define NEAR_SECONDS   86400 /* RFC 5272 6.15: the time of signing is "near to the current time" */
#define WITHOUT_INFO_S 60    /* RFC 5272 6.13: pendInfo may be left out; then nobody says when */

/* What the header says it is; NULL: nothing, so the content decides (RFC 8951 3.2). */
static const char *smime_type(const estuary_http_response *response)
{
    est_media_type media;
    const char *type = est_response_header(response, "Content-Type");
    if (type == NULL || !est_media_type_parse(type, &media))
        return NULL;
    if (strcmp(media.smime_type, CMC_RESPONSE) == 0)
        return CMC_RESPONSE;
    return media.smime_type[0] == '\0' ? NULL : CERTS_ONLY;
}

/* Signature, signer, transaction and nonce: what passes this is believed. */
static estuary_status read_full(estuary_exchange *x, const uint8_t *der, size_t len, STACK_OF(X509) **certs,
                                est_cmc_response *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_cmc *cmc = x->enrollment->cmc;
    est_cmc_signed message = {0};
    STACK_OF(X509) *known = NULL;
    bool proven = false;
    memset(out, 0, sizeof(*out));
    *certs = NULL;
    if (cmc->anchors == NULL)
        EST_FAIL(EST_USAGE_NO_TRUST, "nobody said whose CMC responses are to be believed");
    known = est_fullcmc_known_certs(cmc);
    if (known == NULL)
        EST_TRY(est_fail_memory(err));
    EST_TRY(est_cmc_open(der, len, known, x->limits, &message, err));
    EST_TRY(est_fullcmc_judge(x->enrollment, &message, x->now, x->limits, &proven, err));
    EST_TRY(est_cmc_response_parse(message.content, message.content_len, cmc->transaction, cmc->nonce,
                                   cmc->nonce_len, message.certs, out, err));
    /* RFC 5272 6.15: a current anchor, a permitted signer, a time near to now */
    bool near = message.signed_at > x->now - NEAR_SECONDS && message.signed_at < x->now + NEAR_SECONDS;
    out->published_complete = out->published_complete && proven && near && cmc->vouches;
    *certs = message.certs;
    message.certs = NULL;
cleanup:
    sk_X509_free(known);
    est_cmc_signed_clear(&message);
    return status;
}

/* For the next message of the transaction, and for the caller. Moves what it keeps out of the response. */
static void remember(est_cmc *cmc, est_cmc_response *response)
{
    cmc->status = response->status;
    if (response->sender_nonce != NULL) {
        OPENSSL_free(cmc->server_nonce);
        cmc->server_nonce = response->sender_nonce;
        cmc->server_nonce_len = response->sender_nonce_len;
        response->sender_nonce = NULL;
    }
    bool pends = response->status == ESTUARY_CMC_PENDING || response->status == ESTUARY_CMC_PARTIAL;
    if (pends && response->pend_token != NULL) {
        OPENSSL_free(cmc->pend_token);
        cmc->pend_token = response->pend_token;
        cmc->pend_token_len = response->pend_token_len;
        response->pend_token = NULL;
    }
    if (response->published != NULL) {
        sk_X509_pop_free(cmc->published, X509_free);
        cmc->published = response->published;
        cmc->published_sequence = response->published_sequence;
        cmc->published_vouched = response->published_complete;
        response->published = NULL;
    }
}

/* RFC 5272 6.13 */
static estuary_status wait(estuary_exchange *x, const est_cmc_response *response, estuary_error *err)
{
    if (x->enrollment->cmc->pend_token == NULL)
        return est_fail(err, EST_PROTOCOL_CMC,
                        "the CMC response says pending, but gives no token to ask with");
    time_t at = response->pend_time == 0 ? x->now + WITHOUT_INFO_S : response->pend_time;
    time_t latest = x->now + (time_t)estuary_limits_get(x->limits, ESTUARY_LIMIT_RETRY_AFTER_SECONDS);
    if (at > latest)
        at = latest;
    if (at <= x->now)
        at = x->now + 1; /* a time in the past must not become a busy loop */
    return est_exchange_wait(x, at, err);
}

static estuary_status act(estuary_exchange *x, STACK_OF(X509) *certs, est_cmc_response *response,
                          estuary_error *err)
{
    remember(x->enrollment->cmc, response);
    switch (response->status) {
    case ESTUARY_CMC_SUCCESS:
        return est_enrollment_take_certs(x->enrollment, certs, err);
    case ESTUARY_CMC_PENDING:
    case ESTUARY_CMC_PARTIAL: /* we asked for one thing only, so nothing of it is there yet */
        return wait(x, response, err);
    default:
        est_cmc_forget_message(x->enrollment->cmc); /* the next try may have another secret */
        return est_cmc_response_fail(response, err);
    }
}

/* RFC 5272 4.1: certificates and nothing else; success is implied, and E8 decides about the certificate */
static estuary_status read_simple(estuary_exchange *x, const uint8_t *der, size_t len, estuary_error *err)
{
    STACK_OF(X509) *certs = NULL;
    estuary_status status = est_certs_only_parse(der, len, x->limits, &certs, err);
    if (status == ESTUARY_OK)
        status = est_enrollment_take_certs(x->enrollment, certs, err);
    sk_X509_pop_free(certs, X509_free);
    return status;
}

estuary_status est_fullcmc_read(estuary_exchange *exchange, const estuary_http_response *response,
                                estuary_error *err)
{
    uint8_t *der = NULL;
    size_t len = 0;
    STACK_OF(X509) *certs = NULL;
    est_cmc_response values = {0};
    const char *kind = smime_type(response);
    estuary_status status = est_answer_decode(response, PKCS7, kind, exchange->limits, &der, &len, err);
    if (status != ESTUARY_OK)
        return status;
    bool full = kind == NULL ? est_cmc_is_full_response(der, len) : strcmp(kind, CMC_RESPONSE) == 0;
    if (!full) {
        status = read_simple(exchange, der, len, err);
    } else {
        status = read_full(exchange, der, len, &certs, &values, err);
        if (status == ESTUARY_OK)
            status = act(exchange, certs, &values, err);
    }
    sk_X509_pop_free(certs, X509_free);
    est_cmc_response_clear(&values);
    est_free(der);
    return status;
}

/* Fills err with the reason when the body can be believed and gives one; else false. */
static bool told_why(estuary_exchange *x, const estuary_http_response *response, est_cmc_response *values,
                     estuary_error *why)
{
    uint8_t *der = NULL;
    size_t len = 0;
    STACK_OF(X509) *certs = NULL;
    bool believed =
        est_answer_decode(response, PKCS7, CMC_RESPONSE, x->limits, &der, &len, why) == ESTUARY_OK &&
        read_full(x, der, len, &certs, values, why) == ESTUARY_OK;
    sk_X509_pop_free(certs, X509_free);
    est_free(der);
    return believed && values->status > ESTUARY_CMC_PARTIAL;
}

estuary_status est_fullcmc_read_refusal(estuary_exchange *exchange, const estuary_http_response *response,
                                        estuary_error *err)
{
    est_cmc_response values = {0};
    est_media_type media;
    const char *type = est_response_header(response, "Content-Type");
    if (response->status == 401 || type == NULL || !est_media_type_parse(type, &media) ||
        strcmp(media.type, PKCS7) != 0)
        return est_answer_refusal(response, exchange->limits, exchange->now, err);
    estuary_error *why = estuary_error_new(); /* NULL only costs the words */
    estuary_status status;
    if (told_why(exchange, response, &values, why)) {
        time_t at = 0;
        exchange->enrollment->cmc->status = values.status;
        est_cmc_forget_message(exchange->enrollment->cmc);
        status = est_cmc_response_fail(&values, err);
        if (est_answer_retry_at(response, exchange->limits, exchange->now, &at, NULL) == ESTUARY_OK)
            est_error_set_retry_at(err, at);
    } else {
        status = est_answer_refusal(response, exchange->limits, exchange->now, err);
        est_error_set_detail(err, "the CMC response that came along was not believed: %s",
                             why == NULL ? "" : estuary_error_message(why));
    }
    est_cmc_response_clear(&values);
    estuary_error_free(why);
    return status;
}
