/* RFC 7030 3.5: when a request is bound to its TLS session, and what a refusal of one means (T10). */
#include "client/client.h"

#include <string.h>

/* Absent, or an operation that this server does not have, asks for nothing (RFC 7030 4.5.2). */
static bool means_none(const estuary_error *err)
{
    int status = estuary_error_http_status(err);
    return status == 405 || status == 501;
}

bool est_client_note_no_attributes(estuary_client *client, const estuary_error *err)
{
    if (!means_none(err))
        return false;
    client->pop_asked = EST_POP_NOT_ASKED;
    return true;
}

void est_client_note_attributes(estuary_client *client, const estuary_csr_attributes *attributes)
{
    bool asked = estuary_csr_attributes_wants_binding(attributes);
    client->pop_asked = asked ? EST_POP_ASKED : EST_POP_NOT_ASKED;
    if (asked && client->config->pop == ESTUARY_POP_OFF)
        est_log(client->config->log, ESTUARY_LOG_WARNING, "pop.off",
                "the server asks for requests bound to the TLS session (RFC 7030 3.5), which is switched off",
                "server", estuary_server_url(client->config->server), NULL);
}

/* What cannot be bound is not asked about; what a server has taken without a binding, it may go on with. */
static bool may_ask(const estuary_client *client, const estuary_enrollment *enrollment)
{
    return client->config->pop != ESTUARY_POP_OFF && client->config->pop != ESTUARY_POP_REQUIRED &&
           !enrollment->bound && est_enrollment_can_bind(enrollment) &&
           enrollment->state != ESTUARY_STATE_PENDING;
}

bool est_client_must_ask_attributes(const estuary_client *client, const estuary_enrollment *enrollment)
{
    return !client->config->accept_any && client->pop_asked == EST_POP_UNKNOWN && may_ask(client, enrollment);
}

static estuary_status decide(estuary_client *client, const estuary_enrollment *enrollment, bool *bind,
                             estuary_error *err)
{
    *bind = true;
    if (client->config->pop == ESTUARY_POP_REQUIRED)
        return est_enrollment_can_bind(enrollment) ? ESTUARY_OK
                                                   : est_fail(err, EST_KEY_NOT_REQUEST_KEY, NULL);
    if (client->config->pop == ESTUARY_POP_OFF && enrollment->bound)
        return est_fail(err, EST_USAGE,
                        "the pending request is bound to TLS sessions, which is switched off");
    if (enrollment->bound)
        return ESTUARY_OK;
    *bind = may_ask(client, enrollment) && client->pop_asked == EST_POP_ASKED;
    return ESTUARY_OK;
}

estuary_status est_client_decide_binding(estuary_client *client, const estuary_enrollment *enrollment,
                                         estuary_error *err)
{
    client->binds = false;
    client->bound_by[0] = '\0';
    if (client->config->accept_any)
        return ESTUARY_OK; /* T4: the enrolment is refused in a moment */
    return decide(client, enrollment, &client->binds, err);
}

estuary_status est_binding_plan(est_binding *binding, const estuary_http_request **request,
                                est_http_call *call, estuary_error *err)
{
    estuary_status status = est_exchange_plan_bound(binding->exchange, request, &call->body_max, err);
    call->on_ready = est_binding_sign;
    call->ready_arg = binding;
    return status;
}

/* Fresh for each attempt: the binding belongs to one connection, and a 401 may end it (RFC 7030 3.5). */
estuary_status est_binding_sign(void *arg, SSL *ssl, uint8_t *body, size_t max, size_t *len,
                                estuary_error *err)
{
    const est_binding *self = arg;
    uint8_t bytes[EST_CHANNEL_BINDING_MAX];
    size_t n_bytes = 0, size = 0;
    const estuary_http_request *request = NULL;
    estuary_status status = est_channel_binding(ssl, bytes, &n_bytes, err);
    if (status == ESTUARY_OK)
        status = estuary_exchange_request(self->exchange, bytes, n_bytes, &request, err);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    if (status != ESTUARY_OK)
        return status;
    const uint8_t *signed_body = estuary_http_request_body(request, &size);
    if (size > max)
        return est_fail(err, EST_TLS_BINDING, "the bound request has become longer than was allowed for");
    memcpy(body, signed_body, size);
    *len = size;
    const char *type = est_channel_binding_type(ssl);
    memcpy(self->client->bound_by, type, strlen(type) + 1);
    return ESTUARY_OK;
}

