/*
 * Revocation of the server and of what it issues (R3, R6). Inside the handshake only staples and caches are
 * looked at; what is missing is fetched afterwards, and the server dialled again.
 */
#include "client/op.h"

#include <string.h>

#define PASSED_SECONDS 300

void est_evidence_clear(est_evidence *evidence)
{
    est_revocation_job_free(evidence->job);
    sk_X509_pop_free(evidence->chain, X509_free);
    est_free(evidence->staple);
    *evidence = (est_evidence){0};
}

static bool digest_of(const STACK_OF(X509) *chain, uint8_t out[ESTUARY_FINGERPRINT_SIZE])
{
    uint8_t all[2 * ESTUARY_FINGERPRINT_SIZE] = {0};
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (estuary_fingerprint(sk_X509_value(chain, i), all + ESTUARY_FINGERPRINT_SIZE, NULL) !=
                ESTUARY_OK ||
            EVP_Digest(all, sizeof(all), all, NULL, EVP_sha256(), NULL) != 1)
            return false;
    }
    memcpy(out, all, ESTUARY_FINGERPRINT_SIZE);
    return true;
}

/* The policy let it pass not long ago, after everything had been asked that could be. */
static bool has_passed(const estuary_client *client, const STACK_OF(X509) *chain)
{
    uint8_t digest[ESTUARY_FINGERPRINT_SIZE];
    const est_evidence *evidence = &client->evidence;
    if (!digest_of(chain, digest))
        return false;
    for (size_t i = 0; i < EST_PASSED_CHAINS; i++) {
        const est_passed_chain *passed = &evidence->passed[i];
        int64_t age = est_monotonic_ms() - passed->at;
        if (passed->valid && age >= 0 && age < PASSED_SECONDS * INT64_C(1000) &&
            CRYPTO_memcmp(digest, passed->digest, sizeof(digest)) == 0)
            return true;
    }
    return false;
}

static estuary_status want_evidence(estuary_client *client, const STACK_OF(X509) *chain,
                                    const uint8_t *staple, size_t len, estuary_error *err)
{
    est_evidence *evidence = &client->evidence;
    sk_X509_pop_free(evidence->chain, X509_free);
    est_free(evidence->staple);
    evidence->staple = NULL;
    evidence->staple_len = 0;
    evidence->chain = X509_chain_up_ref((STACK_OF(X509) *)chain);
    if (staple != NULL && len <= EST_OCSP_BYTES_MAX) {
        evidence->staple = est_alloc(len);
        if (evidence->staple != NULL) {
            memcpy(evidence->staple, staple, len);
            evidence->staple_len = len;
        }
    }
    if (evidence->chain == NULL)
        return est_fail_memory(err);
    return est_fail(err, EST_TRUST_EVIDENCE_WANTED, NULL);
}

/* A certificate of the server's chain, by the policy, in words. */
static estuary_status decide(const estuary_client *client, const STACK_OF(X509) *chain, size_t index,
                             const estuary_verdict *verdict, estuary_error *err)
{
    char subject[256];
    estuary_error *why = estuary_error_new();
    if (why == NULL)
        return est_fail_memory(err); /* without its code a refusal would not be one */
    estuary_status status = estuary_revocation_decide(client->config->revocation, verdict, why);
    if (status != ESTUARY_OK) {
        est_subject_text(sk_X509_value(chain, (int)index), subject, sizeof(subject));
        status = est_fail(err, est_error_code_of(why), "%s (\"%s\"): %s",
                          index == 0 ? "the server's certificate" : "a CA certificate above the server's",
                          subject, estuary_error_message(why));
    } else if (estuary_verdict_status(verdict) != ESTUARY_REVOCATION_GOOD) {
        est_count(client->config->metrics, "revocation_soft_failures_total");
        est_log(client->config->log, ESTUARY_LOG_WARNING, "revocation.unknown",
                "it cannot be told whether the server's chain is revoked; --revocation soft lets it pass",
                "code", estuary_verdict_code(verdict), "why", estuary_verdict_why(verdict), NULL);
    }
    estuary_error_free(why);
    return status;
}

