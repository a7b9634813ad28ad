/* The checker at work: one switch, no waiting inside. Local evidence first, then OCSP and CRL (R6). */
#include "revocation/checker.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 3

/* --- one verdict --- */

est_job_step est_job_fail(est_revocation_job *job, estuary_status status)
{
    job->status = status;
    return EST_JOB_OVER;
}

bool est_job_may_ask(const est_revocation_job *job)
{
    return (job->engine != NULL || job->asks_later) && !job->checker->offline;
}

void est_job_note_unknown(estuary_verdict *verdict, const char *origin, const estuary_error *err)
{
    estuary_verdict note = {.reason = -1};
    est_verdict_set_origin(&note, origin);
    est_verdict_unknown(&note, est_error_code_of(err), "%s: %s", origin, estuary_error_message(err));
    est_verdict_add(verdict, &note);
}

void est_job_drop_fallback(est_revocation_job *job)
{
    est_verdict_unknown(job->fallback, EST_REVOCATION_NO_EVIDENCE, NULL);
}

est_job_step est_job_propose(est_revocation_job *job, STACK_OF(X509) **pairs, est_job_step after)
{
    sk_X509_pop_free(job->pairs, X509_free);
    job->pairs = pairs == NULL ? NULL : *pairs;
    if (pairs != NULL)
        *pairs = NULL;
    job->pair = 0;
    job->after_pairs = after;
    return EST_JOB_PAIRS;
}

static est_job_step accept_candidate(est_revocation_job *job)
{
    est_verdict_add(job->verdict, job->candidate);
    est_verdict_unknown(job->candidate, EST_REVOCATION_NO_EVIDENCE, NULL);
    return job->after_pairs;
}

/* A child about a signer: its "good" is needed, anything else makes the candidate unknown. */
static est_job_step judge_child(est_revocation_job *job)
{
    const estuary_verdict *child = est_revocation_job_verdict(job->child, NULL);
    bool good = estuary_verdict_status(child) == ESTUARY_REVOCATION_GOOD;
    if (!good && job->candidate->status == ESTUARY_REVOCATION_REVOKED)
        est_job_drop_fallback(job);
    if (!good)
        est_verdict_unknown(job->candidate, EST_REVOCATION_SIGNER, "the signer's own certificate is %s: %s",
                            estuary_revocation_status_name(estuary_verdict_status(child)),
                            estuary_verdict_status(child) == ESTUARY_REVOCATION_REVOKED
                                ? estuary_verdict_reason(child)
                                : estuary_verdict_why(child));
    est_revocation_job_free(job->child);
    job->child = NULL;
    job->pair += 2;
    return good ? EST_JOB_PAIRS : accept_candidate(job);
}

static void on_child_done(void *arg, estuary_status status, const estuary_error *err)
{
    est_revocation_job *job = arg;
    job->running = false;
    if (status == ESTUARY_OK) {
        job->step = judge_child(job);
    } else {
        est_error_copy(job->err, err);
        job->step = est_job_fail(job, status);
    }
    est_job_go_on(job);
}

static estuary_status make_child(est_revocation_job *job, estuary_error *err)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    bool ok = chain != NULL && est_certs_push(chain, sk_X509_value(job->pairs, job->pair)) &&
              est_certs_push(chain, sk_X509_value(job->pairs, job->pair + 1));
    estuary_status status = ok ? est_revocation_job_new(job->checker, chain, job->cancelled, &job->child, err)
                               : est_fail_memory(err);
    sk_X509_pop_free(chain, X509_free);
    if (status != ESTUARY_OK)
        return status;
    job->child->depth = job->depth + 1;
    job->child->asks_later = job->asks_later;
    job->child->methods =
        ESTUARY_REVOCATION_BY_CRL; /* an OCSP response about its own signer proves nothing */
    for (int i = 0; i < sk_X509_num(job->helpers); i++) {
        if (!est_certs_push(job->child->helpers, sk_X509_value(job->helpers, i)))
            return est_fail_memory(err);
    }
    return ESTUARY_OK;
}

