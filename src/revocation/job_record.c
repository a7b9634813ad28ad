/* What a check is counted and logged as (R7): once, when it is over, however often its answers were looked
 * at. */
#include "revocation/checker.h"

bool est_job_make_notes(est_revocation_job *job)
{
    size_t count = 0;
    if (!est_int_to_size(sk_X509_num(job->chain), &count))
        return false;
    job->notes = est_alloc(count * sizeof(*job->notes));
    return job->notes != NULL;
}

void est_job_note_certificate(est_revocation_job *job)
{
    job->notes[job->note_count++] = (est_job_note){.certificate = job->question.certificate,
                                                   .verdict = *job->verdict,
                                                   .ms = (uint64_t)(est_monotonic_ms() - job->started_at)};
}

static void count(estuary_metrics *metrics, const est_job_note *note)
{
    static const char *const counters[] = {[ESTUARY_REVOCATION_UNKNOWN] = "revocation_status_unknown",
                                           [ESTUARY_REVOCATION_GOOD] = "revocation_status_good",
                                           [ESTUARY_REVOCATION_REVOKED] = "revocation_status_revoked"};
    est_count(metrics, "revocation_checks_total");
    est_count(metrics, counters[note->verdict.status]);
    if (note->verdict.status == ESTUARY_REVOCATION_UNKNOWN)
        est_count(metrics, "revocation_check_failures_total");
    est_count(metrics, "revocation_check_duration_count");
    est_count_add(metrics, "revocation_check_duration_ms_sum", note->ms);
}

static void log_note(estuary_log *log, const char *event, const est_job_note *note)
{
    const estuary_verdict *verdict = &note->verdict;
    char subject[256];
    est_subject_text(note->certificate, subject, sizeof(subject));
    est_log(log, verdict->status == ESTUARY_REVOCATION_REVOKED ? ESTUARY_LOG_AUDIT : ESTUARY_LOG_INFO, event,
            estuary_revocation_status_name(verdict->status), "subject", subject, "source",
            estuary_revocation_source_name(estuary_verdict_source(verdict)), "origin", verdict->origin,
            "code", estuary_verdict_code(verdict), NULL);
}

/* Somebody asks again, with the network, or has asked a moment ago. What is revoked is never passed over. */
static bool is_no_check(const est_revocation_job *job)
{
    return (job->asks_later && job->worst->status == ESTUARY_REVOCATION_UNKNOWN) ||
           (job->uncounted && job->worst->status != ESTUARY_REVOCATION_REVOKED);
}

void est_job_record(est_revocation_job *job)
{
    bool of_signer = job->depth > 0; /* part of the check of what it signed for */
    if (job->status == ESTUARY_OK && !is_no_check(job)) {
        for (size_t i = 0; i < job->note_count; i++) {
            if (!of_signer)
                count(job->checker->metrics, &job->notes[i]);
            log_note(job->checker->log, of_signer ? "revocation.signer" : "revocation.verdict",
                     &job->notes[i]);
        }
    }
    job->note_count = 0;
}
