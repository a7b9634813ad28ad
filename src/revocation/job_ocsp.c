/* The checker asks OCSP responders (RFC 6960), after what is at hand. */
#include "revocation/checker.h"

#include <string.h>

void est_ocsp_work_clear(est_ocsp_work *work)
{
    est_fetch_free(work->fetch);
    est_urls_free(&work->urls);
    est_ocsp_request_clear(&work->request);
    est_free(work->get_url);
    est_buf_free(&work->body);
    *work = (est_ocsp_work){0};
}

/* Judged into the candidate; a delegated signer goes into the pairs. */
static est_job_step judge(est_revocation_job *job, const est_ocsp_request *request, const uint8_t *der,
                          size_t len, estuary_revocation_source evidence, const char *origin,
                          est_job_step after)
{
    X509 *delegate = NULL;
    STACK_OF(X509) *pairs = NULL;
    estuary_status status = ESTUARY_OK;
    estuary_verdict verdict = {.reason = -1};
    EST_TRY(est_ocsp_judge(&job->question, request, der, len, &verdict, &delegate, job->err));
    if (verdict.code == EST_OCSP_UNKNOWN_CERTIFICATE)
        est_job_drop_fallback(job);
    *job->candidate = verdict;
    job->candidate->evidence = evidence;
    job->candidate->cached = false;
    est_verdict_set_origin(job->candidate, origin);
    if (delegate != NULL) {
        pairs = sk_X509_new_null();
        if (pairs == NULL || !est_certs_push(pairs, delegate) ||
            !est_certs_push(pairs, job->question.issuer)) {
            status = est_fail_memory(job->err);
            goto cleanup;
        }
    }

cleanup:
    X509_free(delegate);
    if (status == ESTUARY_OK)
        return est_job_propose(job, &pairs, after);
    sk_X509_pop_free(pairs, X509_free);
    return est_job_fail(job, status);
}

static void look_into_cache(est_revocation_job *job)
{
    estuary_verdict verdict = {.reason = -1};
    if (!est_checker_caches(job->checker) ||
        !est_ocsp_cache_get(job->checker->ocsp_cache, &job->question, &verdict))
        return;
    if (est_job_may_ask(job) && verdict.status == ESTUARY_REVOCATION_GOOD &&
        est_checker_ends_soon(job->checker, verdict.this_update, verdict.next_update, job->question.now))
        *job->fallback = verdict;
    else
        est_verdict_add(job->verdict, &verdict);
}

/* One piece of evidence at a call: what was given, the staple, the cache. */
est_job_step est_job_local_ocsp(est_revocation_job *job)
{
    const estuary_revocation *checker = job->checker;
    size_t item = job->item++;
    if ((job->methods & ESTUARY_REVOCATION_BY_OCSP) == 0)
        return EST_JOB_LOCAL_CRL;
    if (item < checker->response_count)
        return judge(job, NULL, checker->responses[item].bytes, checker->responses[item].len,
                     ESTUARY_REVOCATION_OCSP, "", EST_JOB_LOCAL_OCSP);
    if (item == checker->response_count && job->index == 0 && job->staple.bytes != NULL)
        return judge(job, NULL, job->staple.bytes, job->staple.len, ESTUARY_REVOCATION_STAPLED, "",
                     EST_JOB_LOCAL_OCSP);
    look_into_cache(job);
    return EST_JOB_LOCAL_CRL;
}

/* --- the network --- */

est_job_step est_job_begin_ocsp(est_revocation_job *job)
{
    size_t max = 0;
    est_ocsp_work_clear(&job->ocsp);
    (void)est_int_to_size((long)est_checker_limit(job->checker, ESTUARY_REVOCATION_URLS), &max);
    estuary_status status = est_urls_of_ocsp(job->question.certificate, max, &job->ocsp.urls, job->err);
    return status == ESTUARY_OK ? EST_JOB_OCSP : est_job_fail(job, status);
}

static estuary_status on_body(void *arg, const uint8_t *bytes, size_t len, estuary_error *err)
{
    est_revocation_job *job = arg;
    switch (est_buf_append(&job->ocsp.body, bytes, len)) {
    case EST_APPEND_OK:
        return ESTUARY_OK;
    case EST_APPEND_TOO_LARGE:
        return est_fail(err, EST_PROTOCOL_TOO_LARGE, NULL);
    case EST_APPEND_NO_MEMORY:
    default:
        return est_fail_memory(err);
    }
}

