/* The checker looks at CRLs, complete ones with their deltas (RFC 5280 6.3.3), after what is at hand. */
#include "revocation/checker.h"

#include <stdio.h>
#include <string.h>

#define DELTA_URLS_MAX 2

static void free_given_deltas(est_crl_work *work)
{
    for (size_t i = 0; i < work->given_delta_count; i++)
        est_crl_free(work->given_deltas[i]);
    est_free(work->given_deltas);
    work->given_deltas = NULL;
    work->given_delta_count = 0;
}

void est_crl_work_clear(est_crl_work *work)
{
    est_crl_fetch_free(work->fetch);
    for (size_t i = 0; i < work->count; i++)
        est_free(work->places[i].url);
    est_free(work->places);
    free_given_deltas(work);
    est_crl_free(work->complete);
    est_crl_free(work->delta);
    est_urls_free(&work->delta_urls);
    est_crl_state_clear(&work->state);
    estuary_verdict_free(work->verdict);
    CRL_DIST_POINTS_free(work->dps);
    CRL_DIST_POINTS_free(work->freshest);
    *work = (est_crl_work){0};
}

/* --- where to look --- */

static bool add_place(est_crl_work *work, const DIST_POINT *dp, const char *url)
{
    char *copy = est_strdup(url);
    if (copy == NULL)
        return false;
    work->places[work->count++] = (est_crl_place){dp, copy, dp == NULL && strstr(url, "://") == NULL};
    return true;
}

static estuary_status add_dist_point(est_crl_work *work, const DIST_POINT *dp, size_t max, size_t room,
                                     estuary_error *err)
{
    est_urls urls;
    estuary_status status = est_urls_of_dist_point(dp, max, &urls, err);
    for (size_t i = 0; status == ESTUARY_OK && i < urls.count && work->count < room; i++) {
        if (!add_place(work, dp, urls.at[i]))
            status = est_fail_memory(err);
    }
    est_urls_free(&urls);
    return status;
}

static estuary_status find_places(est_revocation_job *job, estuary_error *err)
{
    est_crl_work *work = &job->crl;
    const est_urls *given = &job->checker->crls;
    size_t max = 0;
    (void)est_int_to_size((long)est_checker_limit(job->checker, ESTUARY_REVOCATION_URLS), &max);
    size_t room = given->count + max;
    work->dps = X509_get_ext_d2i(job->question.certificate, NID_crl_distribution_points, NULL, NULL);
    work->freshest = X509_get_ext_d2i(job->question.certificate, NID_freshest_crl, NULL, NULL);
    work->verdict = est_verdict_new();
    work->state.verdict = work->verdict;
    work->places = est_alloc((room + 1) * sizeof(*work->places));
    if (work->verdict == NULL || work->places == NULL)
        return est_fail_memory(err);
    for (size_t i = 0; i < given->count; i++) {
        if (!add_place(work, NULL, given->at[i]))
            return est_fail_memory(err);
    }
    for (int i = 0; i < sk_DIST_POINT_num(work->dps) && work->count < room; i++) {
        estuary_status status = add_dist_point(work, sk_DIST_POINT_value(work->dps, i), max, room, err);
        if (status != ESTUARY_OK)
            return status;
    }
    return ESTUARY_OK;
}

/* --- judging --- */

static void note_unknown(est_revocation_job *job, const char *origin, const estuary_error *err)
{
    estuary_verdict note = {.reason = -1};
    est_verdict_set_origin(&note, origin);
    est_verdict_unknown(&note, est_error_code_of(err), "%s: %s", origin, estuary_error_message(err));
    est_verdict_add(job->crl.verdict, &note);
}

/* The newest of those that belong to it. */
static const est_crl *fitting_delta(const est_crl_work *work, const est_crl *complete)
{
    const est_crl *best =
        work->delta != NULL && est_crl_delta_belongs(complete, work->delta) ? work->delta : NULL;
    for (size_t i = 0; i < work->given_delta_count; i++) {
        const est_crl *delta = work->given_deltas[i];
        if (est_crl_delta_belongs(complete, delta) &&
            (best == NULL || delta->this_update > best->this_update))
            best = delta;
    }
    return best;
}

/*
 * RFC 5280 5.2.6 leaves it to us. What a CA publishes in deltas alone could be held back by whoever sits on
 * the way, so a CRL that announces one says "good" only together with it. A delta that is out of date is
 * none, unless the complete CRL was made after it.
 */
