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
    est_http_turn_cancel(&work->turn);
    est_crl_lookup_free(work->lookup);
    est_crl_cached_clear(&work->cached);
    est_crl_free(work->cached_complete);
    sk_X509_pop_free(work->stale_delegates, X509_free);
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
    *work = (est_crl_work){.cached = {.fd = -1}};
}

/* --- where to look --- */

static bool add_place(est_crl_work *work, const DIST_POINT *dp, const char *url)
{
    char *copy = est_strdup(url);
    if (copy == NULL)
        return false;
    work->places[work->count++] = (est_crl_place){dp, copy, dp == NULL && !est_url_looks_like_one(url)};
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
    int found = -1; /* stays so only where there is none: one that cannot be read announces a delta too */
    work->freshest = X509_get_ext_d2i(job->question.certificate, NID_freshest_crl, &found, NULL);
    work->announced = work->freshest != NULL || found != -1;
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
 * the way, or replaced by an older one, so a CRL that announces a delta says "good" only together with one
 * that is in force, whether or not there is a URL that can be asked for it.
 */
static bool lacks_delta(est_revocation_job *job, const est_crl *complete, const est_crl *delta)
{
    estuary_verdict why = {.reason = -1};
    if (complete->freshest == NULL && !job->crl.announced)
        return false;
    if (delta == NULL)
        return true;
    if (est_question_is_fresh(&job->question, delta->this_update, delta->next_update, "the delta CRL", &why))
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

/* Of several the newest. */
static void hold_stale(est_crl_work *work, const estuary_verdict *revoked, est_crl_state *state)
{
    if (work->stale.status == ESTUARY_REVOCATION_REVOKED && work->stale.this_update >= revoked->this_update)
        return;
    sk_X509_pop_free(work->stale_delegates, X509_free);
    work->stale = *revoked;
    work->stale_delegates = state->delegates;
    state->delegates = NULL;
}

static void take_revoked(est_crl_work *work, const estuary_verdict *revoked, est_crl_state *state)
{
    est_crl_state_clear(&work->state);
    work->state = *state;
    work->state.verdict = work->verdict;
    *work->verdict = *revoked;
    *state = (est_crl_state){.verdict = state->verdict};
}

/* A CRL that is not enough for "good": what it lists is revoked all the same (R0). */
static estuary_status judge_revoked_only(est_revocation_job *job, const est_crl_place *place,
                                         const est_crl *complete, const est_crl *delta, bool cached,
                                         est_code otherwise)
{
    est_crl_work *work = &job->crl;
    estuary_verdict alone = {.reason = -1};
    est_verdict_unknown(&alone, EST_REVOCATION_NO_EVIDENCE, NULL);
    est_crl_state state = {.verdict = &alone};
    estuary_status status = est_crl_judge(&job->question, place->dp, complete, delta, &state, job->err);
    est_verdict_set_origin(&alone, place->url);
    alone.cached = cached;
    if (status == ESTUARY_OK && alone.status == ESTUARY_REVOCATION_REVOKED) {
        if (alone.outdated && est_job_may_ask(job))
            hold_stale(work, &alone, &state);
        else if (work->verdict->status != ESTUARY_REVOCATION_REVOKED || sk_X509_num(state.delegates) <= 0)
            take_revoked(work, &alone, &state);
    } else if (status == ESTUARY_OK && otherwise != EST_OK_CODE) {
        if (alone.status == ESTUARY_REVOCATION_GOOD || state.reasons != 0)
            est_verdict_unknown(&alone, otherwise, "%s: %s%s%s", place->url, est_code_sentence(otherwise),
                                work->delta_why[0] == '\0' ? "" : ": ", work->delta_why);
        est_verdict_add(work->verdict, &alone);
    }
    est_crl_state_clear(&state);
    return status;
}

/* Revoked, and nobody else's status matters for it; else another CRL may say so without such a condition. */
static bool is_settled(const est_crl_work *work)
{
    return work->verdict->status == ESTUARY_REVOCATION_REVOKED && sk_X509_num(work->state.delegates) <= 0;
}

static estuary_status judge(est_revocation_job *job, const est_crl_place *place, const est_crl *complete,
                            bool cached)
{
    est_crl_work *work = &job->crl;
    estuary_verdict before = *work->verdict;
    const est_crl *delta = fitting_delta(work, complete);
    if (is_settled(work))
        return ESTUARY_OK;
    if (work->verdict->status == ESTUARY_REVOCATION_REVOKED)
        return judge_revoked_only(job, place, complete, delta, cached, EST_OK_CODE);
    if (lacks_delta(job, complete, delta))
        return judge_revoked_only(job, place, complete, delta, cached, EST_CRL_DELTA_MISSING);
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
    est_job_note_unknown(job->crl.verdict, place->url, job->err);
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

/* What is cached for the next URL: a complete CRL's, or its delta's. NULL: there are no more. */
static const char *next_cached_url(est_crl_work *work)
{
    if (work->cached_complete != NULL)
        return work->delta == NULL && work->delta_url < work->delta_urls.count
                   ? work->delta_urls.at[work->delta_url++]
                   : NULL;
    while (work->cached_at < work->count && work->places[work->cached_at].is_file)
        work->cached_at++;
    return work->cached_at < work->count ? work->places[work->cached_at].url : NULL;
}

/* Nothing there is one thing; not to know what is there is another: it may say revoked. */
static estuary_status begin_lookup(est_revocation_job *job, const char *url)
{
    est_crl_work *work = &job->crl;
    char key[EST_CRL_KEY_SIZE];
    bool is_delta = work->cached_complete != NULL;
    est_crl_cached_clear(&work->cached);
    if (!est_checker_caches(job->checker)) {
        work->recent = false;
        return ESTUARY_OK;
    }
    if (!est_crl_cache_key(url, job->question.issuer, key))
        return est_fail_openssl(job->err, EST_CRYPTO, NULL);
    if (!est_crl_cache_get(job->checker->crl_cache, key, &work->cached)) {
        work->recent = false;
        return work->cached.failed ? est_fail_memory(job->err) : ESTUARY_OK;
    }
    bool recent = est_crl_need_not_ask(job->checker, &work->cached, &job->question);
    work->recent = is_delta ? work->recent && recent : recent;
    return est_crl_lookup_new(job->checker, &job->question, &work->cached, &work->lookup, job->err);
}

static void end_lookup(est_crl_work *work)
{
    est_crl_lookup_free(work->lookup);
    work->lookup = NULL;
    est_crl_cached_clear(&work->cached);
}

/*
 * A piece of it, in the loop of whoever lends its engine; with nobody's loop, all. Inside of a handshake
 * there is time for one piece only: what is larger, and has no index, is read later.
 */
static estuary_status look_into(est_revocation_job *job, bool *waits, est_crl **out)
{
    est_crl_work *work = &job->crl;
    bool in_loop = job->engine != NULL;
    bool in_handshake = !in_loop && job->asks_later;
    *out = NULL;
    *waits = false;
    estuary_status status = est_crl_lookup_step(
        work->lookup, in_loop || in_handshake ? EST_CRL_TURN_BYTES : UINT64_MAX, out, job->err);
    if (status == ESTUARY_OK && *out == NULL && in_loop) {
        *waits = true;
        return ESTUARY_OK;
    }
    if (status == ESTUARY_OK && *out == NULL)
        *out = est_crl_lookup_take(work->lookup);
    if (status == ESTUARY_OK && *out == NULL)
        work->postponed = true;
    if (*out != NULL && (est_crl_need_not_ask(job->checker, &work->cached, &job->question) ||
                         job->checker->offline)) /* else a server is asked: a miss */
        est_count(job->checker->metrics, "revocation_crl_cache_hits");
    end_lookup(work);
    if (status == ESTUARY_OK || status == ESTUARY_E_MEMORY)
        return status;
    work->unread = true; /* it was verified when it came: what it says is not known, and "good" has to wait */
    return ESTUARY_OK;
}

/* Recent enough that nobody need be asked; whatever its age where nobody can be, and for "revoked". */
static estuary_status judge_cached(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    const est_crl *crl = work->cached_complete;
    const est_crl_place *place = &work->places[work->cached_at];
    estuary_verdict why = {.reason = -1};
    bool counts =
        !est_job_may_ask(job) || (work->recent && est_question_is_fresh(&job->question, crl->this_update,
                                                                        crl->next_update, "the CRL", &why));
    if (crl->base_number != NULL || is_settled(work))
        return ESTUARY_OK;
    return counts ? judge(job, place, crl, true)
                  : judge_revoked_only(job, place, crl, fitting_delta(work, crl), true, EST_OK_CODE);
}

static estuary_status end_place(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    estuary_status status = judge_cached(job);
    est_crl_free(work->cached_complete);
    work->cached_complete = NULL;
    est_crl_free(work->delta);
    work->delta = NULL;
    est_urls_free(&work->delta_urls);
    work->cached_at++;
    return status;
}

static estuary_status take_found(est_revocation_job *job, est_crl *crl)
{
    est_crl_work *work = &job->crl;
    if (work->cached_complete != NULL) {
        work->delta = crl; /* NULL: the next URL, if there is one */
        return ESTUARY_OK;
    }
    work->cached_complete = crl;
    if (crl != NULL)
        return find_delta_urls(job, crl);
    work->cached_at++;
    return ESTUARY_OK;
}

static void on_turn(void *arg)
{
    est_revocation_job *job = arg;
    job->running = false;
    if (job->cancelled != NULL && atomic_load(job->cancelled))
        job->step = est_job_fail(job, est_fail(job->err, EST_CANCELLED, NULL));
    est_job_go_on(job);
}

static est_job_step wait_for_turn(est_revocation_job *job)
{
    job->crl.turn.fn = on_turn;
    job->crl.turn.arg = job;
    job->running = true;
    job->step = EST_JOB_CRL_CACHED;
    est_http_turn_ask(&job->crl.turn, job->engine);
    return job->step;
}

est_job_step est_job_crl_cached(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    estuary_status status = ESTUARY_OK;
    while (status == ESTUARY_OK) {
        est_crl *crl = NULL;
        bool waits = false;
        if (work->lookup != NULL) {
            status = look_into(job, &waits, &crl);
        } else {
            const char *url = next_cached_url(work);
            if (url == NULL && work->cached_complete == NULL)
                return propose(job, EST_JOB_LOCAL_END);
            status = url == NULL ? end_place(job) : begin_lookup(job, url);
            if (url == NULL || work->lookup != NULL)
                continue;
        }
        if (waits)
            return wait_for_turn(job);
        if (status == ESTUARY_OK)
            status = take_found(job, crl);
        else
            est_crl_free(crl);
    }
    return est_job_fail(job, status);
}

est_job_step est_job_local_crl(est_revocation_job *job)
{
    est_crl_work_clear(&job->crl);
    est_verdict_unknown(&job->crl.held, EST_REVOCATION_NO_EVIDENCE, NULL);
    if ((job->methods & ESTUARY_REVOCATION_BY_CRL) == 0)
        return EST_JOB_LOCAL_END;
    estuary_status status = find_places(job, job->err);
    if (status == ESTUARY_OK)
        status = take_given(job, true);
    if (status == ESTUARY_OK)
        status = take_given(job, false);
    return status == ESTUARY_OK ? EST_JOB_CRL_CACHED : est_job_fail(job, status);
}

/* --- what is past its dates, and says revoked --- */

static bool holds_stale(const est_crl_work *work)
{
    return work->stale.status == ESTUARY_REVOCATION_REVOKED;
}

bool est_job_crl_is_open(const est_revocation_job *job)
{
    bool may_be_good =
        job->verdict->status == ESTUARY_REVOCATION_GOOD || job->fallback->status == ESTUARY_REVOCATION_GOOD;
    return holds_stale(&job->crl) || job->crl.postponed || (job->crl.unread && may_be_good);
}

static void say_open(const est_crl_work *work, estuary_verdict *verdict)
{
    if (work->postponed)
        est_verdict_unknown(verdict, EST_REVOCATION_NO_EVIDENCE,
                            "a cached CRL is too large to be read on the spot");
    else if (holds_stale(work))
        est_verdict_unknown(verdict, EST_REVOCATION_STALE,
                            "a cached CRL that is out of date lists the certificate");
    else
        est_verdict_unknown(verdict, EST_REVOCATION_NO_EVIDENCE, "a cached CRL cannot be read");
}

/*
 * What is known besides, an OCSP response that says "good" for one, waits: servers are asked for a newer CRL,
 * and only that can take its place. Who looks on the spot learns that somebody must be asked.
 */
est_job_step est_job_close_crl(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    if (job->verdict->status == ESTUARY_REVOCATION_REVOKED)
        return EST_JOB_NEXT;
    if (work->unread)
        est_job_drop_fallback(job);
    if (job->engine == NULL || job->checker->offline) {
        say_open(work, job->verdict);
        return EST_JOB_NEXT;
    }
    if (!work->unread) /* else whoever is asked now has to say it anew */
        work->held = *job->verdict;
    est_verdict_unknown(job->verdict, EST_REVOCATION_NO_EVIDENCE, NULL);
    est_job_step step = est_job_begin_crl(job);
    work->is_done = true;
    return step;
}

static est_job_step after_servers(const est_crl_work *work)
{
    return holds_stale(work) ? EST_JOB_CRL_STALE : EST_JOB_METHOD;
}

/* The servers were asked. A newer CRL that says "good" took the entry back; nothing else did (R0). */
est_job_step est_job_crl_stale(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    STACK_OF(X509) *pairs = work->stale_delegates;
    const estuary_verdict *verdict = job->verdict;
    work->stale_delegates = NULL;
    if (verdict->status == ESTUARY_REVOCATION_REVOKED ||
        (verdict->status == ESTUARY_REVOCATION_GOOD && verdict->this_update > work->stale.this_update)) {
        sk_X509_pop_free(pairs, X509_free);
        return EST_JOB_NEXT;
    }
    *job->candidate = work->stale;
    est_verdict_unknown(&work->stale, EST_REVOCATION_NO_EVIDENCE, NULL);
    return est_job_propose(job, &pairs, EST_JOB_CRL_STALE_AFTER);
}

/* Still unknown when whoever signed it is not good itself: then it was no evidence. */
est_job_step est_job_crl_stale_after(est_revocation_job *job)
{
    est_verdict_add(job->verdict, &job->crl.held);
    job->crl.is_done = true;
    return job->verdict->status != ESTUARY_REVOCATION_UNKNOWN ? EST_JOB_NEXT : EST_JOB_METHOD;
}

/* --- the network --- */

est_job_step est_job_begin_crl(est_revocation_job *job)
{
    job->crl.at = 0;
    return job->crl.is_done ? EST_JOB_METHOD : EST_JOB_CRL;
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
        est_job_note_unknown(job->crl.verdict, work->places[work->at].url, err);
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
static est_job_step start(est_revocation_job *job, const char *url, bool wants_delta, estuary_status *status)
{
    est_crl_fetch_plan plan = {.checker = job->checker,
                               .engine = job->engine,
                               .question = &job->question,
                               .dp = wants_delta ? NULL : job->crl.places[job->crl.at].dp,
                               .url = url,
                               .wants_delta = wants_delta,
                               .cancelled = job->cancelled,
                               .arg = job,
                               .on_done = wants_delta ? on_delta : on_complete};
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
        return propose(job, after_servers(work));
    est_job_step step = start(job, work->places[work->at].url, false, &status);
    if (status == ESTUARY_OK)
        return step;
    if (status == ESTUARY_E_MEMORY || status == ESTUARY_E_CANCELLED)
        return est_job_fail(job, status);
    est_job_note_unknown(job->crl.verdict, work->places[work->at].url, job->err);
    work->at++;
    return EST_JOB_CRL;
}

est_job_step est_job_crl_delta(est_revocation_job *job)
{
    est_crl_work *work = &job->crl;
    estuary_status status = ESTUARY_OK;
    if (work->delta_url >= work->delta_urls.count)
        return EST_JOB_CRL_JUDGE;
    est_job_step step = start(job, work->delta_urls.at[work->delta_url++], true, &status);
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
    if (job->verdict->status == ESTUARY_REVOCATION_UNKNOWN)
        return EST_JOB_CRL;
    return holds_stale(&job->crl) ? EST_JOB_CRL_STALE : EST_JOB_NEXT;
}
