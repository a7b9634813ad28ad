/* cert: anchors, path building, name matching, findings about a certificate. */
#ifndef EST_CERT_H
#define EST_CERT_H

#include "base/base.h"

#include <estuary/cert.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

/* anchors.c */

/* The store paths are built in; lent; CRL flags off, trusted roots only. */
X509_STORE *est_anchors_get0_store(const estuary_anchors *anchors);
bool est_certificate_is_root(const X509 *certificate); /* CA, self-issued, and its own signature verifies */
bool est_certificate_is_ca(const X509 *certificate); /* basicConstraints says so, keyUsage does not object */
/* Building a set; false when memory is short. What is there already is not added twice. */
estuary_anchors *est_anchors_new(bool is_explicit);
bool est_anchors_add_root(estuary_anchors *anchors, X509 *root);
bool est_anchors_add_helper(estuary_anchors *anchors, X509 *helper);

/* rollover.c */

/*
 * From an authenticated /cacerts answer (RFC 7030 4.1.3): roots become anchors, CA certificates below them
 * helpers; a certificate that is no CA refuses the answer, and so does an answer without a root.
 */
estuary_status est_anchors_from_cacerts(const STACK_OF(X509) *certs, estuary_anchors **out,
                                        estuary_error *err);
/*
 * The second step of bootstrap (E2): of certs keep the confirmed roots, new roots that a rollover
 * certificate signed by a confirmed root vouches for at the time `at` (RFC 4210 4.4: NewWithOld), and CA
 * certificates that chain to what is kept.
 */
estuary_status est_anchors_from_bootstrap(const STACK_OF(X509) *certs, const estuary_anchors *confirmed,
                                          time_t at, estuary_anchors **out, estuary_error *err);
/*
 * From an answer that nobody has authenticated: `current` and the new roots it vouches for, with the CA
 * certificates below all of them. ESTUARY_E_TRUST when it vouches for none.
 */
estuary_status est_anchors_vouched_for(const STACK_OF(X509) *certs, const estuary_anchors *current, time_t at,
                                       estuary_anchors **out, estuary_error *err);

/* confirm.c: the roots among certs whose SHA-256 is among the fingerprints; EST_TRUST_CONFIRM without any. */
estuary_status est_anchors_confirm(const STACK_OF(X509) *certs, const char *const *fingerprints, size_t n,
                                   estuary_anchors **out, estuary_error *err);

/* names.c: RFC 6125: subjectAltName only, no CN, no partial wildcards; host may be an IP literal. */

/* U-labels to A-labels (UTS 46), lower case, no trailing dot. false when not a host name or IP address. */
bool est_host_normalise(const char *host, char *out, size_t size, bool *is_ip);
/* Sets name or IP and the host flags; false when OpenSSL refuses. */
bool est_host_into_param(X509_VERIFY_PARAM *param, const char *host);
bool est_certificate_matches_host(X509 *certificate, const char *host);
bool est_certificate_has_host_names(const X509 *certificate); /* any dns or ip in subjectAltName */
/* "dns:a.example, ip:192.0.2.1 and 3 more"; sanitised, cut to size. */
void est_certificate_host_list(const X509 *certificate, char *out, size_t size);

/* purpose.c: extKeyUsage; absent means any. */
bool est_certificate_allows(const X509 *certificate, const char *purpose_oid_or_name);
/* true only when extKeyUsage is there and lists this very purpose. */
bool est_certificate_lists_purpose(const X509 *certificate, const char *purpose_oid_or_name);
/* The known names and dotted decimal; NULL when it is neither. Freed with ASN1_OBJECT_free(). */
ASN1_OBJECT *est_purpose_object(const char *purpose_oid_or_name);

/* text.c */