const char *estuary_client_channel_binding(const estuary_client *client)
{
    return client == NULL ? "" : client->bound_by;
}

static bool speaks_of_binding(const char *message)
{
    static const char *const words[] = {"channel binding",    "channel-binding",     "challengepassword",
                                        "challenge password", "tls-unique",          "tls_unique",
                                        "tls-exporter",       "proof of possession", "proof-of-possession"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);
        for (const char *p = message; *p != '\0'; p++) {
            if (OPENSSL_strncasecmp(p, words[i], len) == 0)
                return true;
        }
    }
    return false;
}

/*
 * Nobody can see a TLS-terminating proxy from here: its certificate is as good as the server's. But behind it
 * the server sees another session than ours, and refuses each bound request.
 */
estuary_status est_client_explain_refusal(const estuary_client *client, estuary_status status,
                                          estuary_error *err)
{
    char said[512];
    int http_status = estuary_error_http_status(err);
    est_code code = est_error_code_of(err);
    if (code != EST_SERVER_REFUSED && code != EST_AUTH_FORBIDDEN && code != EST_AUTH)
        return status;
    const char *message = estuary_error_message(err);
    bool spoken = speaks_of_binding(message);
    if (!client->binds && !spoken)
        return status;
    est_text_sanitise(message, strlen(message), said, sizeof(said));
    if (!spoken)
        status =
            est_fail(err, code,
                     "%s; the request was bound to this TLS session, which the server does not see when a "
                     "TLS-terminating proxy is between",
                     said);
    else if (client->binds)
        status = est_fail(err, EST_SERVER_BINDING, "%s, says %s: %s", est_code_sentence(EST_SERVER_BINDING),
                          "its answer", said);
    else
        status = est_fail(err, EST_SERVER_BINDING_WANTED, "%s: %s",
                          est_code_sentence(EST_SERVER_BINDING_WANTED), said);
    est_error_set_http_status(err, http_status);
    return status;
}

/*
 * An alert about our certificate: the request was not read. A protocol error is about an answer that came.
 * Lost are those that no whole answer came for; curl may have dialled once more, and met a server that is
 * refused.
 */
static bool is_lost(estuary_status status, est_code code)
{
    return status == ESTUARY_E_NETWORK || status == ESTUARY_E_CANCELLED || status == ESTUARY_E_MEMORY ||
           status == ESTUARY_E_TRUST || status == ESTUARY_E_REVOKED || code == EST_TLS ||
           code == EST_TLS_ALERT || code == EST_TLS_CLOSED;
}

/* The POST left, and neither a certificate nor a refusal came back: both may be lost on the way. */
estuary_status est_client_note_sent(estuary_enrollment *enrollment, bool unanswered, estuary_status status,
                                    estuary_error *err)
{
    char said[512];
    if (enrollment == NULL)
        return status;
    if (!unanswered || !is_lost(status, est_error_code_of(err)))
        return status;
    enrollment->maybe_sent = true;
    const char *message = estuary_error_message(err), *detail = estuary_error_detail(err);
    char *kept = est_strdup(detail);
    est_text_sanitise(message, strlen(message), said, sizeof(said));
    status =
        est_fail(err, est_error_code_of(err),
                 "%s; the server may have read the request and issued a certificate: its CA's list of issued "
                 "certificates tells, and the same request, sent again, makes no second key",
                 said);
    if (kept != NULL && kept[0] != '\0')
        est_error_set_detail(err, "%s", kept);
    est_free(kept);
    return status;
}