/* RFC 7633 4.2.3: a certificate that demands it counts with a valid staple only, whatever the policy says. */
static estuary_status check_must_staple(const estuary_client *client, const STACK_OF(X509) *chain,
                                        const uint8_t *staple, size_t len, estuary_error *err)
{
    estuary_verdict verdict = {.reason = -1};
    X509 *delegate = NULL;
    if (!est_staple_must(sk_X509_value(chain, 0)))
        return ESTUARY_OK;
    if (staple == NULL)
        return est_fail(err, EST_TRUST_MUST_STAPLE, NULL);
    const estuary_revocation *checker = client->config->revocation;
    est_question question = {
        .certificate = sk_X509_value(chain, 0),
        .issuer = sk_X509_value(chain, 1),
        .now = est_now(),
        .skew = estuary_revocation_get_limit(checker, ESTUARY_REVOCATION_SKEW_SECONDS),
        .max_age = estuary_revocation_get_limit(checker, ESTUARY_REVOCATION_MAX_AGE_SECONDS),
    };
    estuary_status status = est_ocsp_judge(&question, NULL, staple, len, &verdict, &delegate, err);
    /* one that may be revoked itself would have to be asked about, which this certificate spares us by law */
    bool delegated = delegate != NULL;
    X509_free(delegate);
    if (status == ESTUARY_OK && delegated)
        status =
            est_fail(err, EST_TRUST_MUST_STAPLE,
                     "the server's certificate demands a stapled OCSP response, and whoever signed the one "
                     "that came may be revoked: its certificate has no id-pkix-ocsp-nocheck");
    if (status == ESTUARY_OK && verdict.status == ESTUARY_REVOCATION_UNKNOWN)
        status = est_fail(err, EST_TRUST_MUST_STAPLE,
                          "the server's certificate demands a stapled OCSP response, and the one that came "
                          "does not count: %s",
                          verdict.why);
    if (status == ESTUARY_OK && verdict.status == ESTUARY_REVOCATION_REVOKED)
        status = decide(client, chain, 0, &verdict, err); /* whatever the methods: any "revoked" wins (R0) */
    return status;
}

/* The session for which this chain's evidence was fetched: one check, however often it is dialled for. */
static bool was_just_counted(estuary_client *client, const STACK_OF(X509) *chain)
{
    bool just_passed = client->evidence.just_passed;
    client->evidence.just_passed = false;
    return just_passed && has_passed(client, chain);
}

static estuary_status look(estuary_client *client, const STACK_OF(X509) *chain, const uint8_t *staple,
                           size_t len, estuary_error *err)
{
    est_revocation_job *job = NULL;
    size_t index = 0;
    estuary_status status = est_revocation_job_new(client->config->revocation, chain, NULL, &job, err);
    if (status == ESTUARY_OK && staple != NULL)
        status = est_revocation_job_set_staple(job, staple, len, err);
    if (job != NULL && was_just_counted(client, chain))
        est_revocation_job_set_uncounted(job);
    if (status == ESTUARY_OK)
        status =
            est_revocation_job_look_first(job, err); /* what ought to be asked for again does not count yet */
    if (status == ESTUARY_OK) {
        const estuary_verdict *verdict = est_revocation_job_verdict(job, &index);
        if (estuary_verdict_status(verdict) == ESTUARY_REVOCATION_UNKNOWN && !has_passed(client, chain))
            status = want_evidence(client, chain, staple, len, err);
        else if (estuary_verdict_status(verdict) == ESTUARY_REVOCATION_REVOKED)
            status = decide(client, chain, index, verdict, err);
    }
    est_revocation_job_free(job);
    return status;
}

estuary_status est_evidence_check_chain(void *arg, const STACK_OF(X509) *chain, const uint8_t *staple,
                                        size_t len, estuary_error *err)
{
    estuary_client *client = arg;
    if (sk_X509_num(chain) < 2)
        return ESTUARY_OK; /* the server's certificate is itself an anchor: nobody revokes it */
    if (len > EST_OCSP_BYTES_MAX)
        staple = NULL;
    estuary_status status = check_must_staple(client, chain, staple, len, err);
    return status == ESTUARY_OK ? look(client, chain, staple, len, err) : status;
}