/* RFC 4514, sanitised, cut to size; "(no name)" for an empty one. */
void est_name_text(const X509_NAME *name, char *out, size_t size);
void est_subject_text(const X509 *certificate, char *out, size_t size);
bool est_asn1_time(const ASN1_TIME *at, time_t *out); /* false when it is no time */
/* Below 112 bits of security (SHA-1, MD5 …), or a signature that cannot be told (OpenSSL's level 2). */
bool est_certificate_signature_is_weak(const X509 *certificate);

/* certs_read.c: PEM with any text around, or one DER certificate; what goes wrong gets `code`. */
estuary_status est_certs_parse(const uint8_t *bytes, size_t len, size_t max_count, est_code code,
                               STACK_OF(X509) **out, estuary_error *err);
/* Takes a reference; false when memory is short. */
bool est_certs_push(STACK_OF(X509) *certs, X509 *certificate);
bool est_certs_contain(const STACK_OF(X509) *certs, const X509 *certificate);

/* path.c: RFC 5280 6.1 by OpenSSL, and what it stumbled over, in one table for findings and trust. */

typedef enum est_path_flaw {
    EST_PATH_UNKNOWN = 0, /* refused for a reason without a word of its own */
    EST_PATH_OK,
    EST_PATH_EXPIRED,
    EST_PATH_NOT_YET_VALID,
    EST_PATH_CA_EXPIRED,
    EST_PATH_CA_NOT_YET_VALID,
    EST_PATH_UNKNOWN_ISSUER,
    EST_PATH_SELF_SIGNED,
    EST_PATH_UNKNOWN_ROOT,
    EST_PATH_BAD_SIGNATURE,
    EST_PATH_INVALID_CA,
    EST_PATH_PATH_LENGTH,
    EST_PATH_TOO_LONG,
    EST_PATH_NAME_CONSTRAINTS,
    EST_PATH_CRITICAL_EXTENSION,
    EST_PATH_WEAK_KEY,
    EST_PATH_CA_WEAK_KEY,
    EST_PATH_WEAK_SIGNATURE,
    EST_PATH_CA_WEAK_SIGNATURE,
    EST_PATH_CA_EKU,
    EST_PATH_HOST,
    EST_PATH_MALFORMED,
    EST_PATH_FLAW_COUNT
} est_path_flaw;

typedef struct est_path_query {
    const estuary_anchors *anchors;
    X509 *leaf;
    const STACK_OF(X509) *untrusted; /* may be NULL; the anchors' helpers come on top */
    const char *host;                /* normal form; NULL: no name is compared */
    const char *purpose;             /* that intermediate CAs must not rule out; NULL: any */
    time_t at;
    int max_depth;   /* intermediate CA certificates */
    bool spare_leaf; /* the leaf's own dates, key and signature strength are judged elsewhere */
} est_path_query;

typedef struct est_path {
    est_path_flaw flaw;
    int depth;             /* of the culprit; 0 is the leaf */
    int x509_error;        /* X509_V_ERR_*, for the TLS alert */
    X509 *culprit;         /* owned; NULL when there is none */
    STACK_OF(X509) *chain; /* owned; leaf first, as far as it got */
} est_path;

/* Fails only when the looking failed; out->flaw says what was found. Zero-initialise *out. */
estuary_status est_path_find(const est_path_query *query, est_path *out, estuary_error *err);
void est_path_clear(est_path *path);
/* One sentence; `whose` is "the server's certificate" or "the certificate". */
void est_path_describe(const est_path *path, const char *whose, char *out, size_t size);

/* findings.c, expectation.c */

/* Lent: the path behind a passed "chain" finding, leaf first, root last; else NULL. */
const STACK_OF(X509) *est_findings_get0_path(const estuary_findings *findings);
/* What was found about revocation, afterwards; takes sentence in any case. false when it is NULL. */
bool est_findings_set_revocation(estuary_findings *findings, estuary_finding_state state, est_code code,
                                 char *sentence);
/* Without a copy: request must outlive the expectation. */
void est_expectation_lend_request(estuary_expectation *expectation, const X509_REQ *request);

#endif
