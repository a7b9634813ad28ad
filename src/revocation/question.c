/* What is asked, and what every piece of evidence must satisfy. */
#include "revocation/revocation.h"

#define MAX_AGE_WITHOUT_NEXT_UPDATE (7 * 24 * 3600)

/* R0: for a certificate that its issuer did not sign, no evidence means anything. */
estuary_status est_question_check(const est_question *question, estuary_error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(question->issuer);
    const X509_NAME *subject = X509_get_subject_name(question->issuer);
    if (X509_NAME_cmp(X509_get_issuer_name(question->certificate), subject) != 0)
        return est_fail(err, EST_CERT_NOT_SIGNED_BY_ISSUER,
                        "the certificate names another issuer than the one given");
    if (key == NULL)
        return est_fail_openssl(err, EST_CERT_NOT_SIGNED_BY_ISSUER, "the issuer's public key cannot be read");
    if (X509_verify(question->certificate, key) != 1)
        return est_fail_openssl(err, EST_CERT_NOT_SIGNED_BY_ISSUER, NULL);
    return ESTUARY_OK;
}

static int64_t oldest_allowed(const est_question *question, time_t next_update)
{
    if (question->max_age > 0)
        return (int64_t)question->now - question->max_age;
    return next_update != 0 ? INT64_MIN : (int64_t)question->now - MAX_AGE_WITHOUT_NEXT_UPDATE;
}

bool est_question_is_fresh(const est_question *question, time_t this_update, time_t next_update,
                           const char *what, estuary_verdict *verdict)
{
    char when[EST_TIME_TEXT_SIZE];
    int64_t now = question->now;
    if (this_update <= 0) {
        est_verdict_unknown(verdict, EST_REVOCATION_TOO_OLD, "%s does not say when it was made", what);
        return false;
    }
    if (this_update > now + question->skew) {
        est_time_format(this_update, when);
        est_verdict_unknown(verdict, EST_REVOCATION_FUTURE, "%s is dated in the future (thisUpdate %s)", what,
                            when);
        return false;
    }
    if (next_update != 0 && (next_update < this_update || next_update < now - question->skew)) {
        est_time_format(next_update, when);
        est_verdict_unknown(verdict, EST_REVOCATION_STALE, "%s is out of date (nextUpdate was %s)", what,
                            when);
        return false;
    }
    if (this_update < oldest_allowed(question, next_update)) {
        est_time_format(this_update, when);
        est_verdict_unknown(verdict, EST_REVOCATION_TOO_OLD, "%s is older than allowed (thisUpdate %s)", what,
                            when);
        return false;
    }
    return true;
}
