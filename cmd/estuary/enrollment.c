#include "command.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void job_free(enroll_job *job)
{
    session_client_free(job->client);
    estuary_enrollment_free(job->enrollment);
    estuary_store_free(job->store);
    estuary_server_free(job->server);
    estuary_config_free(job->config);
    estuary_csr_free(job->csr);
    estuary_secret_free(job->cmc_secret);
    estuary_request_free(job->decryption);
    X509_REQ_free(job->request);
    EVP_PKEY_free(job->key);
    OPENSSL_free(job->key_uri);
    identity_free(&job->identity);
}

/* A file in the way of --key-out is only no obstacle when a run that was killed put this very key there. */
static int check_key_out(context *ctx, const enroll_job *job, bool *is_there)
{
    const char *path = option_text(ctx, OPT_KEY_OUT);
    EVP_PKEY *key = NULL;
    *is_there = false;
    if (path == NULL || job->in_hardware)
        return EXIT_DONE;
    char *uri = key_file_uri(path);
    if (uri == NULL)
        return fail(ctx, "config.store-parent", NULL, "the folder of %s is not there", path);
    free(uri);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return EXIT_DONE;
    bool same = job->key != NULL && estuary_key_open(path, NULL, 0, &key, ctx->err) == ESTUARY_OK &&
                EVP_PKEY_eq(key, job->key) == 1;
    EVP_PKEY_free(key);
    *is_there = same;
    return same ? EXIT_DONE : fail(ctx, "key.exists", NULL, "%s exists already", path);
}

static int obey_attributes(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    estuary_csr_attributes *attributes = NULL;
    if (!option_given(ctx, OPT_CSRATTRS))
        return EXIT_DONE;
    TRY(check(ctx, estuary_client_csrattrs(job->client, &attributes, ctx->err)));
    const char *wanted = estuary_csr_attributes_key_algorithm(attributes);
    if (job->make_key && !job->algorithm_given && *wanted != '\0')
        snprintf(job->algorithm, sizeof(job->algorithm), "%s", wanted);
    if (job->make_key)
        TRY(job_make_key(ctx, job));
    TRY(check(ctx, estuary_csr_apply(job->csr, attributes, job->key, ctx->err)));
cleanup:
    estuary_csr_attributes_free(attributes);
    return result;
}

/* A new key is nowhere else, or in hardware. One that the caller named stays where it is and is named again.
 */
static estuary_status save_pending(context *ctx, const enroll_job *job)
{
    bool copied = job->make_key && !job->in_hardware;
    return estuary_store_save_pending(job->store, job->enrollment, copied ? job->key : NULL, ctx->err);
}

static int make_enrollment(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    estuary_request *request = NULL;
    if (job->csr != NULL)
        TRY(obey_attributes(ctx, job));
    if (job->make_key && job->key == NULL)
        TRY(job_make_key(ctx, job));
    TRY(job_keygen_request(ctx, job, &request));
    if (job->csr != NULL)
        TRY(check(ctx, estuary_request_set_csr(request, job->csr, job->key, ctx->err)));
    else
        TRY(check(ctx, estuary_request_set_signed(request, job->request, ctx->err)));
    TRY(job_cmc_request(ctx, job, request));
    if (job->old != NULL)
        TRY(check(ctx, estuary_request_set_old_certificate(request, job->old, ctx->err)));
    TRY(check(ctx, estuary_enrollment_new(job->operation, job->server, request, &job->enrollment, ctx->err)));
    /* before anything is sent: a process killed after this line can still take up the certificate (E7) */
    TRY(check(ctx, save_pending(ctx, job)));
cleanup:
    if (result != EXIT_DONE && job->key != NULL && job->in_hardware && job_destroy_key(ctx, job))
        (void)estuary_store_remove_pending(job->store, NULL);
    estuary_request_free(request);
    return result;
}

/* Does this answer end the matter, or may the same request still be granted? */
static bool is_final(estuary_status status, const estuary_error *err)
{
    if (status == ESTUARY_E_CERTIFICATE)
        return true;
    return status == ESTUARY_E_SERVER && !estuary_error_retryable(err);
}

static void hint_kept(context *ctx, const enroll_job *job, estuary_status status)
{
    if (status == ESTUARY_E_PENDING)
        return;
    /* a repeat is the same request with the same key, whatever became of the first one (double enrolment) */
    failure_add_hint(ctx, estuary_enrollment_state(job->enrollment) == ESTUARY_STATE_PENDING
                              ? "the request is still pending: run the same command again"
                              : "the request and its key are kept: run the same command again");
}

/* That nobody can tell about revocation is no lie of the server's. */
static const char *what_is_wrong(const estuary_findings *findings)
{
    for (size_t i = 0; i < estuary_findings_count(findings); i++) {
        const char *what = "", *code = "";
        if (estuary_findings_at(findings, i, &what, &code, NULL) != ESTUARY_FINDING_FAIL ||
            strcmp(what, "revocation") != 0)
            continue;
        return strcmp(code, "revocation.unknown") == 0
                   ? "The server sent what was asked for, but it cannot be told whether it is revoked:"
                   : "The server sent a certificate that is revoked already:";
    }
    return "The server sent a certificate that is not what was asked for:";
}