static bool lacks_delta(est_revocation_job *job, const est_crl *complete, const est_crl *delta)
{
    estuary_verdict why = {.reason = -1};
    if (job->crl.delta_urls.count == 0)
        return false;
    if (delta == NULL)
        return true;
    if (complete->this_update >= delta->this_update ||
        est_question_is_fresh(&job->question, delta->this_update, delta->next_update, "the delta CRL", &why))
        return false;
    snprintf(job->crl.delta_why, sizeof(job->crl.delta_why), "it is out of date");
    return true;
}

static void set_origin(estuary_verdict *verdict, const estuary_verdict *before, const char *origin,
                       bool cached)
{
    if (verdict->status == before->status && verdict->code == before->code)
        return; /* this CRL changed nothing */
    est_verdict_set_origin(verdict, origin);
    verdict->cached = cached;
}

/* A CRL that is not enough for "good": what it lists is revoked all the same (R0). */
static estuary_status judge_revoked_only(est_revocation_job *job, const est_crl_place *place,
                                         const est_crl *complete, const est_crl *delta, est_code otherwise)
{
    est_crl_work *work = &job->crl;
    estuary_verdict alone = {.reason = -1};
    est_verdict_unknown(&alone, EST_REVOCATION_NO_EVIDENCE, NULL);
    est_crl_state state = {.verdict = &alone};
    estuary_status status = est_crl_judge(&job->question, place->dp, complete, delta, &state, job->err);
    est_verdict_set_origin(&alone, place->url);
    if (status == ESTUARY_OK && alone.status == ESTUARY_REVOCATION_REVOKED) {
        est_crl_state_clear(&work->state);
        work->state = state;
        work->state.verdict = work->verdict;
        *work->verdict = alone;
        return ESTUARY_OK;
    }
    if (status == ESTUARY_OK && otherwise != EST_OK_CODE) {
        if (alone.status == ESTUARY_REVOCATION_GOOD || state.reasons != 0)
            est_verdict_unknown(&alone, otherwise, "%s: %s%s%s", place->url, est_code_sentence(otherwise),
                                work->delta_why[0] == '\0' ? "" : ": ", work->delta_why);
        est_verdict_add(work->verdict, &alone);
    }
    est_crl_state_clear(&state);
    return status;
}

static estuary_status judge(est_revocation_job *job, const est_crl_place *place, const est_crl *complete,
                            bool cached)
{
    est_crl_work *work = &job->crl;
    estuary_verdict before = *work->verdict;
    const est_crl *delta = fitting_delta(work, complete);
    if (work->verdict->status == ESTUARY_REVOCATION_REVOKED)
        return ESTUARY_OK;
    if (lacks_delta(job, complete, delta))
        return judge_revoked_only(job, place, complete, delta, EST_CRL_DELTA_MISSING);
    estuary_status status = est_crl_judge(&job->question, place->dp, complete, delta, &work->state, job->err);
    if (status == ESTUARY_OK)
        set_origin(work->verdict, &before, place->url, cached);
    return status;
}

/*
 * The verdict counts when those who signed the CRLs are good themselves (RFC 5280 6.3.3 (f)). While it is
 * unknown they stay with the reasons that their CRLs cover; once proposed, nothing of it is used again: a
 * "good" whose signer turns out to be revoked must not be proposed a second time without its signers.
 */
static est_job_step propose(est_revocation_job *job, est_job_step after)
{
    est_crl_work *work = &job->crl;
    STACK_OF(X509) *pairs = NULL;
    *job->candidate = *work->verdict;
    if (work->verdict->status != ESTUARY_REVOCATION_UNKNOWN) {
        pairs = work->state.delegates;
        work->state = (est_crl_state){.verdict = work->verdict};
        est_verdict_unknown(work->verdict, EST_REVOCATION_NO_EVIDENCE, NULL);
    }
    return est_job_propose(job, &pairs, after);
}

/* --- at hand --- */

static bool add_given_delta(est_crl_work *work, est_crl *delta, size_t max)
{
    if (work->given_deltas == NULL)
        work->given_deltas = est_alloc(max * sizeof(est_crl *));
    if (work->given_deltas == NULL)
        return false;
    work->given_deltas[work->given_delta_count++] = delta;
    return true;
}

/* A file that is not there is the caller's mistake; one that is no CRL of this issuer just says nothing. */
static estuary_status read_given(est_revocation_job *job, const est_crl_place *place, est_crl **out)
{
    estuary_status status =
        est_crl_read_file(place->url, &job->question,
                          est_checker_limit(job->checker, ESTUARY_REVOCATION_CRL_BYTES), out, job->err);
    if (status != ESTUARY_E_REVOKED)
        return status;
    note_unknown(job, place->url, job->err);
    return ESTUARY_OK;
}

