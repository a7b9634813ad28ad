/*
 * RFC 5280 6.3.3, for one CRL and perhaps its delta: what does it say about the certificate? (R0, R4, R6)
 * "revoked" needs an entry in a CRL that is genuine, in force and about the certificate. "good" needs more:
 * nothing left open at all. Everything else is "unknown", and says why.
 */
#include "revocation/crl_judge.h"

#include <stdio.h>

#define REASON_CERTIFICATE_HOLD 6
#define REASON_REMOVE_FROM_CRL  8

/* One call of est_crl_judge(). */
typedef struct judgement {
    const est_question *question;
    const est_crl *complete, *delta;
    est_crl_state *state;
    est_crl_scope scope;
    est_delta_use use;
    estuary_verdict misfit; /* why the delta cannot be used */
    bool in_force;          /* the complete CRL, or what it becomes with the delta */
    bool is_past;           /* it was in force */
    bool delta_is_fresh;
    char staleness[512]; /* of the complete CRL, in words */
    STACK_OF(X509) *delegates;
    estuary_verdict verdict;
} judgement;

void est_crl_state_clear(est_crl_state *state)
{
    sk_X509_pop_free(state->delegates, X509_free);
    state->delegates = NULL;
}

/* --- what the entries say --- */

static bool is_lifted(const est_crl *crl)
{
    return crl->removed || (crl->found && crl->reason == REASON_REMOVE_FROM_CRL);
}

static bool says_revoked(const est_crl *crl)
{
    return crl->found && !is_lifted(crl);
}

/* R0: revoked for good stays revoked, whatever the clock says; a hold may have been lifted meanwhile. */
static bool outlives_its_dates(const est_crl *crl)
{
    return crl->reason != REASON_CERTIFICATE_HOLD;
}

static bool delta_lists(const judgement *job)
{
    return job->use != EST_DELTA_NONE && job->use != EST_DELTA_MISFIT && says_revoked(job->delta);
}

/* (i) */
static bool delta_says_revoked(const judgement *job)
{
    return delta_lists(job) && (job->delta_is_fresh || outlives_its_dates(job->delta));
}

static bool delta_lifts(const judgement *job)
{
    return job->use == EST_DELTA_APPLIES && is_lifted(job->delta);
}

/*
 * (j), (k). Only a hold can be lifted (RFC 5280 5.3.1); removeFromCRL for what was revoked for good means
 * that the certificate has expired, and it stays revoked.
 */
static bool complete_says_revoked(const judgement *job)
{
    const est_crl *complete = job->complete;
    bool on_hold = complete->found && complete->reason == REASON_CERTIFICATE_HOLD;
    bool counts = job->in_force || (job->is_past && outlives_its_dates(complete));
    return counts && says_revoked(complete) && !(on_hold && delta_lifts(job));
}

/* --- dates --- */

/*
 * (a). With a delta the two make a CRL with the delta's own dates (RFC 5280 5.2.4), so that a complete CRL
 * past its nextUpdate still serves as its base.
 */
static bool find_in_force(judgement *job)
{
    const est_crl *complete = job->complete;
    estuary_verdict *verdict = &job->verdict;
    if (est_question_is_fresh(job->question, complete->this_update, complete->next_update,
                              complete->base_number == NULL ? "the CRL" : "the delta CRL", verdict))
        return true;
    bool is_past = verdict->code == EST_REVOCATION_STALE || verdict->code == EST_REVOCATION_TOO_OLD;
    job->is_past = is_past && complete->this_update > 0;
    snprintf(job->staleness, sizeof(job->staleness), "%s", verdict->why);
    return job->is_past && job->use == EST_DELTA_APPLIES;
}

static const est_crl *newest(const judgement *job)
{
    return job->use == EST_DELTA_APPLIES ? job->delta : job->complete;
}

/*
 * RFC 5280 3.3: an entry may go once it stood in a CRL "issued beyond the revoked certificate's validity
 * period". What is not in a CRL made after that may have been there.
 */