static est_job_step check_pairs(est_revocation_job *job)
{
    if (job->candidate->status == ESTUARY_REVOCATION_UNKNOWN || job->pair + 1 >= sk_X509_num(job->pairs))
        return accept_candidate(job);
    if (job->depth >= DEPTH_MAX) {
        est_verdict_unknown(job->candidate, EST_REVOCATION_SIGNER,
                            "too many signers of evidence stand one above the other");
        return accept_candidate(job);
    }
    estuary_status status = make_child(job, job->err);
    if (status != ESTUARY_OK)
        return est_job_fail(job, status);
    if (job->engine == NULL) {
        status = est_revocation_job_look(job->child, job->err);
        return status == ESTUARY_OK ? judge_child(job) : est_job_fail(job, status);
    }
    job->running = true;
    status = est_revocation_job_start(job->child, job->engine, on_child_done, job, job->err);
    if (status != ESTUARY_OK) {
        job->running = false;
        return est_job_fail(job, status);
    }
    return job->step; /* on_child_done() moves it, perhaps it has already */
}

/* --- one certificate --- */

static int last_index(const est_revocation_job *job)
{
    int last = sk_X509_num(job->chain) - 2; /* the last is only an issuer */
    return job->checker->leaf_only && last > 0 ? 0 : last;
}

/* R0. The OCSP cache would not know the certificate, had it not been signed by this issuer. */
static estuary_status check_signer(est_revocation_job *job)
{
    const estuary_revocation *checker = job->checker;
    if (est_known_has(checker->known, &job->question) ||
        (est_checker_caches(checker) && est_ocsp_cache_knows(checker->ocsp_cache, &job->question)))
        return ESTUARY_OK;
    estuary_status status = est_question_check(&job->question, job->err);
    if (status == ESTUARY_OK)
        est_known_add(checker->known, &job->question);
    return status;
}

static est_job_step begin_certificate(est_revocation_job *job)
{
    if (job->index > last_index(job)) {
        job->status = ESTUARY_OK;
        return EST_JOB_OVER;
    }
    const estuary_revocation *checker = job->checker;
    job->started_at = est_monotonic_ms();
    job->question = (est_question){.certificate = sk_X509_value(job->chain, job->index),
                                   .issuer = sk_X509_value(job->chain, job->index + 1),
                                   .helpers = job->helpers,
                                   .anchors = checker->anchors,
                                   .now = checker->is_at ? checker->at : est_now(),
                                   .skew = est_checker_limit(checker, ESTUARY_REVOCATION_SKEW_SECONDS),
                                   .max_age = est_checker_limit(checker, ESTUARY_REVOCATION_MAX_AGE_SECONDS),
                                   .require_nonce = checker->require_nonce};
    estuary_status status = check_signer(job);
    if (status != ESTUARY_OK)
        return est_job_fail(job, status);
    *job->verdict = (estuary_verdict){0};
    est_verdict_unknown(job->verdict, EST_REVOCATION_NO_EVIDENCE, NULL);
    *job->candidate = *job->fallback = *job->verdict;
    job->item = 0;
    job->method_at = 0;
    return EST_JOB_LOCAL_OCSP;
}

static bool is_known(const est_revocation_job *job)
{
    return job->verdict->status != ESTUARY_REVOCATION_UNKNOWN;
}

static est_job_step end_local(est_revocation_job *job)
{
    if (est_job_crl_is_open(job))
        return est_job_close_crl(job);
    if (is_known(job) || job->engine == NULL)
        return EST_JOB_NEXT;
    if (!job->checker->offline)
        return EST_JOB_METHOD;
    if (job->verdict->code == EST_REVOCATION_NO_EVIDENCE)
        est_verdict_unknown(job->verdict, EST_REVOCATION_OFFLINE, NULL);
    return EST_JOB_NEXT;
}

static est_job_step choose_method(est_revocation_job *job)
{
    while (!is_known(job) && job->method_at < 2) {
        bool by_crl = (job->method_at++ == 0) == job->checker->crl_first;
        if (by_crl && (job->methods & ESTUARY_REVOCATION_BY_CRL) != 0)
            return est_job_begin_crl(job);
        if (!by_crl && (job->methods & ESTUARY_REVOCATION_BY_OCSP) != 0)
            return est_job_begin_ocsp(job);
    }
    return EST_JOB_NEXT;
}

