/* One exchange to its end on an engine: send, read, judge, follow a redirect. */
#include "client/op.h"

#include <openssl/err.h>
#include <stdio.h>

#define EVIDENCE_ROUNDS_MAX EST_PASSED_CHAINS

static void on_send(void *arg)
{
    est_drive *drive = arg;
    drive->unanswered = true;
}

static estuary_status on_status(void *arg, int status, estuary_error *err)
{
    est_drive *drive = arg;
    estuary_http_response_free(drive->response);
    drive->response = NULL;
    if (status == 401)
        drive->unanswered = false; /* whoever asks for credentials has done nothing with the request */
    return estuary_http_response_new(status, &drive->response, err);
}

static estuary_status on_header(void *arg, const char *name, const char *value, estuary_error *err)
{
    est_drive *drive = arg;
    if (drive->response == NULL)
        return est_fail(err, EST_PROTOCOL_HTTP, NULL);
    return estuary_http_response_add_header(drive->response, name, value, err);
}

static estuary_status on_body(void *arg, const uint8_t *bytes, size_t len, estuary_error *err)
{
    est_drive *drive = arg;
    if (drive->response == NULL)
        return est_fail(err, EST_PROTOCOL_HTTP, NULL);
    return estuary_http_response_append_body(drive->response, bytes, len, err);
}

/* A bound body is made when the session stands; any other now. */
static estuary_status plan(est_binding *binding, est_http_call *call, estuary_error *err)
{
    const estuary_http_request *request = NULL;
    bool bound = binding->client->binds && est_exchange_enrollment(binding->exchange) != NULL;
    estuary_status status = bound ? est_binding_plan(binding, &request, call, err)
                                  : estuary_exchange_request(binding->exchange, NULL, 0, &request, err);
    if (status != ESTUARY_OK)
        return status;
    call->method = estuary_http_request_method(request);
    call->url = estuary_http_request_url(request);
    call->content_type = estuary_http_request_content_type(request);
    call->accept = estuary_http_request_accept(request);
    if (!bound)
        call->body = estuary_http_request_body(request, &call->body_len);
    return ESTUARY_OK;
}