static void on_done(void *arg, estuary_status status, const est_fetch_answer *answer,
                    const estuary_error *err)
{
    est_revocation_job *job = arg;
    est_ocsp_work *work = &job->ocsp;
    (void)answer;
    est_fetch_free(work->fetch);
    work->fetch = NULL;
    job->running = false;
    if (status == ESTUARY_E_CANCELLED || status == ESTUARY_E_MEMORY) {
        est_error_copy(job->err, err);
        job->step = est_job_fail(job, status);
    } else if (status != ESTUARY_OK) {
        est_code code = est_error_code_of(err);
        if (code == EST_NETWORK_TIMEOUT_CONNECT || code == EST_NETWORK_TIMEOUT_IDLE ||
            code == EST_NETWORK_TIMEOUT_TOTAL)
            est_count(job->checker->metrics, "revocation_ocsp_timeouts");
        est_job_note_unknown(job->verdict, work->urls.at[work->at], err);
        work->code = code;
        job->step = EST_JOB_OCSP_AFTER;
    } else {
        job->step = judge(job, &work->request, work->body.data, work->body.len, ESTUARY_REVOCATION_OCSP,
                          work->urls.at[work->at], EST_JOB_OCSP_AFTER);
        work->code = job->candidate->code;
    }
    est_job_go_on(job);
}

static estuary_status prepare(est_revocation_job *job)
{
    est_ocsp_work *work = &job->ocsp;
    est_ocsp_request_clear(&work->request);
    est_buf_free(&work->body);
    est_free(work->get_url);
    work->get_url = NULL;
    (void)est_int_to_size((long)est_checker_limit(job->checker, ESTUARY_REVOCATION_OCSP_BYTES),
                          &work->body.max);
    estuary_status status =
        est_ocsp_request_make(job->question.certificate, job->question.issuer,
                              work->variant == EST_OCSP_BY_POST_SHA256, true, &work->request, job->err);
    if (status == ESTUARY_OK && work->variant == EST_OCSP_BY_GET)
        work->get_url = est_ocsp_get_url(work->urls.at[work->at], &work->request);
    return status;
}

/* A responder has its time once, however often it is asked in another way. At least a moment is left. */
static int64_t time_left(est_revocation_job *job)
{
    est_ocsp_work *work = &job->ocsp;
    int64_t now = est_monotonic_ms();
    if (work->variant == EST_OCSP_BY_GET)
        work->ends_at = now + est_checker_limit(job->checker, ESTUARY_REVOCATION_OCSP_TIMEOUT_MS);
    return work->ends_at > now ? work->ends_at - now : 1;
}

static est_job_step ask(est_revocation_job *job)
{
    est_ocsp_work *work = &job->ocsp;
    estuary_status status = prepare(job);
    if (status != ESTUARY_OK)
        return est_job_fail(job, status);
    bool get = work->get_url != NULL;
    work->was_get = get;
    est_fetch_plan plan = {
        .url = get ? work->get_url : work->urls.at[work->at],
        .content_type = get ? NULL : "application/ocsp-request",
        .accept = "application/ocsp-response",
        .body = get ? NULL : work->request.der,
        .body_len = get ? 0 : work->request.len,
        .max_bytes = est_checker_limit(job->checker, ESTUARY_REVOCATION_OCSP_BYTES),
        .timeout_ms = time_left(job),
        .cancelled = job->cancelled,
        .arg = job,
        .on_body = on_body,
        .on_done = on_done,
    };
    est_count(job->checker->metrics, "revocation_ocsp_requests_total");
    job->running = true;
    status = est_fetch_start(job->checker, job->engine, &plan, &work->fetch, job->err);
    if (status == ESTUARY_OK)
        return job->step;
    job->running = false;
    if (status == ESTUARY_E_MEMORY || status == ESTUARY_E_CANCELLED)
        return est_job_fail(job, status);
    work->code = est_error_code_of(job->err);
    est_job_note_unknown(job->verdict, work->urls.at[work->at], job->err);
    return EST_JOB_OCSP_AFTER;
}

est_job_step est_job_ocsp(est_revocation_job *job)
{
    return job->ocsp.at < job->ocsp.urls.count ? ask(job) : EST_JOB_METHOD;
}

static void keep(const est_revocation_job *job)
{
    const est_ocsp_work *work = &job->ocsp;
    if (est_checker_caches(job->checker))
        est_ocsp_cache_put(job->checker->ocsp_cache, &job->question, work->body.data, work->body.len,
                           work->urls.at[work->at], job->verdict);
}

/* A responder may not take GET, or know SHA-256 only; other answers would not change by asking again. */
static bool try_other_variant(est_ocsp_work *work)
{
    if (work->was_get &&
        (work->code == EST_REVOCATION_NOT_FETCHED || work->code == EST_OCSP_MALFORMED_REQUEST)) {
        work->variant = EST_OCSP_BY_POST;
        return true;
    }
    if (work->variant != EST_OCSP_BY_POST_SHA256 && work->code == EST_OCSP_UNAUTHORIZED) {
        work->variant = EST_OCSP_BY_POST_SHA256;
        return true;
    }
    return false;
}

est_job_step est_job_ocsp_after(est_revocation_job *job)
{
    est_ocsp_work *work = &job->ocsp;
    if (job->verdict->status != ESTUARY_REVOCATION_UNKNOWN) {
        keep(job);
        return EST_JOB_NEXT;
    }
    if (!try_other_variant(work)) {
        work->variant = EST_OCSP_BY_GET;
        work->at++;
    }
    return EST_JOB_OCSP;
}