static bool may_have_been_dropped(const judgement *job)
{
    time_t expires = 0;
    return !est_asn1_time(X509_get0_notAfter(job->question->certificate), &expires) ||
           newest(job)->this_update > expires;
}

/* --- the verdict --- */

static void set_revoked(judgement *job, const est_crl *by)
{
    estuary_verdict *verdict = &job->verdict;
    verdict->status = ESTUARY_REVOCATION_REVOKED;
    verdict->code = EST_OK_CODE;
    verdict->why[0] = '\0';
    verdict->outdated = by == job->complete && !job->in_force;
    if (verdict->outdated)
        snprintf(verdict->why, sizeof(verdict->why), "%.400s; what it revoked for good stays revoked",
                 job->staleness);
    verdict->evidence = by->base_number == NULL ? ESTUARY_REVOCATION_CRL : ESTUARY_REVOCATION_DELTA;
    verdict->revoked_at = by->revoked_at;
    verdict->reason = by->reason;
    verdict->this_update = by->this_update;
    verdict->next_update = by->next_update;
}

static time_t earlier(time_t a, time_t b)
{
    if (a == 0 || b == 0)
        return a == 0 ? b : a;
    return a < b ? a : b;
}

/* (l) */
static void add_reasons(judgement *job)
{
    est_crl_state *state = job->state;
    state->reasons |= job->scope.reasons;
    state->this_update = earlier(state->this_update, newest(job)->this_update);
    state->next_update = earlier(state->next_update, newest(job)->next_update);
}

static void set_good(judgement *job)
{
    estuary_verdict *verdict = &job->verdict;
    verdict->status = ESTUARY_REVOCATION_GOOD;
    verdict->code = EST_OK_CODE;
    verdict->why[0] = '\0';
    verdict->reason = -1;
    verdict->evidence = job->use == EST_DELTA_APPLIES ? ESTUARY_REVOCATION_DELTA : ESTUARY_REVOCATION_CRL;
    verdict->this_update = job->state->this_update;
    verdict->next_update = job->state->next_update;
}

/* Not listed, or lifted: what stands in the way of "good"? false: nothing. */
static bool is_left_open(judgement *job)
{
    estuary_verdict *verdict = &job->verdict;
    if (!job->in_force)
        return true; /* the verdict says why already */
    if (job->complete->base_number != NULL)
        est_verdict_unknown(verdict, EST_CRL_DELTA_ALONE, NULL);
    else if (delta_lists(job)) /* and does not count: nor does what it was added to say "good" */
        est_verdict_unknown(verdict, EST_REVOCATION_STALE,
                            "a delta CRL that is out of date says certificateHold");
    else if (is_lifted(job->complete))
        est_verdict_unknown(verdict, EST_CRL_ENTRY_REASON, NULL);
    else if (job->use == EST_DELTA_MISFIT || job->use == EST_DELTA_BASE_NEWER)
        est_verdict_unknown(verdict, job->misfit.code, "%s", job->misfit.why);
    else if (may_have_been_dropped(job))
        est_verdict_unknown(verdict, EST_CRL_CERTIFICATE_EXPIRED, NULL);
    else
        return false;
    return true;
}

/* true: it counts for something, so that its signer's own status matters. */
static bool conclude(judgement *job)
{
    if (delta_says_revoked(job)) {
        set_revoked(job, job->delta);
        return true;
    }
    if (complete_says_revoked(job)) {
        set_revoked(job, job->complete);
        return true;
    }
    if (is_left_open(job))
        return false;
    add_reasons(job);
    if (job->state->reasons == EST_ALL_REASONS)
        set_good(job);
    else
        est_verdict_unknown(&job->verdict, EST_CRL_REASONS, NULL);
    return true;
}

/* --- the steps --- */

