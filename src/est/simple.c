/* The bodies of cacerts, csrattrs, simpleenroll and simplereenroll (RFC 7030 4.1, 4.2, 4.5). */
#include "est/exchange.h"

estuary_status est_simple_build(estuary_exchange *exchange, estuary_error *err)
{
    unsigned char *der = NULL;
    int len = est_request_encode(exchange->enrollment->request, &der);
    if (len <= 0)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    estuary_status status = est_exchange_set_body(exchange, der, (size_t)len, err);
    OPENSSL_free(der);
    return status;
}

static estuary_status read_certs(const estuary_exchange *exchange, const estuary_http_response *response,
                                 STACK_OF(X509) **certs, estuary_error *err)
{
    uint8_t *der = NULL;
    size_t len = 0;
    const est_operation *row = exchange->operation;
    estuary_status status =
        est_answer_decode(response, row->answer_type, row->smime_type, exchange->limits, &der, &len, err);
    if (status == ESTUARY_OK)
        status = est_certs_only_parse(der, len, exchange->limits, certs, err);
    est_free(der);
    return status;
}

estuary_status est_simple_read(estuary_exchange *exchange, const estuary_http_response *response,
                               estuary_error *err)
{
    STACK_OF(X509) *certs = NULL;
    estuary_status status = read_certs(exchange, response, &certs, err);
    if (status == ESTUARY_OK)
        status = est_enrollment_take_certs(exchange->enrollment, certs, err);
    sk_X509_pop_free(certs, X509_free);
    return status;
}

estuary_status est_cacerts_read(estuary_exchange *exchange, const estuary_http_response *response,
                                estuary_error *err)
{
    return read_certs(exchange, response, &exchange->certs, err);
}

estuary_status est_csrattrs_read(estuary_exchange *exchange, const estuary_http_response *response,
                                 estuary_error *err)
{
    uint8_t *der = NULL;
    size_t len = 0;
    estuary_status status = ESTUARY_OK;
    const est_operation *row = exchange->operation;
    if (response != NULL) /* else absent: RFC 7030 4.5.2 */
        status =
            est_answer_decode(response, row->answer_type, row->smime_type, exchange->limits, &der, &len, err);
    if (status == ESTUARY_OK)
        status = estuary_csr_attributes_parse(der, len, &exchange->attributes, err);
    est_free(der);
    return status;
}
