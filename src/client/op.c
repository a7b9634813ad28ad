/* The state machine of an operation: one switch, no waiting inside. */
#include "client/op.h"

#include <string.h>

static void advance(void *arg);

estuary_status est_op_init(est_op *op, estuary_client *client, estuary_operation operation,
                           estuary_enrollment *enrollment, estuary_error *err)
{
    *op = (est_op){.client = client, .operation = operation, .enrollment = enrollment};
    op->err = estuary_error_new(); /* the log and what follows want the code, even if the caller does not */
    op->drive.err = estuary_error_new();
    op->drive.client = client;
    op->drive.on_over = advance;
    op->drive.arg = op;
    if (op->err != NULL && op->drive.err != NULL)
        return ESTUARY_OK;
    est_op_clear(op);
    return est_fail_memory(err);
}

void est_op_clear(est_op *op)
{
    if (op->looking)
        est_evidence_stop(op->client);
    op->looking = false;
    est_drive_reset(&op->drive);
    estuary_error_free(op->drive.err);
    estuary_error_free(op->err);
    op->drive.err = op->err = NULL;
}

static est_step end(est_op *op, estuary_status status)
{
    op->status = status;
    return EST_STEP_OVER;
}

/* Only the answer to the request itself, or its check, may end the enrolment. */
static est_step end_settled(est_op *op, estuary_status status)
{
    if (op->enrollment != NULL)
        est_enroll_settle(op->enrollment, status, op->err);
    return end(op, status);
}

/* Asks something on the way to the enrolment; `then` sees how it ended in op->drive. */
static est_step fetch(est_op *op, estuary_operation operation, est_step then)
{
    est_drive_begin(&op->drive, operation, NULL, NULL);
    return then;
}

static est_step begin(est_op *op)
{
    if (op->enrollment == NULL)
        return EST_STEP_ASK;
    op->give_up_at = est_now() + (time_t)op->client->config->max_wait;
    estuary_status status = est_enroll_allowed(op->client, op->enrollment, op->err);
    if (status != ESTUARY_OK)
        return end(op, status);
    if (est_client_must_ask_attributes(op->client, op->enrollment))
        return fetch(op, ESTUARY_OP_CSRATTRS, EST_STEP_ATTRIBUTES);
    status = est_client_decide_binding(op->client, op->enrollment, op->err);
    return status == ESTUARY_OK ? EST_STEP_PREPARE : end(op, status);
}

static est_step attributes(est_op *op)
{
    if (op->drive.status == ESTUARY_OK) {
        estuary_csr_attributes *attributes = est_exchange_take_csr_attributes(op->drive.exchange);
        est_client_note_attributes(op->client, attributes);
        estuary_csr_attributes_free(attributes);
    } else if (!est_client_note_no_attributes(op->client, op->drive.err)) {
        est_error_copy(op->err, op->drive.err);
        return end(op, op->drive.status);
    }
    estuary_status status = est_client_decide_binding(op->client, op->enrollment, op->err);
    return status == ESTUARY_OK ? EST_STEP_PREPARE : end(op, status);
}

/*
 * RFC 5272 4.2: servers only SHOULD send what leads from the signer to an anchor; /cacerts has it. Where it
 * names the anchors, it is asked before the POST: nothing issued is to be lost because it fails.
 */
static est_step prepare(est_op *op)
{
    bool cmc = op->operation == ESTUARY_OP_FULLCMC;
    if (op->client->config->accept_any)
        return end(op, est_fail(op->err, EST_USAGE_INSECURE, NULL)); /* T4 */
    if (cmc ? op->client->ca_certificates == NULL : est_enroll_needs_cas(op->client))
        return fetch(op, ESTUARY_OP_CACERTS, EST_STEP_PREPARE_WITH_CAS);
    if (!cmc)
        return EST_STEP_ASK;
    op->drive.status = ESTUARY_OK;
    return EST_STEP_PREPARE_WITH_CAS;
}

static estuary_status take_cas(est_op *op, estuary_error *err)
{
    if (op->client->ca_certificates != NULL)
        return ESTUARY_OK;
    if (op->drive.status != ESTUARY_OK) {
        est_error_copy(err, op->drive.err);
        return op->drive.status;
    }
    op->client->ca_certificates =
        X509_chain_up_ref((STACK_OF(X509) *)estuary_exchange_get0_certs(op->drive.exchange));
    return op->client->ca_certificates != NULL ? ESTUARY_OK : est_fail_openssl(err, EST_CRYPTO, NULL);
}

