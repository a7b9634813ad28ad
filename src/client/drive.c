#include "client/client.h"

#include <openssl/err.h>
#include <stdio.h>

struct sink {
    estuary_http_response *response;
};

static estuary_status on_status(void *arg, int status, estuary_error *err)
{
    struct sink *sink = arg;
    estuary_http_response_free(sink->response);
    sink->response = NULL;
    return estuary_http_response_new(status, &sink->response, err);
}

static estuary_status on_header(void *arg, const char *name, const char *value, estuary_error *err)
{
    struct sink *sink = arg;
    if (sink->response == NULL)
        return est_fail(err, EST_PROTOCOL_HTTP, NULL);
    return estuary_http_response_add_header(sink->response, name, value, err);
}

static estuary_status on_body(void *arg, const uint8_t *bytes, size_t len, estuary_error *err)
{
    struct sink *sink = arg;
    if (sink->response == NULL)
        return est_fail(err, EST_PROTOCOL_HTTP, NULL);
    return estuary_http_response_append_body(sink->response, bytes, len, err);
}

static estuary_status send_once(estuary_client *client, estuary_exchange *exchange,
                                estuary_http_response **out, estuary_error *err)
{
    const estuary_http_request *request = NULL;
    estuary_status status = estuary_exchange_request(exchange, NULL, 0, &request, err);
    if (status != ESTUARY_OK)
        return status;
    struct sink sink = {0};
    est_http_sink callbacks = {&sink, on_status, on_header, on_body};
    est_http_call call = {.method = estuary_http_request_method(request),
                          .url = estuary_http_request_url(request),
                          .content_type = estuary_http_request_content_type(request),
                          .accept = estuary_http_request_accept(request)};
    call.body = estuary_http_request_body(request, &call.body_len);
    status = est_http_perform(client->http, &call, &callbacks, err);
    if (status != ESTUARY_OK)
        status = est_trust_explain_failure(&client->session, status, err);
    else if (!client->session.accepted)
        status = est_fail(err, EST_TRUST, NULL); /* an answer from an unchecked session must never count */
    if (status != ESTUARY_OK) {
        estuary_http_response_free(sink.response);
        return status;
    }
    *out = sink.response;
    return ESTUARY_OK;
}

/* T6, E11: "refused" is another thing than "wanted and not given" */
static estuary_status refine(const estuary_client *client, estuary_status status, estuary_error *err)
{
    if (est_error_code_of(err) != EST_AUTH_REQUIRED || client->config->user == NULL)
        return status;
    int http_status = estuary_error_http_status(err);
    status = est_fail(err, EST_AUTH, "the server refused the user name or password");
    est_error_set_http_status(err, http_status);
    return status;
}

static void account(const estuary_client *client, const char *operation, estuary_status status,
                    const estuary_error *err)
{
    estuary_metrics *metrics = client->config->metrics;
    est_count(metrics, "operations_total");
    if (status == ESTUARY_OK)
        return;
    est_count(metrics, "operations_failed_total");
    if (status == ESTUARY_E_AUTH)
        est_count(metrics, "auth_failures_total");
    if (status == ESTUARY_E_TLS || status == ESTUARY_E_TRUST)
        est_count(metrics, "tls_failures_total");
    if (status == ESTUARY_E_CERTIFICATE)
        est_count(metrics, "certificate_failures_total");
    est_log(client->config->log, ESTUARY_LOG_AUDIT, "operation.failed", estuary_error_message(err),
            "operation", operation, "code", estuary_error_code(err), "server",
            estuary_server_url(client->config->server), NULL);
    if (estuary_error_detail(err)[0] != '\0')
        est_log(client->config->log, ESTUARY_LOG_DEBUG, "operation.detail", estuary_error_detail(err), NULL);
}

static void log_answer(const estuary_client *client, const estuary_exchange *exchange, int http_status)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", http_status);
    est_log(client->config->log, ESTUARY_LOG_INFO, "http.answer", "the server answered", "url",
            est_exchange_url(exchange), "status", number, "tls", client->session.version, NULL);
    est_log(client->config->log, ESTUARY_LOG_DEBUG, "tls.session", "the session the answer came over",
            "version", client->session.version, "cipher", client->session.cipher, "client_certificate",
            client->trust.identity == NULL              ? "none"
            : client->session.client_certificate_wanted ? "sent"
                                                        : "not asked for",
            NULL);
}

static estuary_status run(estuary_client *client, estuary_exchange *exchange, estuary_next *next,
                          estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    do {
        estuary_http_response *response = NULL;
        status = send_once(client, exchange, &response, err);
        if (status == ESTUARY_OK) {
            log_answer(client, exchange, response->status);
            status = estuary_exchange_response(exchange, response, est_now(), next, err);
        }
        estuary_http_response_free(response);
    } while (status == ESTUARY_OK && *next == ESTUARY_NEXT_SEND);
    return status == ESTUARY_OK ? status : refine(client, status, err);
}

static estuary_status check_allowed(const estuary_client *client, estuary_operation operation,
                                    const estuary_enrollment *enrollment, estuary_error *err)
{
    if (client->config->accept_any && operation != ESTUARY_OP_CACERTS)
        return est_fail(err, EST_USAGE_INSECURE, NULL); /* T4 */
    if (operation == ESTUARY_OP_SIMPLEREENROLL && client->config->identity == NULL)
        return est_fail(err, EST_USAGE_IDENTITY_NEEDED, NULL); /* RFC 7030 4.2.2 */
    if (client->config->fips && enrollment != NULL &&
        !est_key_is_fips_approved(X509_REQ_get0_pubkey(enrollment->request)))
        return est_fail(err, EST_UNSUPPORTED_FIPS_ALGORITHM,
                        "the request's key is not of a kind FIPS approves");
    return ESTUARY_OK;
}

estuary_status est_client_drive(estuary_client *client, estuary_operation operation,
                                estuary_enrollment *enrollment, estuary_exchange **out, estuary_next *next,
                                estuary_error *err)
{
    estuary_error *own = err == NULL ? estuary_error_new() : err; /* the log wants the sentence, too */
    *out = NULL;
    *next = ESTUARY_NEXT_FAILED;
    estuary_status status = check_allowed(client, operation, enrollment, own);
    if (status == ESTUARY_OK)
        status = estuary_exchange_new(operation, client->config->server, enrollment, client->config->limits,
                                      out, own);
    if (status == ESTUARY_OK)
        status = run(client, *out, next, own);
    account(client, estuary_operation_name(operation), status, own);
    if (status != ESTUARY_OK) {
        estuary_exchange_free(*out);
        *out = NULL;
    }
    if (own != err)
        estuary_error_free(own);
    return status;
}

estuary_status est_client_fetch_ca_certificates(estuary_client *client, STACK_OF(X509) **out,
                                                estuary_error *err)
{
    estuary_exchange *exchange = NULL;
    estuary_next next = ESTUARY_NEXT_FAILED;
    *out = NULL;
    estuary_status status = est_client_drive(client, ESTUARY_OP_CACERTS, NULL, &exchange, &next, err);
    if (status == ESTUARY_OK) {
        *out = X509_chain_up_ref((STACK_OF(X509) *)estuary_exchange_get0_certs(exchange));
        if (*out == NULL)
            status = est_fail_openssl(err, EST_CRYPTO, NULL);
    }
    estuary_exchange_free(exchange);
    return status;
}