/* Deltas first: they are judged together with what they build on. */
static estuary_status take_given(est_revocation_job *job, bool deltas)
{
    est_crl_work *work = &job->crl;
    for (size_t i = 0; i < work->count; i++) {
        est_crl *crl = NULL;
        if (!work->places[i].is_file)
            continue;
        estuary_status status = read_given(job, &work->places[i], &crl);
        if (status == ESTUARY_OK && crl != NULL && (crl->base_number != NULL) == deltas) {
            if (!deltas)
                status = judge(job, &work->places[i], crl, false);
            else if (!add_given_delta(work, crl, work->count))
                status = est_fail_memory(job->err);
            else
                crl = NULL;
        }
        est_crl_free(crl);
        if (status != ESTUARY_OK)
            return status;
    }
    return ESTUARY_OK;
}

static estuary_status find_delta_urls(est_revocation_job *job, const est_crl *complete)
{
    est_crl_work *work = &job->crl;
    const STACK_OF(DIST_POINT) *lists[] = {complete->freshest, work->freshest};
    est_urls_free(&work->delta_urls);
    work->delta_url = 0;
    work->delta_why[0] = '\0';
    for (size_t i = 0; i < 2; i++) {
        for (int k = 0; k < sk_DIST_POINT_num(lists[i]) && work->delta_urls.count == 0; k++) {
            est_urls_free(&work->delta_urls);
            estuary_status status = est_urls_of_dist_point(sk_DIST_POINT_value(lists[i], k), DELTA_URLS_MAX,
                                                           &work->delta_urls, job->err);
            if (status != ESTUARY_OK)
                return status;
        }
    }
    return ESTUARY_OK;
}

/* *recent: nobody need be asked about it. */
static estuary_status take_cached_delta(est_revocation_job *job, const est_crl *complete, bool *recent)
{
    est_crl_work *work = &job->crl;
    estuary_status status = find_delta_urls(job, complete);
    bool is_recent = true;
    est_crl_free(work->delta);
    work->delta = NULL;
    for (size_t i = 0; status == ESTUARY_OK && work->delta == NULL && i < work->delta_urls.count; i++)
        status = est_crl_from_cache(job->checker, &job->question, work->delta_urls.at[i], &is_recent,
                                    &work->delta, job->err);
    *recent = *recent && is_recent;
    return status;
}

/* Recent enough that nobody need be asked; in force is enough where nobody can be, and for "revoked". */
static estuary_status take_cached(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    bool may_ask = est_job_may_ask(job);
    for (size_t i = 0; i < work->count; i++) {
        est_crl *crl = NULL;
        bool recent = false;
        if (work->places[i].is_file)
            continue;
        estuary_status status =
            est_crl_from_cache(job->checker, &job->question, work->places[i].url, &recent, &crl, job->err);
        if (status == ESTUARY_OK && crl != NULL)
            status = take_cached_delta(job, crl, &recent);
        if (status == ESTUARY_OK && crl != NULL && crl->base_number == NULL)
            status = recent || !may_ask ? judge(job, &work->places[i], crl, true)
                                        : judge_revoked_only(job, &work->places[i], crl,
                                                             fitting_delta(work, crl), EST_OK_CODE);
        est_crl_free(crl);
        if (status != ESTUARY_OK)
            return status;
    }
    est_crl_free(work->delta);
    work->delta = NULL;
    est_urls_free(&work->delta_urls);
    return ESTUARY_OK;
}

est_job_step est_job_local_crl(est_revocation_job *job)
{
    est_crl_work_clear(&job->crl);
    if ((job->methods & ESTUARY_REVOCATION_BY_CRL) == 0)
        return EST_JOB_LOCAL_END;
    estuary_status status = find_places(job, job->err);
    if (status == ESTUARY_OK)
        status = take_given(job, true);
    if (status == ESTUARY_OK)
        status = take_given(job, false);
    if (status == ESTUARY_OK)
        status = take_cached(job);
    return status == ESTUARY_OK ? propose(job, EST_JOB_LOCAL_END) : est_job_fail(job, status);
}

/* --- the network --- */

est_job_step est_job_begin_crl(est_revocation_job *job)
{
    job->crl.at = 0;
    return EST_JOB_CRL;
}

