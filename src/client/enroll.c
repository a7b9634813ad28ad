#include "client/client.h"

#include <openssl/err.h>
#include <string.h>

#define NAP_MS 100

static void nap(void)
{
    struct timespec time = {.tv_nsec = NAP_MS * 1000000L};
    (void)nanosleep(&time, NULL);
}

static estuary_status wait_until(estuary_client *client, time_t at, estuary_error *err)
{
    int64_t said = 0;
    while (est_now() <= at) { /* the clock counts whole seconds: never earlier than the server said */
        if (atomic_load(&client->cancelled))
            return est_fail(err, EST_CANCELLED, NULL);
        int64_t now = est_monotonic_ms();
        if (client->config->progress != NULL && now - said >= 1000) {
            char what[128];
            said = now;
            char *text = est_printf("waiting for the server to issue, next try in %lld s",
                                    (long long)(at - est_now()));
            est_text_sanitise(text == NULL ? "" : text, text == NULL ? 0 : strlen(text), what, sizeof(what));
            est_free(text);
            client->config->progress(client->config->progress_arg, what);
        }
        nap();
    }
    return ESTUARY_OK;
}

static estuary_status still_pending(const estuary_client *client, const estuary_enrollment *enrollment,
                                    estuary_error *err)
{
    char at[EST_TIME_TEXT_SIZE];
    est_time_format(enrollment->retry_at, at);
    estuary_status status = est_fail(
        err, EST_PENDING, "the server has accepted the request but not issued yet; ask again at %s", at);
    est_error_set_http_status(err, 202);
    est_error_set_retry_at(err, enrollment->retry_at);
    est_count(client->config->metrics, "enrollments_pending_total");
    est_log(client->config->log, ESTUARY_LOG_AUDIT, "enroll.pending", "the server has not issued yet",
            "server", estuary_server_url(enrollment->server), "retry_at", at, NULL);
    return status;
}

/*
 * The anchors an issued certificate must chain to: explicit ones as they are. The system's store says which
 * server to talk to, not whose certificates to accept: then /cacerts of that server decides (RFC 7030 4.1.3).
 */
static estuary_status anchors_for_check(estuary_client *client, estuary_anchors **out, estuary_error *err)
{
    if (estuary_anchors_is_explicit(client->config->anchors)) {
        *out = estuary_anchors_up_ref(client->config->anchors);
        return ESTUARY_OK;
    }
    if (client->ca_certificates == NULL) {
        estuary_status status = est_client_fetch_ca_certificates(client, &client->ca_certificates, err);
        if (status != ESTUARY_OK)
            return status;
    }
    return est_anchors_from_cacerts(client->ca_certificates, out, err);
}

static bool chain_failed(const estuary_enrollment *enrollment)
{
    return enrollment->findings != NULL &&
           estuary_findings_of(enrollment->findings, "chain") != ESTUARY_FINDING_PASS;
}

static estuary_status check(estuary_client *client, estuary_enrollment *enrollment, estuary_error *err)
{
    estuary_anchors *anchors = NULL;
    estuary_status status = anchors_for_check(client, &anchors, err);
    if (status != ESTUARY_OK)
        return status;
    status = estuary_enrollment_check(enrollment, anchors, client->ca_certificates, est_now(),
                                      client->config->limits, err);
    /* RFC 7030 4.2.3: the answer holds the certificate alone; the CA certificates above it are in /cacerts */
    if (status == ESTUARY_E_CERTIFICATE && client->ca_certificates == NULL && chain_failed(enrollment) &&
        est_client_fetch_ca_certificates(client, &client->ca_certificates, NULL) == ESTUARY_OK)
        status = estuary_enrollment_check(enrollment, anchors, client->ca_certificates, est_now(),
                                          client->config->limits, err);
    estuary_anchors_free(anchors);
    return status;
}