static est_step prepare_with_cas(est_op *op)
{
    estuary_status status = take_cas(op, op->err);
    if (status != ESTUARY_OK && !est_enroll_needs_cas(op->client)) {
        estuary_error_clear(op->err); /* they would only have helped */
        status = ESTUARY_OK;
    }
    if (status == ESTUARY_OK && op->operation == ESTUARY_OP_FULLCMC)
        status = est_enroll_prepare_fullcmc(op->client, op->enrollment, op->err);
    return status == ESTUARY_OK ? EST_STEP_ASK : end(op, status);
}

static est_step ask(est_op *op)
{
    est_drive_begin(&op->drive, op->operation, op->enrollment, op->drive.lent ? op->drive.exchange : NULL);
    return EST_STEP_ANSWER;
}

static est_step answer(est_op *op)
{
    if (op->drive.status != ESTUARY_OK) {
        est_error_copy(op->err, op->drive.err);
        return end_settled(op, op->drive.status);
    }
    if (op->enrollment == NULL)
        return end(op, ESTUARY_OK);
    if (op->drive.next != ESTUARY_NEXT_WAIT)
        return EST_STEP_CHECK;
    if (op->enrollment->retry_at > op->give_up_at)
        return end(op, est_enroll_still_pending(op->client, op->enrollment, op->err));
    est_drive_reset(&op->drive);
    return EST_STEP_WAITING;
}

static est_step finish(est_op *op, estuary_status status)
{
    est_enroll_record(op->client, op->enrollment, status, op->err);
    return end_settled(op, status);
}

static void on_issued_looked_at(void *arg, estuary_status status, const estuary_error *err)
{
    est_op *op = arg;
    op->looking = false;
    op->step = EST_STEP_REVOCATION_DONE;
    if (status != ESTUARY_OK) {
        est_error_copy(op->err, err);
        est_evidence_stop(op->client);
        op->step = finish(op, status);
    }
    advance(op);
}

/* "Issued certificates are checked too when they name a responder": the policy decides here as well. */
static est_step look_at_issued(est_op *op)
{
    const STACK_OF(X509) *path = NULL;
    estuary_status status = est_evidence_issued_chain(op->client, op->enrollment, &path, op->err);
    if (path == NULL)
        return finish(op, status);
    op->looking = true;
    op->step = EST_STEP_REVOCATION;
    status = est_evidence_begin_issued(op->client, path, op->drive.engine, on_issued_looked_at, op, op->err);
    if (status == ESTUARY_OK)
        return op->step;
    op->looking = false;
    return finish(op, status);
}

static est_step judge_issued(est_op *op)
{
    estuary_status status = est_evidence_judge_issued(op->client, op->enrollment, op->err);
    if (est_error_code_of(op->err) == EST_REVOKED)
        op->enrollment->state = ESTUARY_STATE_FAILED; /* for good; what is unknown may be known later */
    return finish(op, status);
}

static est_step check(est_op *op)
{
    bool again = false;
    estuary_status status = est_enroll_check(op->client, op->enrollment, &again, op->err);
    /* RFC 7030 4.2.3: the answer holds the certificate alone; the CA certificates above it are in /cacerts */
    if (again)
        return fetch(op, ESTUARY_OP_CACERTS, EST_STEP_CHECK_AGAIN);
    return status == ESTUARY_OK ? EST_STEP_REVOCATION : finish(op, status);
}

static est_step check_again(est_op *op)
{
    bool again = false;
    if (take_cas(op, NULL) != ESTUARY_OK)
        return finish(op, estuary_error_category(op->err)); /* the first check's verdict stands */
    estuary_error_clear(op->err);
    estuary_status status = est_enroll_check(op->client, op->enrollment, &again, op->err);
    return status == ESTUARY_OK ? EST_STEP_REVOCATION : finish(op, status);
}

static est_step take(est_op *op)
{
    switch (op->step) {
    case EST_STEP_BEGIN:
        return begin(op);
    case EST_STEP_ATTRIBUTES:
        return attributes(op);
    case EST_STEP_PREPARE:
        return prepare(op);
    case EST_STEP_PREPARE_WITH_CAS:
        return prepare_with_cas(op);
    case EST_STEP_ASK:
        return ask(op);
    case EST_STEP_ANSWER:
        return answer(op);
    case EST_STEP_CHECK:
        return check(op);
    case EST_STEP_CHECK_AGAIN:
        return check_again(op);
    case EST_STEP_REVOCATION:
        return look_at_issued(op);
    case EST_STEP_REVOCATION_DONE:
        return judge_issued(op);
    case EST_STEP_WAITING:
    case EST_STEP_OVER:
        break;
    }
    return op->step;
}