static void on_complete(void *arg, estuary_status status, est_crl *crl, bool from_cache,
                        const estuary_error *err)
{
    est_revocation_job *job = arg;
    est_crl_work *work = &job->crl;
    est_crl_fetch_free(work->fetch);
    work->fetch = NULL;
    job->running = false;
    if (status == ESTUARY_E_CANCELLED || status == ESTUARY_E_MEMORY) {
        est_error_copy(job->err, err);
        job->step = est_job_fail(job, status);
    } else if (status != ESTUARY_OK) {
        note_unknown(job, work->places[work->at].url, err);
        work->counted = false;
        work->at++;
        job->step = EST_JOB_CRL;
    } else {
        est_crl_free(work->complete);
        work->complete = crl;
        work->complete_cached = from_cache;
        est_crl_free(work->delta);
        work->delta = NULL;
        status = find_delta_urls(job, crl);
        job->step = status == ESTUARY_OK ? EST_JOB_CRL_DELTA : est_job_fail(job, status);
    }
    est_job_go_on(job);
}

static void on_delta(void *arg, estuary_status status, est_crl *crl, bool from_cache,
                     const estuary_error *err)
{
    est_revocation_job *job = arg;
    est_crl_work *work = &job->crl;
    (void)from_cache;
    est_crl_fetch_free(work->fetch);
    work->fetch = NULL;
    job->running = false;
    job->step = EST_JOB_CRL_DELTA;
    if (status == ESTUARY_E_CANCELLED || status == ESTUARY_E_MEMORY) {
        est_error_copy(job->err, err);
        job->step = est_job_fail(job, status);
    } else if (status == ESTUARY_OK) {
        est_crl_free(work->delta);
        work->delta = crl;
        job->step = EST_JOB_CRL_JUDGE;
    } else {
        snprintf(work->delta_why, sizeof(work->delta_why), "%s", estuary_error_message(err));
        est_log(job->checker->log, ESTUARY_LOG_WARNING, "revocation.delta", estuary_error_message(err), "url",
                work->delta_urls.at[work->delta_url - 1], NULL);
    }
    est_job_go_on(job);
}

/* *status: ESTUARY_OK when it runs. */
static est_job_step start(est_revocation_job *job, const char *url, est_crl_fetch_done_fn *on_done,
                          estuary_status *status)
{
    est_crl_fetch_plan plan = {.checker = job->checker,
                               .engine = job->engine,
                               .question = &job->question,
                               .url = url,
                               .cancelled = job->cancelled,
                               .arg = job,
                               .on_done = on_done};
    job->running = true;
    *status = est_crl_fetch_start(&plan, &job->crl.fetch, job->err);
    if (*status != ESTUARY_OK)
        job->running = false;
    return job->step;
}

/* Another URL of a distribution point whose CRL counted already. */
static bool is_done_with(const est_crl_work *work, size_t at)
{
    return at > 0 && work->counted && work->places[at].dp != NULL &&
           work->places[at].dp == work->places[at - 1].dp;
}

est_job_step est_job_crl(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    estuary_status status = ESTUARY_OK;
    while (work->at < work->count && (work->places[work->at].is_file || is_done_with(work, work->at)))
        work->at++;
    est_crl_free(work->complete);
    work->complete = NULL;
    if (work->at >= work->count)
        return propose(job, EST_JOB_METHOD);
    est_job_step step = start(job, work->places[work->at].url, on_complete, &status);
    if (status == ESTUARY_OK)
        return step;
    if (status == ESTUARY_E_MEMORY || status == ESTUARY_E_CANCELLED)
        return est_job_fail(job, status);
    note_unknown(job, work->places[work->at].url, job->err);
    work->at++;
    return EST_JOB_CRL;
}

est_job_step est_job_crl_delta(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    estuary_status status = ESTUARY_OK;
    if (work->delta_url >= work->delta_urls.count)
        return EST_JOB_CRL_JUDGE;
    est_job_step step = start(job, work->delta_urls.at[work->delta_url++], on_delta, &status);
    if (status == ESTUARY_OK)
        return step;
    return status == ESTUARY_E_MEMORY || status == ESTUARY_E_CANCELLED ? est_job_fail(job, status)
                                                                       : EST_JOB_CRL_DELTA;
}

est_job_step est_job_crl_judge(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    const est_crl_place *place = &work->places[work->at];
    unsigned covered = work->state.reasons;
    estuary_status status = judge(job, place, work->complete, work->complete_cached);
    if (status != ESTUARY_OK)
        return est_job_fail(job, status);
    work->counted = work->state.reasons != covered;
    work->at++;
    return work->verdict->status == ESTUARY_REVOCATION_UNKNOWN ? EST_JOB_CRL
                                                               : propose(job, EST_JOB_CRL_AFTER);
}

est_job_step est_job_crl_after(est_revocation_job *job)
{
    return job->verdict->status != ESTUARY_REVOCATION_UNKNOWN ? EST_JOB_NEXT : EST_JOB_CRL;
}