static int not_issued(context *ctx, enroll_job *job, estuary_status status)
{
    bool was_pending = job->resumed || estuary_enrollment_state(job->enrollment) == ESTUARY_STATE_PENDING;
    bool maybe_sent = estuary_enrollment_maybe_sent(job->enrollment);
    /* issued, and nothing said against it but that its revocation is not known yet */
    bool issued = estuary_enrollment_state(job->enrollment) == ESTUARY_STATE_ISSUED;
    bool keep = (was_pending || maybe_sent || issued) && !is_final(status, ctx->err) &&
                estuary_enrollment_state(job->enrollment) != ESTUARY_STATE_FAILED;
    int result = check(ctx, status); /* copies the error, which the calls below set again */
    const estuary_findings *findings = estuary_enrollment_get0_findings(job->enrollment);
    put(ctx->extra, "maybe_sent", json_boolean(maybe_sent));
    progress_clear();
    if (findings != NULL) {
        say(ctx, "%s", what_is_wrong(findings));
        say_findings(ctx, findings, true);
        put(ctx->extra, "findings", findings_json(findings));
    }
    if (keep) {
        if (!issued && save_pending(ctx, job) != ESTUARY_OK)
            warn(ctx, "store.pending", "the state of the pending request could not be written");
        put(ctx->extra, "pending", json_true());
        hint_kept(ctx, job, status);
        return result;
    }
    /* the key first, whose certificate was refused: what DIR.pending names is found again after a kill */
    bool destroyed = job_destroy_key(ctx, job);
    put(ctx->extra, "pending", json_boolean(!destroyed));
    if (destroyed && estuary_store_remove_pending(job->store, ctx->err) != ESTUARY_OK)
        warn(ctx, "store.pending", "the pending request could not be removed");
    if (was_pending)
        failure_add_hint(ctx, "this was the server's last word, so the pending request was given up");
    return result;
}

/* The key at --key-out and the files in DIR appear together or not at all. */
static int commit(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    bool is_there = false, written = false;
    const char *path = option_text(ctx, OPT_KEY_OUT);
    char *uri = NULL;
    if (path != NULL && !job->in_hardware) {
        uri = key_file_uri(path);
        if (uri == NULL)
            TRY(fail(ctx, "io.failed", NULL, "the folder of %s cannot be found", path));
        TRY(check(ctx, estuary_store_set_key_uri(job->store, uri, ctx->err)));
        TRY(check_key_out(ctx, job, &is_there));
        if (!is_there)
            TRY(check(ctx, estuary_key_write(job->key, path, NULL, ctx->err)));
        written = !is_there;
    } else if (!job->make_key && ctx->key_name != NULL) {
        TRY(check(ctx, estuary_store_set_key_uri(job->store, ctx->key_name, ctx->err)));
    }
    TRY(check(ctx, estuary_store_commit(job->store, job->enrollment, job->key, ctx->err)));
cleanup:
    if (result != EXIT_DONE && written)
        (void)unlink(path);
    if (result != EXIT_DONE)
        failure_add_hint(ctx, "the request is kept: run the same command again to fetch the certificate");
    free(uri);
    return result;
}

static int send(context *ctx, enroll_job *job)
{
    if (signals_came())
        return fail(ctx, "cancelled", NULL, NULL);
    estuary_status status = estuary_client_resume(job->client, job->enrollment, ctx->err);
    signals_watch(NULL); /* from here on nothing waits, and what is begun is finished */
    if (status != ESTUARY_OK)
        return not_issued(ctx, job, status);
    progress_clear();
    int result = job_keygen_take_key(ctx, job);
    return result == EXIT_DONE ? commit(ctx, job) : result;
}

int job_run(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    bool is_there;
    TRY(session_config(ctx, &job->identity, &job->config));
    TRY(check(ctx, estuary_server_parse(option_text(ctx, OPT_SERVER), option_text(ctx, OPT_LABEL),
                                        &job->server, ctx->err)));
    /* refuses what could not be written later, before dialing */
    TRY(check(ctx, estuary_store_open(option_text(ctx, OPT_OUT), &job->store, ctx->err)));
    TRY(key_out_is_outside(ctx));
    TRY(job_end_intent(ctx, job));
    TRY(job_load_pending(ctx, job));
    TRY(check_key_out(ctx, job, &is_there));
    TRY(session_credentials(ctx, job->config));
    TRY(job_cmc_secret(ctx, job));
    TRY(job_keygen_secret(ctx, job));
    TRY(session_client(ctx, job->config, &job->client));
    if (job->enrollment == NULL)
        TRY(make_enrollment(ctx, job));
    TRY(send(ctx, job));
    TRY(job_report(ctx, job));
cleanup:
    if (result != EXIT_DONE)
        rollover_hint(ctx);
    return result;
}