static void record(const estuary_client *client, const estuary_enrollment *enrollment, estuary_status status,
                   const estuary_error *err)
{
    char *subject = NULL;
    const char *url = estuary_server_url(enrollment->server);
    if (status != ESTUARY_OK) {
        est_count(client->config->metrics, "certificate_failures_total");
        est_log(client->config->log, ESTUARY_LOG_AUDIT, "enroll.refused", estuary_error_message(err),
                "server", url, "code", estuary_error_code(err), NULL);
        return;
    }
    est_count(client->config->metrics, "enrollments_issued_total");
    (void)estuary_name_format(X509_get_subject_name(enrollment->certificate), &subject, NULL);
    est_log(client->config->log, ESTUARY_LOG_AUDIT, "enroll.issued",
            "a certificate was issued and passed its checks", "server", url, "operation",
            estuary_operation_name(enrollment->operation), "subject", subject, NULL);
    OPENSSL_free(subject);
    ERR_clear_error();
}

/* A refusal that asking again cannot change ends a pending request, too. */
static void settle(estuary_enrollment *enrollment, estuary_status status, const estuary_error *err)
{
    if (status == ESTUARY_E_CERTIFICATE || (status == ESTUARY_E_SERVER && !estuary_error_retryable(err)))
        enrollment->state = ESTUARY_STATE_FAILED;
}

static estuary_status ask(estuary_client *client, estuary_enrollment *enrollment, estuary_error *err)
{
    time_t deadline = est_now() + (time_t)client->config->max_wait;
    for (;;) {
        estuary_exchange *exchange = NULL;
        estuary_next next = ESTUARY_NEXT_FAILED;
        estuary_status status =
            est_client_drive(client, enrollment->operation, enrollment, &exchange, &next, err);
        estuary_exchange_free(exchange);
        if (status != ESTUARY_OK || next != ESTUARY_NEXT_WAIT)
            return status;
        if (enrollment->retry_at > deadline)
            return still_pending(client, enrollment, err);
        status = wait_until(client, enrollment->retry_at, err);
        if (status != ESTUARY_OK)
            return status;
    }
}

static estuary_status resume(estuary_client *client, estuary_enrollment *enrollment, estuary_error *err)
{
    if (!est_server_equal(enrollment->server, client->config->server))
        return est_fail(err, EST_USAGE, "the enrolment is for another server or label");
    if (enrollment->state != ESTUARY_STATE_READY && enrollment->state != ESTUARY_STATE_PENDING)
        return est_fail(err, EST_USAGE, "the enrolment is over");
    estuary_status status = ask(client, enrollment, err);
    if (status == ESTUARY_OK) {
        status = check(client, enrollment, err);
        record(client, enrollment, status, err);
    }
    settle(enrollment, status, err);
    return status;
}

estuary_status estuary_client_resume(estuary_client *client, estuary_enrollment *enrollment,
                                     estuary_error *err)
{
    estuary_error *own = err == NULL ? estuary_error_new() : err; /* settle() and the log need the code */
    estuary_status status = resume(client, enrollment, own);
    if (own != err)
        estuary_error_free(own);
    return status;
}

static estuary_status enroll(estuary_client *client, estuary_operation operation,
                             const estuary_request *request, estuary_enrollment **out, estuary_error *err)
{
    estuary_enrollment *enrollment = NULL;
    *out = NULL;
    estuary_status status =
        estuary_enrollment_new(operation, client->config->server, request, &enrollment, err);
    if (status == ESTUARY_OK)
        status = estuary_client_resume(client, enrollment, err);
    bool keep = status == ESTUARY_OK || status == ESTUARY_E_PENDING ||
                (status == ESTUARY_E_CERTIFICATE && enrollment != NULL && enrollment->certificate != NULL);
    if (keep)
        *out = enrollment;
    else
        estuary_enrollment_free(enrollment);
    return status;
}

estuary_status estuary_client_enroll(estuary_client *client, const estuary_request *request,
                                     estuary_enrollment **out, estuary_error *err)
{
    return enroll(client, ESTUARY_OP_SIMPLEENROLL, request, out, err);
}

estuary_status estuary_client_reenroll(estuary_client *client, const estuary_request *request,
                                       estuary_enrollment **out, estuary_error *err)
{
    return enroll(client, ESTUARY_OP_SIMPLEREENROLL, request, out, err);
}