/* --- between two attempts --- */

bool est_evidence_is_wanted(const estuary_client *client, const estuary_error *err)
{
    return est_error_code_of(err) == EST_TRUST_EVIDENCE_WANTED && client->evidence.chain != NULL;
}

estuary_status est_evidence_fetch(estuary_client *client, est_http_engine *engine,
                                  est_revocation_done_fn *on_done, void *arg, estuary_error *err)
{
    est_evidence *evidence = &client->evidence;
    est_revocation_job_free(evidence->job);
    evidence->job = NULL;
    estuary_status status = est_revocation_job_new(client->config->revocation, evidence->chain,
                                                   &client->cancelled, &evidence->job, err);
    if (status == ESTUARY_OK && evidence->staple != NULL)
        status = est_revocation_job_set_staple(evidence->job, evidence->staple, evidence->staple_len, err);
    return status == ESTUARY_OK ? est_revocation_job_start(evidence->job, engine, on_done, arg, err) : status;
}

estuary_status est_evidence_judge(estuary_client *client, estuary_error *err)
{
    est_evidence *evidence = &client->evidence;
    size_t index = 0;
    const estuary_verdict *verdict = est_revocation_job_verdict(evidence->job, &index);
    estuary_status status = decide(client, evidence->chain, index, verdict, err);
    if (status == ESTUARY_OK) {
        est_passed_chain *passed = &evidence->passed[evidence->next_passed++ % EST_PASSED_CHAINS];
        passed->valid = digest_of(evidence->chain, passed->digest);
        passed->at = est_monotonic_ms();
        evidence->just_passed = passed->valid;
    }
    est_revocation_job_free(evidence->job);
    evidence->job = NULL;
    return status;
}

void est_evidence_stop(estuary_client *client)
{
    est_revocation_job_free(client->evidence.job);
    client->evidence.job = NULL;
}

/* --- what was issued --- */

static bool names_a_responder(const X509 *certificate)
{
    int critical = -1;
    AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(certificate, NID_info_access, &critical, NULL);
    bool names = access == NULL && critical != -1; /* it cannot be read: then nobody knows */
    for (int i = 0; !names && i < sk_ACCESS_DESCRIPTION_num(access); i++)
        names = OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(access, i)->method) == NID_ad_OCSP;
    AUTHORITY_INFO_ACCESS_free(access);
    return names;
}

/* What the certificate names, or the caller gave: evidence at hand is not passed over. */
static bool has_a_source(const estuary_client *client, const X509 *certificate)
{
    return names_a_responder(certificate) ||
           X509_get_ext_by_NID(certificate, NID_crl_distribution_points, -1) >= 0 ||
           est_checker_was_given_evidence(client->config->revocation);
}

/* From the first of them that has a source to the last. false: none has; the last of the path only issues. */
static bool find_sources(const estuary_client *client, const STACK_OF(X509) *path, int *first, int *last)
{
    int end = est_checker_is_leaf_only(client->config->revocation) ? 1 : sk_X509_num(path) - 1;
    *first = *last = -1;
    for (int i = 0; i < end; i++) {
        if (!has_a_source(client, sk_X509_value(path, i)))
            continue;
        *first = *first < 0 ? i : *first;
        *last = i;
    }
    return *first >= 0;
}

static bool note_no_source(estuary_findings *findings)
{
    return est_findings_set_revocation(
        findings, ESTUARY_FINDING_NOTE, EST_OK_CODE,
        est_strdup(
            "not looked at: the certificate names neither an OCSP responder nor a CRL, and no evidence "
            "was given"));
}

estuary_status est_evidence_issued_chain(const estuary_client *client, estuary_enrollment *enrollment,
                                         const STACK_OF(X509) **out, estuary_error *err)
{
    estuary_findings *findings = (estuary_findings *)estuary_enrollment_get0_findings(enrollment);
    const STACK_OF(X509) *path = findings == NULL ? NULL : est_findings_get0_path(findings);
    int first = 0, last = 0;
    *out = NULL;
    if (client->config->revocation == NULL || sk_X509_num(path) < 2)
        return ESTUARY_OK;
    if (find_sources(client, path, &first, &last))
        *out = path;
    else if (!note_no_source(findings))
        return est_fail_memory(err);
    return ESTUARY_OK;
}

