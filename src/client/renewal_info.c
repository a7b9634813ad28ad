/* renewal-info over HTTPS (draft-ietf-lamps-est-renewal-info). */
#include "client/client.h"

/* "Clients MUST NOT check a certificate's RenewalInfo after the certificate has expired." */
static bool is_over(const X509 *certificate)
{
    time_t after = 0;
    return certificate != NULL && est_asn1_time(X509_get0_notAfter(certificate), &after) && after < est_now();
}

/* No advice is no failure; what is odd about the server is for the log. */
static bool is_no_advice(const estuary_client *client, const estuary_error *err)
{
    est_code code = est_error_code_of(err);
    if (code != EST_CERT_NO_KEY_ID && code != EST_PROTOCOL_RENEWAL_WINDOW)
        return false;
    est_log(client->config->log, ESTUARY_LOG_WARNING, "renewal-info.unusable", estuary_error_message(err),
            "server", estuary_server_url(client->config->server), NULL);
    return true;
}

static estuary_status ask(estuary_client *client, const X509 *certificate, estuary_renewal_info **out,
                          estuary_error *err)
{
    estuary_exchange *exchange = NULL;
    estuary_next next = ESTUARY_NEXT_FAILED;
    estuary_status status = estuary_exchange_new_renewal_info(client->config->server, certificate,
                                                              client->config->limits, &exchange, err);
    if (status == ESTUARY_OK)
        status = est_client_drive_exchange(client, ESTUARY_OP_RENEWAL_INFO, exchange, &next, err);
    if (status == ESTUARY_OK)
        *out = est_exchange_take_renewal_info(exchange);
    estuary_exchange_free(exchange);
    return status;
}

estuary_status estuary_client_renewal_info(estuary_client *client, const X509 *certificate,
                                           estuary_renewal_info **out, estuary_error *err)
{
    *out = NULL;
    if (is_over(certificate))
        return ESTUARY_OK;
    estuary_error *own =
        err == NULL ? estuary_error_new() : err; /* its code tells no advice from a failure */
    estuary_status status = ask(client, certificate, out, own);
    if (status != ESTUARY_OK && is_no_advice(client, own))
        status = ESTUARY_OK;
    if (own != err)
        estuary_error_free(own);
    return status;
}
