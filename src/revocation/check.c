/* The checker for those who can wait, and what its policy makes of a verdict. */
#include "revocation/checker.h"

struct waiting {
    bool done;
    estuary_status status;
    estuary_error *err;
};

static void on_done(void *arg, estuary_status status, const estuary_error *err)
{
    struct waiting *waiting = arg;
    waiting->done = true;
    waiting->status = status;
    if (status != ESTUARY_OK)
        est_error_copy(waiting->err, err);
}

static estuary_status run(est_revocation_job *job, estuary_error *err)
{
    struct waiting waiting = {.err = err};
    est_http_engine *engine = NULL;
    estuary_status status = est_revocation_job_look_first(job, err);
    if (status != ESTUARY_OK ||
        estuary_verdict_status(est_revocation_job_verdict(job, NULL)) != ESTUARY_REVOCATION_UNKNOWN)
        return status;
    status = est_http_engine_new(NULL, NULL, &engine, err);
    if (status == ESTUARY_OK)
        status = est_revocation_job_start(job, engine, on_done, &waiting, err);
    while (status == ESTUARY_OK && !waiting.done)
        status = est_http_engine_step(engine, -1, err);
    est_http_engine_free(engine); /* what still runs ends */
    return status == ESTUARY_OK ? waiting.status : status;
}

estuary_status estuary_revocation_check_chain(estuary_revocation *checker, const STACK_OF(X509) *chain,
                                              estuary_verdict **out, size_t *index, estuary_error *err)
{
    est_revocation_job *job = NULL;
    *out = NULL;
    if (sk_X509_num(chain) < 2)
        return est_fail(err, EST_USAGE, "a chain to check for revocation has at least two certificates");
    estuary_status status = est_revocation_job_new(checker, chain, NULL, &job, err);
    if (status == ESTUARY_OK)
        status = run(job, err);
    if (status == ESTUARY_OK) {
        (void)est_revocation_job_verdict(job, index);
        *out = est_revocation_job_take_verdict(job);
        if (*out == NULL)
            status = est_fail(err, EST_REVOCATION_UNKNOWN, NULL);
    }
    est_revocation_job_free(job);
    return status;
}

estuary_status estuary_revocation_check(estuary_revocation *checker, X509 *certificate, X509 *issuer,
                                        estuary_verdict **out, estuary_error *err)
{
    *out = NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    bool ok = chain != NULL && est_certs_push(chain, certificate) && est_certs_push(chain, issuer);
    estuary_status status =
        ok ? estuary_revocation_check_chain(checker, chain, out, NULL, err) : est_fail_memory(err);
    sk_X509_pop_free(chain, X509_free);
    return status;
}

estuary_status estuary_revocation_decide(const estuary_revocation *checker, const estuary_verdict *verdict,
                                         estuary_error *err)
{
    char when[EST_TIME_TEXT_SIZE] = "";
    const char *reason = estuary_verdict_reason(verdict);
    switch (estuary_verdict_status(verdict)) {
    case ESTUARY_REVOCATION_GOOD:
        return ESTUARY_OK;
    case ESTUARY_REVOCATION_REVOKED:
        if (verdict->revoked_at != 0)
            est_time_format(verdict->revoked_at, when);
        return est_fail(err, EST_REVOKED, "the certificate is revoked%s%s%s%s%s%s%s",
                        when[0] == '\0' ? "" : " since ", when, reason[0] == '\0' ? "" : ", reason: ", reason,
                        verdict->outdated ? " (" : "", verdict->outdated ? verdict->why : "",
                        verdict->outdated ? ")" : "");
    case ESTUARY_REVOCATION_UNKNOWN:
    default:
        if (checker->policy == ESTUARY_REVOCATION_SOFT)
            return ESTUARY_OK;
        return est_fail(err, EST_REVOCATION_UNKNOWN,
                        "it cannot be told whether the certificate is revoked: %s",
                        verdict == NULL ? "nothing was looked at" : verdict->why);
    }
}
