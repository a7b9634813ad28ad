/*
 * cert.h: anchors, and findings about a certificate. Findings first, policy second.
 */
#ifndef ESTUARY_CERT_H
#define ESTUARY_CERT_H

#include <estuary/error.h>
#include <estuary/limits.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Anchors: an immutable set of trusted roots, shared by reference, safe from any thread. */

typedef struct estuary_anchors estuary_anchors;

/*
 * From PEM (any number of certificates) or one DER certificate. Self-signed CA certificates become
 * anchors; other CA certificates only help to build paths. At least one anchor is needed.
 * The caller drops *out with estuary_anchors_free().
 */
ESTUARY_EXPORT estuary_status estuary_anchors_from_bytes(const uint8_t *bytes, size_t len,
                                                         estuary_anchors **out, estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_anchors_from_file(const char *path, estuary_anchors **out,
                                                        estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_anchors_from_certs(const STACK_OF(X509) *certs, estuary_anchors **out,
                                                         estuary_error *err);
/* The system's store, as OpenSSL finds it: RFC 7030's implicit trust anchor database. */
ESTUARY_EXPORT estuary_status estuary_anchors_system(estuary_anchors **out, estuary_error *err);
/* Both sets in one; explicit with explicit or system with system, never mixed (T2). */
ESTUARY_EXPORT estuary_status estuary_anchors_union(const estuary_anchors *a, const estuary_anchors *b,
                                                    estuary_anchors **out, estuary_error *err);
ESTUARY_EXPORT estuary_anchors *estuary_anchors_up_ref(const estuary_anchors *anchors);
ESTUARY_EXPORT void estuary_anchors_free(estuary_anchors *anchors); /* drops a reference; NULL is fine */

/* false for the system's store: only explicit anchors are an "explicit TA database". */
ESTUARY_EXPORT bool estuary_anchors_is_explicit(const estuary_anchors *anchors);
/* Lent; empty (never NULL) for the system's store. */
ESTUARY_EXPORT const STACK_OF(X509) *estuary_anchors_get0_roots(const estuary_anchors *anchors);
ESTUARY_EXPORT const STACK_OF(X509) *estuary_anchors_get0_helpers(const estuary_anchors *anchors);

/* What a certificate of a set is there for (RFC 4210 4.4, RFC 7030 4.1.3). */
typedef enum estuary_ca_role {
    ESTUARY_CA_UNKNOWN = 0,  /* not in the set */
    ESTUARY_CA_ROOT,         /* an anchor; OldWithOld or NewWithNew during a rollover */
    ESTUARY_CA_INTERMEDIATE, /* a CA below a root */
    ESTUARY_CA_OLD_WITH_NEW, /* the old root's key, signed by the new root */
    ESTUARY_CA_NEW_WITH_OLD  /* the new root's key, signed by the old root */
} estuary_ca_role;

ESTUARY_EXPORT estuary_ca_role estuary_anchors_role(const estuary_anchors *anchors, const X509 *certificate);

/* PEM of roots, then helpers. The caller frees *out with OPENSSL_free(). */
ESTUARY_EXPORT estuary_status estuary_anchors_to_pem(const estuary_anchors *anchors, char **out,
                                                     estuary_error *err);

/* Fingerprints (E2). */

#define ESTUARY_FINGERPRINT_SIZE      32
#define ESTUARY_FINGERPRINT_TEXT_SIZE 96 /* "AA:BB:…" with its NUL */

/* SHA-256 of the DER. */
ESTUARY_EXPORT estuary_status estuary_fingerprint(const X509 *certificate,
                                                  uint8_t out[ESTUARY_FINGERPRINT_SIZE], estuary_error *err);
ESTUARY_EXPORT void estuary_fingerprint_format(const uint8_t fingerprint[ESTUARY_FINGERPRINT_SIZE],
                                               char out[ESTUARY_FINGERPRINT_TEXT_SIZE]);
/* Hex with or without colons, optional "SHA256:" prefix, any case. */
ESTUARY_EXPORT estuary_status estuary_fingerprint_parse(const char *text,
                                                        uint8_t out[ESTUARY_FINGERPRINT_SIZE],
                                                        estuary_error *err);

/* Findings. */

typedef enum estuary_finding_state {
    ESTUARY_FINDING_UNKNOWN = 0, /* could not be looked at: never good */
    ESTUARY_FINDING_PASS,
    ESTUARY_FINDING_NOTE, /* worth knowing, no reason to refuse */
    ESTUARY_FINDING_FAIL
} estuary_finding_state;

typedef struct estuary_findings estuary_findings;

ESTUARY_EXPORT void estuary_findings_free(estuary_findings *findings); /* NULL is fine */
ESTUARY_EXPORT size_t estuary_findings_count(const estuary_findings *findings);
/*
 * One finding: `check` names what was looked at ("subject", "chain", "revocation" …), `code` is stable
 * ("cert.subject-differs", "" for a pass), `sentence` says it. All lent; out pointers may be NULL.
 */
ESTUARY_EXPORT estuary_finding_state estuary_findings_at(const estuary_findings *findings, size_t index,
                                                         const char **check, const char **code,
                                                         const char **sentence);
/* The state of one check; ESTUARY_FINDING_UNKNOWN when it was not looked at. */
ESTUARY_EXPORT estuary_finding_state estuary_findings_of(const estuary_findings *findings, const char *check);
/* true only when nothing failed and every check that was asked for passed. */
ESTUARY_EXPORT bool estuary_findings_acceptable(const estuary_findings *findings);
/* Sets err to the first failed finding (ESTUARY_E_CERTIFICATE, its code and sentence); else ESTUARY_OK. */
ESTUARY_EXPORT estuary_status estuary_findings_to_error(const estuary_findings *findings, estuary_error *err);

/* Expectation: what to hold a certificate against. Only what is set is checked, plus what always is. */

typedef struct estuary_expectation estuary_expectation;

ESTUARY_EXPORT estuary_status estuary_expectation_new(estuary_expectation **out, estuary_error *err);
ESTUARY_EXPORT void estuary_expectation_free(estuary_expectation *expectation); /* NULL is fine */
/* All setters take their own reference or copy. */
ESTUARY_EXPORT estuary_status estuary_expectation_set_key(estuary_expectation *expectation,
                                                          const EVP_PKEY *key, estuary_error *err);
/*
 * Subject and subjectAltName must be those of the request, its extended key usages allowed, and the key its
 * own unless estuary_expectation_set_key() named another.
 */
ESTUARY_EXPORT estuary_status estuary_expectation_set_request(estuary_expectation *expectation,
                                                              const X509_REQ *request, estuary_error *err);
/* Path to these anchors, with `untrusted` (may be NULL) as helpers. */
ESTUARY_EXPORT estuary_status estuary_expectation_set_anchors(estuary_expectation *expectation,
                                                              const estuary_anchors *anchors,
                                                              const STACK_OF(X509) *untrusted,
                                                              estuary_error *err);
/* Host name or IP address the certificate must be for (RFC 6125; SAN only). */
ESTUARY_EXPORT estuary_status estuary_expectation_set_host(estuary_expectation *expectation, const char *host,
                                                           estuary_error *err);
/* The purpose that extKeyUsage must allow: "clientAuth", "serverAuth" or dotted decimal. */
ESTUARY_EXPORT estuary_status estuary_expectation_set_purpose(estuary_expectation *expectation,
                                                              const char *purpose, estuary_error *err);
/* The time to judge by; the present, unless this is called. */
ESTUARY_EXPORT void estuary_expectation_set_time(estuary_expectation *expectation, time_t at);
/* Chain depth comes from here; NULL means the defaults. */
ESTUARY_EXPORT estuary_status estuary_expectation_set_limits(estuary_expectation *expectation,
                                                             const estuary_limits *limits,
                                                             estuary_error *err);

/*
 * Looks at everything and lists what it found, in this order: key, subject, san, validity, ca, strength,
 * purpose, host, chain, revocation (here always "not checked"; revocation.h). Succeeds whatever the findings
 * say; fails only when the looking failed. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_cert_check(X509 *certificate, const estuary_expectation *expectation,
                                                 estuary_findings **out, estuary_error *err);

/*
 * The path that estuary_cert_check() would use, leaf first, root last. The caller frees *out with
 * sk_X509_pop_free(.., X509_free).
 */
ESTUARY_EXPORT estuary_status estuary_cert_path(X509 *certificate, const estuary_expectation *expectation,
                                                STACK_OF(X509) **out, estuary_error *err);

/* Certificates from PEM (any number) or one DER; bounded by limits (NULL: defaults). */
ESTUARY_EXPORT estuary_status estuary_certs_from_file(const char *path, const estuary_limits *limits,
                                                      STACK_OF(X509) **out, estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