static int badness(const estuary_verdict *verdict)
{
    return verdict->status == ESTUARY_REVOCATION_REVOKED ? 2
           : verdict->status == ESTUARY_REVOCATION_GOOD  ? 0
                                                         : 1;
}

static est_job_step end_certificate(est_revocation_job *job)
{
    est_ocsp_work_clear(&job->ocsp);
    est_crl_work_clear(&job->crl);
    bool is_first_look = job->engine == NULL && job->asks_later;
    if (!is_known(job) && !is_first_look && job->fallback->status == ESTUARY_REVOCATION_GOOD)
        *job->verdict = *job->fallback;
    est_job_note_certificate(job);
    if (job->index == 0 || badness(job->verdict) > badness(job->worst)) {
        *job->worst = *job->verdict;
        (void)est_int_to_size(job->index, &job->worst_index);
    }
    job->index++;
    if (job->worst->status == ESTUARY_REVOCATION_REVOKED) {
        job->status = ESTUARY_OK;
        return EST_JOB_OVER;
    }
    return EST_JOB_CERTIFICATE;
}

static est_job_step take(est_revocation_job *job)
{
    switch (job->step) {
    case EST_JOB_CERTIFICATE:
        return begin_certificate(job);
    case EST_JOB_LOCAL_OCSP:
        return est_job_local_ocsp(job);
    case EST_JOB_LOCAL_CRL:
        return est_job_local_crl(job);
    case EST_JOB_CRL_CACHED:
        return est_job_crl_cached(job);
    case EST_JOB_LOCAL_END:
        return end_local(job);
    case EST_JOB_METHOD:
        return choose_method(job);
    case EST_JOB_OCSP:
        return est_job_ocsp(job);
    case EST_JOB_OCSP_AFTER:
        return est_job_ocsp_after(job);
    case EST_JOB_CRL:
        return est_job_crl(job);
    case EST_JOB_CRL_DELTA:
        return est_job_crl_delta(job);
    case EST_JOB_CRL_JUDGE:
        return est_job_crl_judge(job);
    case EST_JOB_CRL_AFTER:
        return est_job_crl_after(job);
    case EST_JOB_CRL_STALE:
        return est_job_crl_stale(job);
    case EST_JOB_CRL_STALE_AFTER:
        return est_job_crl_stale_after(job);
    case EST_JOB_PAIRS:
        return check_pairs(job);
    case EST_JOB_NEXT:
        return end_certificate(job);
    case EST_JOB_OVER:
    default:
        return EST_JOB_OVER;
    }
}

/* --- the job --- */

void est_job_go_on(est_revocation_job *job)
{
    if (job->advancing)
        return; /* whoever is below on the stack goes on */
    job->advancing = true;
    while (!job->running && job->step != EST_JOB_OVER) {
        est_job_step step = take(job);
        if (!job->running)
            job->step = step;
    }
    job->advancing = false;
    if (job->step != EST_JOB_OVER)
        return;
    est_job_record(job);
    if (job->on_done != NULL)
        job->on_done(job->arg, job->status, job->err);
}

static bool make_verdicts(est_revocation_job *job)
{
    job->verdict = est_verdict_new();
    job->fallback = est_verdict_new();
    job->worst = est_verdict_new();
    job->candidate = est_verdict_new();
    job->err = estuary_error_new();
    return job->verdict != NULL && job->fallback != NULL && job->worst != NULL && job->candidate != NULL &&
           job->err != NULL;
}

/* Whatever stands in the chain may have signed evidence; certificates are data, who may sign is judged. */
static bool copy_certs(est_revocation_job *job, const STACK_OF(X509) *chain)
{
    job->chain = sk_X509_new_null();
    job->helpers = sk_X509_new_null();
    bool ok = job->chain != NULL && job->helpers != NULL;
    for (int i = 0; ok && i < sk_X509_num(chain); i++)
        ok = est_certs_push(job->chain, sk_X509_value(chain, i)) &&
             (i == 0 || est_certs_push(job->helpers, sk_X509_value(chain, i)));
    for (int i = 0; ok && i < sk_X509_num(job->checker->certs); i++)
        ok = est_certs_push(job->helpers, sk_X509_value(job->checker->certs, i));
    return ok;
}