static void advance(void *arg)
{
    est_op *op = arg;
    if (op->advancing)
        return; /* the loop below on the stack goes on */
    op->advancing = true;
    while (op->step != EST_STEP_OVER && op->step != EST_STEP_WAITING && !op->drive.running && !op->looking)
        op->step = take(op);
    op->advancing = false;
    if (!op->drive.running && !op->looking && op->on_change != NULL)
        op->on_change(op->arg);
}

void est_op_start(est_op *op, est_http_engine *engine)
{
    op->drive.engine = engine;
    op->step = EST_STEP_BEGIN;
    advance(op);
}

estuary_status est_op_take_result(est_op *op, estuary_anchors **anchors, estuary_csr_attributes **attributes)
{
    if (op->operation == ESTUARY_OP_CSRATTRS) {
        *attributes = est_exchange_take_csr_attributes(op->drive.exchange);
        est_client_note_attributes(op->client, *attributes);
    }
    if (op->operation != ESTUARY_OP_CACERTS)
        return ESTUARY_OK;
    estuary_status status =
        est_anchors_from_cacerts(estuary_exchange_get0_certs(op->drive.exchange), anchors, op->err);
    if (status == ESTUARY_OK)
        est_log(op->client->config->log, ESTUARY_LOG_AUDIT, "trust.cacerts", "CA certificates received",
                "server", estuary_server_url(op->client->config->server), NULL);
    return status;
}

static void say(est_op *op)
{
    char what[128];
    const estuary_config *config = op->client->config;
    int64_t now = est_monotonic_ms();
    if (config->progress == NULL || now - op->said_at < 1000)
        return;
    op->said_at = now;
    char *text = est_printf("waiting for the server to issue, next try in %lld s",
                            (long long)(op->enrollment->retry_at - est_now()));
    est_text_sanitise(text == NULL ? "" : text, text == NULL ? 0 : strlen(text), what, sizeof(what));
    est_free(text);
    config->progress(config->progress_arg, what);
}

bool est_op_is_due(const est_op *op)
{
    /* the clock counts whole seconds: never earlier than the server said */
    return op->step == EST_STEP_WAITING && est_now() > op->enrollment->retry_at;
}

void est_op_tick(est_op *op)
{
    if (op->step != EST_STEP_WAITING)
        return;
    if (atomic_load(&op->client->cancelled)) {
        est_op_cancel(op);
    } else if (est_op_is_due(op)) {
        op->step = EST_STEP_ASK;
        advance(op);
    } else {
        say(op);
    }
}

static estuary_status note_interrupted(est_op *op, estuary_status status)
{
    if (op->step != EST_STEP_ANSWER || !op->drive.running)
        return status;
    return est_client_note_sent(op->enrollment, op->drive.unanswered, status, op->err);
}

void est_op_cancel(est_op *op)
{
    if (op->step == EST_STEP_OVER)
        return;
    estuary_status status = note_interrupted(op, est_fail(op->err, EST_CANCELLED, NULL));
    est_drive_reset(&op->drive);
    if (op->looking)
        est_evidence_stop(op->client);
    op->looking = false;
    op->step = end(op, status);
    if (op->on_change != NULL)
        op->on_change(op->arg);
}

#define STEP_MS 100

estuary_status est_op_run(est_op *op, estuary_error *err)
{
    estuary_client *client = op->client;
    if (client->multi != NULL)
        return est_fail(err, EST_USAGE, "an operation of this client is in an estuary_multi");
    if (client->engine == NULL) {
        estuary_status status = est_http_engine_new(NULL, NULL, &client->engine, err);
        if (status != ESTUARY_OK)
            return status;
    }
    est_op_start(op, client->engine);
    while (op->step != EST_STEP_OVER) {
        estuary_status status = est_http_engine_step(client->engine, STEP_MS, op->err);
        if (status != ESTUARY_OK) {
            status = note_interrupted(op, status);
            est_error_copy(err, op->err);
            return status;
        }
        est_op_tick(op);
    }
    if (op->status != ESTUARY_OK)
        est_error_copy(err, op->err);
    return op->status;
}