estuary_status est_evidence_begin_issued(estuary_client *client, const STACK_OF(X509) *path,
                                         est_http_engine *engine, est_revocation_done_fn *on_done, void *arg,
                                         estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int first = 0, last = 0;
    est_evidence_stop(client);
    (void)find_sources(client, path, &first, &last);
    STACK_OF(X509) *part = sk_X509_new_null();
    bool ok = part != NULL;
    for (int i = first; ok && i <= last + 1; i++)
        ok = est_certs_push(part, sk_X509_value(path, i));
    client->evidence.issued_from = first;
    if (!ok)
        status = est_fail_memory(err);
    if (status == ESTUARY_OK)
        status = est_revocation_job_new(client->config->revocation, part, &client->cancelled,
                                        &client->evidence.job, err);
    if (status == ESTUARY_OK)
        status = est_revocation_job_start(client->evidence.job, engine, on_done, arg, err);
    sk_X509_pop_free(part, X509_free);
    return status;
}

/* It is what was asked for; only this stands in its way. `whose`: 0, or a CA so far above it. */
static estuary_status decide_issued(const estuary_client *client, const estuary_verdict *verdict,
                                    size_t whose, estuary_error *err)
{
    estuary_error *why = estuary_error_new();
    if (why == NULL)
        return est_fail_memory(err); /* without its code a refusal would not be one */
    estuary_status status = estuary_revocation_decide(client->config->revocation, verdict, why);
    if (status != ESTUARY_OK)
        status = est_fail(err, est_error_code_of(why), "%s: %s",
                          whose == 0 ? "the certificate that was issued"
                                     : "a CA certificate above the one that was issued",
                          estuary_error_message(why));
    estuary_error_free(why);
    return status;
}

/* NULL: memory is short. */
static char *sentence_of(const estuary_client *client, const estuary_verdict *verdict)
{
    if (estuary_verdict_status(verdict) != ESTUARY_REVOCATION_GOOD)
        return est_printf("unknown: %s", estuary_verdict_why(verdict));
    if (client->evidence.issued_from > 0)
        return est_printf("not looked at: the certificate names neither an OCSP responder nor a CRL; the CA "
                          "certificates above it are not revoked");
    return est_printf("not revoked, by %s",
                      estuary_revocation_source_name(estuary_verdict_evidence(verdict)));
}

/* Into the finding; an error when the policy refuses it. */
estuary_status est_evidence_judge_issued(estuary_client *client, estuary_enrollment *enrollment,
                                         estuary_error *err)
{
    size_t whose = 0;
    const estuary_verdict *verdict = est_revocation_job_verdict(client->evidence.job, &whose);
    estuary_findings *findings = (estuary_findings *)estuary_enrollment_get0_findings(enrollment);
    bool whole = client->evidence.issued_from == 0;
    bool good = estuary_verdict_status(verdict) == ESTUARY_REVOCATION_GOOD;
    estuary_status status = decide_issued(client, verdict, whole ? whose : whose + 1, err);
    char *sentence =
        status != ESTUARY_OK ? est_strdup(estuary_error_message(err)) : sentence_of(client, verdict);
    estuary_finding_state state = status != ESTUARY_OK ? ESTUARY_FINDING_FAIL
                                  : good && whole      ? ESTUARY_FINDING_PASS
                                                       : ESTUARY_FINDING_NOTE;
    est_code code = status != ESTUARY_OK ? est_error_code_of(err) : EST_OK_CODE;
    if (!good && status == ESTUARY_OK && verdict != NULL)
        code = verdict->code;
    if (!est_findings_set_revocation(findings, state, code, sentence) && status == ESTUARY_OK)
        status = est_fail_memory(err);
    est_evidence_stop(client);
    return status;
}