estuary_status est_revocation_job_new(estuary_revocation *checker, const STACK_OF(X509) *chain,
                                      const atomic_bool *cancelled, est_revocation_job **out,
                                      estuary_error *err)
{
    *out = NULL;
    if (sk_X509_num(chain) < 1)
        return est_fail(err, EST_USAGE, "there is no certificate to check for revocation");
    estuary_status status = est_checker_begin(checker, err);
    if (status != ESTUARY_OK)
        return status;
    est_revocation_job *job = est_alloc(sizeof(*job));
    if (job == NULL)
        return est_fail_memory(err);
    job->crl.cached.fd = -1;
    job->checker = estuary_revocation_up_ref(checker);
    job->methods = checker->methods;
    job->cancelled = cancelled;
    job->step = EST_JOB_CERTIFICATE;
    job->status = ESTUARY_E_REVOKED;
    if (!make_verdicts(job) || !copy_certs(job, chain) || !est_job_make_notes(job)) {
        est_revocation_job_free(job);
        return est_fail_memory(err);
    }
    *out = job;
    return ESTUARY_OK;
}

void est_revocation_job_free(est_revocation_job *job)
{
    if (job == NULL)
        return;
    est_revocation_job_free(job->child);
    est_ocsp_work_clear(&job->ocsp);
    est_crl_work_clear(&job->crl);
    sk_X509_pop_free(job->pairs, X509_free);
    sk_X509_pop_free(job->chain, X509_free);
    sk_X509_pop_free(job->helpers, X509_free);
    est_free(job->staple.bytes);
    est_free(job->notes);
    estuary_verdict_free(job->verdict);
    estuary_verdict_free(job->fallback);
    estuary_verdict_free(job->worst);
    estuary_verdict_free(job->candidate);
    estuary_error_free(job->err);
    estuary_revocation_free(job->checker);
    est_free(job);
}

estuary_status est_revocation_job_set_staple(est_revocation_job *job, const uint8_t *der, size_t len,
                                             estuary_error *err)
{
    if (len == 0 || len > EST_OCSP_BYTES_MAX)
        return est_fail(err, EST_OCSP_MALFORMED, "the stapled OCSP response is empty or too large");
    uint8_t *copy = est_alloc(len);
    if (copy == NULL)
        return est_fail_memory(err);
    memcpy(copy, der, len);
    est_free(job->staple.bytes);
    job->staple = (est_blob){copy, len};
    return ESTUARY_OK;
}

void est_revocation_job_set_uncounted(est_revocation_job *job)
{
    job->uncounted = true;
}

static void begin(est_revocation_job *job)
{
    job->status = ESTUARY_E_REVOKED;
    job->step = EST_JOB_CERTIFICATE;
    job->index = 0;
    job->note_count = 0;
}

estuary_status est_revocation_job_look_first(est_revocation_job *job, estuary_error *err)
{
    job->asks_later = true;
    estuary_status status = est_revocation_job_look(job, err);
    job->asks_later = false;
    return status;
}

estuary_status est_revocation_job_look(est_revocation_job *job, estuary_error *err)
{
    job->engine = NULL;
    job->on_done = NULL; /* of an earlier start */
    begin(job);
    est_job_go_on(job);
    if (job->status != ESTUARY_OK)
        est_error_copy(err, job->err);
    return job->status;
}

estuary_status est_revocation_job_start(est_revocation_job *job, est_http_engine *engine,
                                        est_revocation_done_fn *on_done, void *arg, estuary_error *err)
{
    if (engine == NULL || on_done == NULL)
        return est_fail(err, EST_USAGE, NULL);
    job->engine = engine;
    job->on_done = on_done;
    job->arg = arg;
    begin(job);
    est_job_go_on(job); /* may have freed it */
    return ESTUARY_OK;
}

const estuary_verdict *est_revocation_job_verdict(const est_revocation_job *job, size_t *index)
{
    if (index != NULL)
        *index = job->worst_index;
    return job->status == ESTUARY_OK && job->index > 0 ? job->worst : NULL;
}

estuary_verdict *est_revocation_job_take_verdict(est_revocation_job *job)
{
    if (job->status != ESTUARY_OK || job->index == 0)
        return NULL;
    estuary_verdict *verdict = job->worst;
    job->worst = NULL;
    return verdict;
}
