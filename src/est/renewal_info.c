/* GET renewal-info/ID (draft-ietf-lamps-est-renewal-info). */
#include "est/exchange.h"

#include <string.h>

estuary_status estuary_exchange_new_renewal_info(const estuary_server *server, const X509 *certificate,
                                                 const estuary_limits *limits, estuary_exchange **out,
                                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char *id = NULL, *url = NULL;
    estuary_exchange *x = NULL;
    *out = NULL;
    if (certificate == NULL)
        EST_FAIL(EST_USAGE, "renewal-info is about a certificate, and there is none");
    EST_TRY(estuary_renewal_info_id(certificate, &id, err));
    EST_TRY(estuary_exchange_new(ESTUARY_OP_RENEWAL_INFO, server, NULL, limits, &x, err));
    url = est_printf("%s/%s", x->url, id);
    if (url == NULL)
        EST_TRY(est_fail_memory(err));
    est_free(x->url);
    x->url = url;
    x->names_certificate = true;
    *out = x;
    x = NULL;
cleanup:
    estuary_exchange_free(x);
    est_free(id);
    return status;
}

estuary_status est_renewal_info_build(estuary_exchange *exchange, estuary_error *err)
{
    return exchange->names_certificate
               ? ESTUARY_OK
               : est_fail(err, EST_USAGE, "renewal-info needs estuary_exchange_new_renewal_info()");
}

/* The answer is no base64: RFC 8951 3.1 has it for RFC 7030's own bodies only. */
estuary_status est_renewal_info_read(estuary_exchange *exchange, const estuary_http_response *response,
                                     estuary_error *err)
{
    time_t at = 0;
    if (response == NULL) /* the server has no such thing, or nothing to say about this certificate */
        return ESTUARY_OK;
    estuary_status status = est_answer_check_type(response, exchange->operation->answer_type, NULL, err);
    if (status != ESTUARY_OK)
        return status;
    if (est_answer_retry_at(response, exchange->limits, exchange->now, &at, NULL) != ESTUARY_OK)
        at = 0;
    return estuary_renewal_info_parse(response->body.data, response->body.len, at, &exchange->renewal_info,
                                      err);
}

const estuary_renewal_info *estuary_exchange_get0_renewal_info(const estuary_exchange *exchange)
{
    return exchange->renewal_info;
}

estuary_renewal_info *est_exchange_take_renewal_info(estuary_exchange *exchange)
{
    estuary_renewal_info *info = exchange->renewal_info;
    exchange->renewal_info = NULL;
    return info;
}