/* (e): a CRL that covers nothing new is passed over, but never one that says "revoked" (R0). */
static bool adds_something(judgement *job)
{
    if ((job->scope.reasons & ~job->state->reasons) != 0 || delta_lists(job) || says_revoked(job->complete))
        return true;
    if (job->scope.reasons == 0)
        est_verdict_unknown(&job->verdict, EST_CRL_REASONS,
                            "the CRL covers none of the reasons that its distribution point is for");
    return false;
}

static bool keep_delegates(est_crl_state *state, const STACK_OF(X509) *more)
{
    if (state->delegates == NULL && sk_X509_num(more) > 0)
        state->delegates = sk_X509_new_null();
    for (int i = 0; i < sk_X509_num(more); i++) {
        if (state->delegates == NULL || !est_certs_push(state->delegates, sk_X509_value(more, i)))
            return false;
    }
    return true;
}

static estuary_status take_steps(judgement *job, const DIST_POINT *dp, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    bool signer_is_good = false;
    estuary_verdict delta_dates = {0};
    est_crl_scope_find(job->question, dp, job->complete, &job->scope, &job->verdict); /* (b), (d) */
    if (!job->scope.covers)
        return ESTUARY_OK;
    job->use = est_crl_delta_find_use(job->question, job->complete, job->delta, &job->misfit); /* (c), (h) */
    if (!adds_something(job))                                                                  /* (e) */
        return ESTUARY_OK;
    EST_TRY(est_crl_signer_check(job->question, job->complete, &signer_is_good, &job->delegates,
                                 &job->verdict, err)); /* (f); the reader has done (g) */
    if (!signer_is_good)
        return ESTUARY_OK;
    job->delta_is_fresh =
        job->delta != NULL && est_question_is_fresh(job->question, job->delta->this_update,
                                                    job->delta->next_update, "the delta CRL", &delta_dates);
    job->in_force = find_in_force(job);
    bool counts = conclude(job);
    if (counts && job->verdict.status == ESTUARY_REVOCATION_REVOKED)
        est_crl_state_clear(job->state); /* R0: who signed what was not enough for "good" has no say in it */
    if (counts && !keep_delegates(job->state, job->delegates)) {
        est_verdict_unknown(&job->verdict, EST_MEMORY, NULL);
        EST_TRY(est_fail_memory(err));
    }
cleanup:
    return status;
}

static void begin(judgement *job)
{
    const estuary_verdict *before = job->state->verdict;
    job->verdict.reason = -1;
    job->verdict.evidence = ESTUARY_REVOCATION_CRL;
    memcpy(job->verdict.origin, before->origin, sizeof(before->origin));
}

/* Of several CRLs given by hand, that of another issuer is the least of reasons. */
static void add_verdict(estuary_verdict *to, const estuary_verdict *verdict)
{
    bool both_unknown =
        to->status == ESTUARY_REVOCATION_UNKNOWN && verdict->status == ESTUARY_REVOCATION_UNKNOWN;
    if (both_unknown && verdict->code == EST_OK_CODE)
        return;
    if (both_unknown && to->code == EST_CRL_ISSUER && verdict->code != EST_CRL_ISSUER)
        *to = *verdict;
    else
        est_verdict_add(to, verdict);
}

estuary_status est_crl_judge(const est_question *question, const DIST_POINT *dp, const est_crl *complete,
                             const est_crl *delta, est_crl_state *state, estuary_error *err)
{
    judgement job = {.question = question, .complete = complete, .delta = delta, .state = state};
    begin(&job);
    /* R0: a certificate of another issuer, as a second look */
    if (X509_NAME_cmp(X509_get_issuer_name(question->certificate), X509_get_subject_name(question->issuer)) !=
        0) {
        est_verdict_unknown(state->verdict, EST_CERT_NOT_SIGNED_BY_ISSUER, NULL);
        return ESTUARY_OK;
    }
    estuary_status status = take_steps(&job, dp, err);
    if (status == ESTUARY_OK)
        add_verdict(state->verdict, &job.verdict);
    sk_X509_pop_free(job.delegates, X509_free);
    return status;
}
