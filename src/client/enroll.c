/* What an enrolment needs besides its exchanges: its checks, its record, its end. */
#include "client/op.h"

#include <openssl/err.h>

estuary_status est_enroll_still_pending(const estuary_client *client, const estuary_enrollment *enrollment,
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

bool est_enroll_needs_cas(const estuary_client *client)
{
    return !estuary_anchors_is_explicit(client->config->anchors) && client->ca_certificates == NULL;
}

/*
 * The anchors an issued certificate must chain to: explicit ones as they are. The system's store says which
 * server to talk to, not whose certificates to accept: then /cacerts of that server decides (RFC 7030 4.1.3).
 */
static estuary_status anchors_for_check(const estuary_client *client, estuary_anchors **out,
                                        estuary_error *err)
{
    if (!estuary_anchors_is_explicit(client->config->anchors))
        return est_anchors_from_cacerts(client->ca_certificates, out, err);
    *out = estuary_anchors_up_ref(client->config->anchors);
    return ESTUARY_OK;
}

static bool chain_failed(const estuary_enrollment *enrollment)
{
    return enrollment->findings != NULL &&
           estuary_findings_of(enrollment->findings, "chain") != ESTUARY_FINDING_PASS;
}

/* The chain of the certificate, or that of who signed its private key (RFC 7030 4.4.2), may end too early. */
static bool needs_ca_certificates(const estuary_enrollment *enrollment, estuary_status status,
                                  const estuary_error *err)
{
    est_code code = est_error_code_of(err);
    return (status == ESTUARY_E_CERTIFICATE && chain_failed(enrollment)) || code == EST_PROTOCOL_KEY_SIGNER ||
           code == EST_PROTOCOL_KEY_SIGNATURE;
}

estuary_status est_enroll_check(estuary_client *client, estuary_enrollment *enrollment, bool *again,
                                estuary_error *err)
{
    estuary_anchors *anchors = NULL;
    *again = false;
    estuary_status status = anchors_for_check(client, &anchors, err);
    if (status != ESTUARY_OK)
        return status;
    status = estuary_enrollment_check(enrollment, anchors, client->ca_certificates, est_now(),
                                      client->config->limits, err);
    *again = client->ca_certificates == NULL && needs_ca_certificates(enrollment, status, err);
    estuary_anchors_free(anchors);
    return status;
}

void est_enroll_record(const estuary_client *client, const estuary_enrollment *enrollment,
                       estuary_status status, const estuary_error *err)
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
void est_enroll_settle(estuary_enrollment *enrollment, estuary_status status, const estuary_error *err)
{
    if (status == ESTUARY_E_CERTIFICATE || (status == ESTUARY_E_SERVER && !estuary_error_retryable(err)))
        enrollment->state = ESTUARY_STATE_FAILED;
}

estuary_status est_enroll_prepare_fullcmc(estuary_client *client, estuary_enrollment *enrollment,
                                          estuary_error *err)
{
    estuary_anchors *anchors = NULL;
    const estuary_config *config = client->config;
    estuary_status status = anchors_for_check(client, &anchors, err);
    if (status == ESTUARY_OK)
        status = estuary_enrollment_set_cmc_trust(enrollment, anchors, client->ca_certificates,
                                                  estuary_anchors_is_explicit(config->anchors), err);
    if (status == ESTUARY_OK && config->identity != NULL)
        status = estuary_enrollment_set_cmc_signer(enrollment, config->identity, config->identity_chain,
                                                   config->identity_key, err);
    estuary_anchors_free(anchors);
    return status;
}

estuary_status est_enroll_allowed(const estuary_client *client, const estuary_enrollment *enrollment,
                                  estuary_error *err)
{
    if (!est_server_equal(enrollment->server, client->config->server))
        return est_fail(err, EST_USAGE, "the enrolment is for another server or label");
    if (enrollment->state != ESTUARY_STATE_READY && enrollment->state != ESTUARY_STATE_PENDING)
        return est_fail(err, EST_USAGE, "the enrolment is over");
    return ESTUARY_OK;
}

bool est_enroll_is_kept(const estuary_enrollment *enrollment, estuary_status status)
{
    if (enrollment == NULL)
        return false;
    /* what was issued, and its key, may not be had a second time, whatever went wrong afterwards */
    return status == ESTUARY_OK || status == ESTUARY_E_PENDING || enrollment->certificate != NULL ||
           (estuary_enrollment_maybe_sent(enrollment) && enrollment->state != ESTUARY_STATE_FAILED);
}

estuary_status estuary_client_resume(estuary_client *client, estuary_enrollment *enrollment,
                                     estuary_error *err)
{
    est_op op;
    estuary_status status = est_op_init(&op, client, enrollment->operation, enrollment, err);
    if (status != ESTUARY_OK)
        return status;
    status = est_op_run(&op, err);
    est_op_clear(&op);
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
    if (est_enroll_is_kept(enrollment, status))
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

estuary_status estuary_client_fullcmc(estuary_client *client, const estuary_request *request,
                                      estuary_enrollment **out, estuary_error *err)
{
    return enroll(client, ESTUARY_OP_FULLCMC, request, out, err);
}

estuary_status estuary_client_serverkeygen(estuary_client *client, const estuary_request *request,
                                           estuary_enrollment **out, estuary_error *err)
{
    return enroll(client, ESTUARY_OP_SERVERKEYGEN, request, out, err);
}
