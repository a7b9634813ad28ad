/* What the crl_*.c of this room share: the steps of RFC 5280 6.3.3. */
#ifndef EST_REVOCATION_CRL_JUDGE_H
#define EST_REVOCATION_CRL_JUDGE_H

#include "revocation/revocation.h"

/* --- crl_names.c: DistributionPointName and GeneralNames, compared --- */

/* Names that mean one thing; zero-initialise. */
typedef struct est_crl_names {
    const GENERAL_NAMES *full; /* lent; may be NULL */
    X509_NAME *whole;          /* owned: one more directoryName; may be NULL */
} est_crl_names;

/* `base`: what a nameRelativeToCRLIssuer is relative to. false: memory is short, or it is no name. */
bool est_crl_names_of(const DIST_POINT_NAME *from, const X509_NAME *base, est_crl_names *out);
void est_crl_names_clear(est_crl_names *names);
bool est_crl_names_share_one(const est_crl_names *a, const est_crl_names *b);
bool est_crl_names_hold(const GENERAL_NAMES *names, const X509_NAME *directory_name);

/* --- crl_scope.c: steps (b) and (d) --- */

typedef struct est_crl_scope {
    bool covers;      /* the CRL is about the certificate; else the verdict says why not */
    unsigned reasons; /* for which reasons of revocation */
} est_crl_scope;

void est_crl_scope_find(const est_question *question, const DIST_POINT *dp, const est_crl *crl,
                        est_crl_scope *out, estuary_verdict *why);

/* --- crl_signer.c: step (f) --- */

/* Fails only when the looking failed. true in *ok, and what is left to be checked behind what is in
 * *delegates already (made when needed). */
estuary_status est_crl_signer_check(const est_question *question, const est_crl *crl, bool *ok,
                                    STACK_OF(X509) **delegates, estuary_verdict *why, estuary_error *err);
/* crl_vouch.c: the issuer's own key speaks for the signer's certificate, or was made by it: a rollover. */
typedef enum est_crl_vouch {
    EST_CRL_VOUCH_NONE = 0,
    EST_CRL_VOUCH_ISSUED, /* by the issuer's key, and only to sign CRLs: may be revoked */
    EST_CRL_VOUCH_SAME_CA /* the CA itself, with a newer or an older key */
} est_crl_vouch;
est_crl_vouch est_crl_vouch_for(const est_question *question, X509 *signer);
bool est_crl_same_key(const X509 *a, const X509 *b); /* false when one cannot be read */

/* --- crl_delta.c: step (c) --- */

/* "revoked" in a genuine delta that is newer than the complete CRL counts always; the rest depends. */
typedef enum est_delta_use {
    EST_DELTA_MISFIT = 0,  /* cannot be meant for this CRL, nothing in it counts: *why says so */
    EST_DELTA_NONE,        /* there is none, or the complete CRL is newer */
    EST_DELTA_OUT_OF_DATE, /* or of the complete CRL's own number: only "revoked" counts */
    EST_DELTA_BASE_NEWER,  /* it builds on a newer complete CRL: the same, and no "good"; *why says so */
    EST_DELTA_APPLIES
} est_delta_use;

est_delta_use est_crl_delta_find_use(const est_question *question, const est_crl *complete,
                                     const est_crl *delta, estuary_verdict *why);

#endif