/* T6, E11: "refused" is another thing than "wanted and not given" */
static estuary_status refine(const estuary_client *client, const estuary_exchange *exchange,
                             estuary_status status, estuary_error *err)
{
    if (est_error_code_of(err) == EST_AUTH_REQUIRED && client->config->user != NULL) {
        int http_status = estuary_error_http_status(err);
        status = est_fail(err, EST_AUTH, "the server refused the user name or password");
        est_error_set_http_status(err, http_status);
    }
    bool enrolled = est_exchange_enrollment(exchange) != NULL;
    return enrolled ? est_client_explain_refusal(client, status, err) : status;
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

static estuary_status check_allowed(const estuary_client *client, estuary_operation operation,
                                    const estuary_enrollment *enrollment, estuary_error *err)
{
    if (client->config->accept_any && operation != ESTUARY_OP_CACERTS)
        return est_fail(err, EST_USAGE_INSECURE, NULL); /* T4 */
    if (operation == ESTUARY_OP_SIMPLEREENROLL && client->config->identity == NULL)
        return est_fail(err, EST_USAGE_IDENTITY_NEEDED, NULL); /* RFC 7030 4.2.2 */
    if (client->config->fips && enrollment != NULL &&
        !est_key_is_fips_approved(
            X509_REQ_get0_pubkey((X509_REQ *)estuary_enrollment_get0_request(enrollment))))
        return est_fail(err, EST_UNSUPPORTED_FIPS_ALGORITHM,
                        "the request's key is not of a kind FIPS approves");
    return ESTUARY_OK;
}

static void forget_response(est_drive *drive)
{
    estuary_http_response_free(drive->response);
    drive->response = NULL;
}

static void end(est_drive *drive, estuary_status status)
{
    drive->running = false;
    drive->status = status;
    forget_response(drive);
    account(drive->client, estuary_operation_name(drive->operation), status, drive->err);
}

static void on_done(void *arg, estuary_status status, const estuary_error *err);

static estuary_status send_once(est_drive *drive)
{
    drive->unanswered = false;
    drive->call = (est_http_call){0};
    drive->sink = (est_http_sink){
        .arg = drive, .on_send = on_send, .on_status = on_status, .on_header = on_header, .on_body = on_body};
    drive->binding = (est_binding){drive->client, drive->exchange};
    estuary_status status = plan(&drive->binding, &drive->call, drive->err);
    if (status == ESTUARY_OK)
        status = est_http_start(drive->client->http, drive->engine, &drive->call, &drive->sink, on_done,
                                drive->err);
    if (status == ESTUARY_OK)
        drive->client->drive = drive;
    return status;
}

static estuary_status judge_transfer(est_drive *drive, estuary_status status)
{
    est_session *session = &drive->client->session;
    if (status != ESTUARY_OK)
        status = est_trust_explain_failure(session, status, drive->err);
    else if (!est_session_is_trusted(session))
        status =
            est_fail(drive->err, EST_TRUST, NULL); /* an answer from an unchecked session must never count */
    if (status != ESTUARY_OK)
        status = est_client_note_sent(est_exchange_enrollment(drive->exchange), drive->unanswered, status,
                                      drive->err);
    return status;
}

static void on_evidence(void *arg, estuary_status status, const estuary_error *err);

/* The handshake ended for want of evidence, before anything was sent: it is fetched (R3). */
static bool fetch_evidence(est_drive *drive)
{
    estuary_client *client = drive->client;
    bool may_be_read = drive->unanswered && est_exchange_enrollment(drive->exchange) != NULL;
    if (may_be_read || !est_evidence_is_wanted(client, drive->err) ||
        drive->evidence_rounds >= EVIDENCE_ROUNDS_MAX)
        return false;
    drive->evidence_rounds++;
    estuary_error_clear(drive->err);
    client->drive = drive; /* a cancellation finds it */
    estuary_status status = est_evidence_fetch(client, drive->engine, on_evidence, drive, drive->err);
    if (status == ESTUARY_OK)
        return true; /* on_evidence() may have ended all by now */
    client->drive = NULL;
    end(drive, status);
    drive->on_over(drive->arg);
    return true;
}

static void on_evidence(void *arg, estuary_status status, const estuary_error *err)
{
    est_drive *drive = arg;
    estuary_client *client = drive->client;
    client->drive = NULL;
    if (status == ESTUARY_OK) {
        status = est_evidence_judge(client, drive->err);
    } else {
        est_error_copy(drive->err, err);
        est_evidence_stop(client);
    }
    if (status == ESTUARY_OK)
        status = send_once(drive);
    if (status == ESTUARY_OK)
        return;
    end(drive, refine(client, drive->exchange, status, drive->err));
    drive->on_over(drive->arg);
}

static void on_done(void *arg, estuary_status status, const estuary_error *err)
{
    estuary_client *client = arg;
    est_drive *drive = client->drive;
    client->drive = NULL;
    if (status != ESTUARY_OK)
        est_error_copy(drive->err, err);
    status = judge_transfer(drive, status);
    if (status != ESTUARY_OK && fetch_evidence(drive))
        return;
    if (status == ESTUARY_OK) {
        log_answer(client, drive->exchange, drive->response->status);
        status =
            estuary_exchange_response(drive->exchange, drive->response, est_now(), &drive->next, drive->err);
    }
    forget_response(drive);
    if (status == ESTUARY_OK && drive->next == ESTUARY_NEXT_SEND) {
        status = send_once(drive);
        if (status == ESTUARY_OK)
            return;
    }
    end(drive, status == ESTUARY_OK ? status : refine(client, drive->exchange, status, drive->err));
    drive->on_over(drive->arg);
}

void est_drive_begin(est_drive *drive, estuary_operation operation, estuary_enrollment *enrollment,
                     estuary_exchange *exchange)
{
    const estuary_config *config = drive->client->config;
    estuary_status status = ESTUARY_OK;
    bool lent = drive->lent && exchange != NULL;
    est_drive_reset(drive);
    drive->lent = lent;
    drive->operation = operation;
    drive->exchange = exchange;
    status = check_allowed(drive->client, operation, enrollment, drive->err);
    if (status == ESTUARY_OK && exchange == NULL)
        status = estuary_exchange_new(operation, config->server, enrollment, config->limits, &drive->exchange,
                                      drive->err);
    if (status == ESTUARY_OK) {
        status = send_once(drive);
        if (status != ESTUARY_OK)
            status = refine(drive->client, drive->exchange, status, drive->err);
    }
    if (status == ESTUARY_OK)
        drive->running = true;
    else
        end(drive, status);
}

void est_drive_reset(est_drive *drive)
{
    if (drive->running) {
        est_http_abort(drive->client->http);
        est_evidence_stop(drive->client);
        drive->client->drive = NULL;
        drive->running = false;
    }
    forget_response(drive);
    if (!drive->lent)
        estuary_exchange_free(drive->exchange);
    drive->exchange = NULL;
    drive->next = ESTUARY_NEXT_FAILED;
    drive->evidence_rounds = 0;
    drive->status = ESTUARY_E_NETWORK;
    if (drive->err != NULL)
        estuary_error_clear(drive->err);
}

static estuary_status run_to_end(est_op *op, estuary_next *next, estuary_error *err)
{
    estuary_status status = est_op_run(op, err);
    *next = status == ESTUARY_OK ? op->drive.next : ESTUARY_NEXT_FAILED;
    return status;
}

estuary_status est_client_drive(estuary_client *client, estuary_operation operation, estuary_exchange **out,
                                estuary_error *err)
{
    est_op op;
    estuary_next next = ESTUARY_NEXT_FAILED;
    *out = NULL;
    estuary_status status = est_op_init(&op, client, operation, NULL, err);
    if (status != ESTUARY_OK)
        return status;
    status = run_to_end(&op, &next, err);
    if (status == ESTUARY_OK) {
        *out = op.drive.exchange;
        op.drive.exchange = NULL;
    }
    est_op_clear(&op);
    return status;
}

estuary_status est_client_drive_exchange(estuary_client *client, estuary_operation operation,
                                         estuary_exchange *exchange, estuary_next *next, estuary_error *err)
{
    est_op op;
    *next = ESTUARY_NEXT_FAILED;
    estuary_status status = est_op_init(&op, client, operation, NULL, err);
    if (status != ESTUARY_OK)
        return status;
    op.drive.exchange = exchange;
    op.drive.lent = true;
    status = run_to_end(&op, next, err);
    est_op_clear(&op);
    return status;
}

estuary_status est_client_fetch_ca_certificates(estuary_client *client, STACK_OF(X509) **out,
                                                estuary_error *err)
{
    estuary_exchange *exchange = NULL;
    *out = NULL;
    estuary_status status = est_client_drive(client, ESTUARY_OP_CACERTS, &exchange, err);
    if (status == ESTUARY_OK) {
        *out = X509_chain_up_ref((STACK_OF(X509) *)estuary_exchange_get0_certs(exchange));
        if (*out == NULL)
            status = est_fail_openssl(err, EST_CRYPTO, NULL);
    }
    estuary_exchange_free(exchange);
    return status;
}
