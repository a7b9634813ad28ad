/* One answer with its reason; forgotten memory reads "unknown". */
#include "revocation/revocation.h"

#include <stdio.h>
#include <string.h>

estuary_verdict *est_verdict_new(void)
{
    estuary_verdict *verdict = est_alloc(sizeof(*verdict));
    if (verdict != NULL)
        est_verdict_unknown(verdict, EST_REVOCATION_NO_EVIDENCE, NULL);
    return verdict;
}

void estuary_verdict_free(estuary_verdict *verdict)
{
    est_free(verdict);
}

static void forget(estuary_verdict *verdict)
{
    memset(verdict, 0, sizeof(*verdict));
    verdict->reason = -1;
}

void est_verdict_unknown(estuary_verdict *verdict, est_code code, const char *fmt, ...)
{
    char origin[sizeof(verdict->origin)];
    estuary_revocation_source evidence = verdict->evidence;
    memcpy(origin, verdict->origin, sizeof(origin));
    forget(verdict);
    verdict->evidence = evidence;
    memcpy(verdict->origin, origin, sizeof(origin));
    verdict->code = code;
    if (fmt == NULL) {
        snprintf(verdict->why, sizeof(verdict->why), "%s", est_code_sentence(code));
        return;
    }
    char text[sizeof(verdict->why)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    est_text_sanitise(text, strlen(text), verdict->why, sizeof(verdict->why));
}

void est_verdict_unknown_because(estuary_verdict *verdict, const estuary_error *err)
{
    est_verdict_unknown(verdict, est_error_code_of(err), "%s", estuary_error_message(err));
}

void est_verdict_set_origin(estuary_verdict *verdict, const char *origin)
{
    est_text_sanitise(origin, strlen(origin), verdict->origin, sizeof(verdict->origin));
}

/* R0: any verified "revoked" wins over any "good" */
static bool is_better(const estuary_verdict *other, const estuary_verdict *verdict)
{
    if (other->status != verdict->status)
        return other->status > verdict->status;
    switch (other->status) {
    case ESTUARY_REVOCATION_UNKNOWN:
        return verdict->code == EST_REVOCATION_NO_EVIDENCE || verdict->code == EST_OK_CODE;
    case ESTUARY_REVOCATION_GOOD:
    case ESTUARY_REVOCATION_REVOKED:
    default:
        return false;
    }
}

_Static_assert(ESTUARY_REVOCATION_UNKNOWN < ESTUARY_REVOCATION_GOOD &&
                   ESTUARY_REVOCATION_GOOD < ESTUARY_REVOCATION_REVOKED,
               "is_better() compares them");

void est_verdict_add(estuary_verdict *verdict, const estuary_verdict *other)
{
    if (is_better(other, verdict))
        *verdict = *other;
}

/* --- what callers read --- */

estuary_revocation_status estuary_verdict_status(const estuary_verdict *verdict)
{
    return verdict == NULL ? ESTUARY_REVOCATION_UNKNOWN : verdict->status;
}

estuary_revocation_source estuary_verdict_evidence(const estuary_verdict *verdict)
{
    return verdict == NULL ? ESTUARY_REVOCATION_NO_SOURCE : verdict->evidence;
}

estuary_revocation_source estuary_verdict_source(const estuary_verdict *verdict)
{
    return verdict != NULL && verdict->cached ? ESTUARY_REVOCATION_CACHE : estuary_verdict_evidence(verdict);
}

const char *estuary_revocation_source_name(estuary_revocation_source source)
{
    static const char *const names[] = {
        [ESTUARY_REVOCATION_NO_SOURCE] = "",      [ESTUARY_REVOCATION_OCSP] = "ocsp",
        [ESTUARY_REVOCATION_STAPLED] = "stapled", [ESTUARY_REVOCATION_CRL] = "crl",
        [ESTUARY_REVOCATION_DELTA] = "delta",     [ESTUARY_REVOCATION_CACHE] = "cache"};
    return (size_t)source < sizeof(names) / sizeof(names[0]) ? names[source] : "";
}

const char *estuary_revocation_status_name(estuary_revocation_status status)
{
    return status == ESTUARY_REVOCATION_GOOD      ? "good"
           : status == ESTUARY_REVOCATION_REVOKED ? "revoked"
                                                  : "unknown";
}

const char *estuary_verdict_origin(const estuary_verdict *verdict)
{
    return verdict == NULL ? "" : verdict->origin;
}

const char *estuary_verdict_code(const estuary_verdict *verdict)
{
    if (verdict == NULL)
        return est_code_text(EST_REVOCATION_NO_EVIDENCE);
    return verdict->status == ESTUARY_REVOCATION_UNKNOWN ? est_code_text(verdict->code) : "";
}

const char *estuary_verdict_why(const estuary_verdict *verdict)
{
    return verdict == NULL ? "" : verdict->why;
}

time_t estuary_verdict_revoked_at(const estuary_verdict *verdict)
{
    return verdict == NULL ? 0 : verdict->revoked_at;
}

const char *estuary_verdict_reason(const estuary_verdict *verdict)
{
    return verdict == NULL || verdict->status != ESTUARY_REVOCATION_REVOKED
               ? ""
               : est_reason_name(verdict->reason);
}

time_t estuary_verdict_this_update(const estuary_verdict *verdict)
{
    return verdict == NULL ? 0 : verdict->this_update;
}

time_t estuary_verdict_next_update(const estuary_verdict *verdict)
{
    return verdict == NULL ? 0 : verdict->next_update;
}

/* RFC 5280 5.3.1 */
const char *est_reason_name(int reason)
{
    static const char *const names[] = {
        "unspecified",   "keyCompromise",        "cACompromise",    "affiliationChanged",
        "superseded",    "cessationOfOperation", "certificateHold", "",
        "removeFromCRL", "privilegeWithdrawn",   "aACompromise"};
    return reason >= 0 && (size_t)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "";
}
