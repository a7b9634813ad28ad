/*
 * revocation.h: is a certificate revoked? By OCSP (RFC 6960) and CRL (RFC 5280), with the reason for the
 * answer.
 *
 * A checker is set up by one thread and then shared: every function below "Checking" may be called from any
 * thread at once; its caches are locked inside. Setters after the first check are refused
 * (usage.checker-in-use).
 */
#ifndef ESTUARY_REVOCATION_H
#define ESTUARY_REVOCATION_H

#include <estuary/cert.h>
#include <estuary/error.h>
#include <estuary/log.h>
#include <estuary/metrics.h>
#include <estuary/secret.h>
#include <openssl/x509.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum estuary_revocation_status {
    ESTUARY_REVOCATION_UNKNOWN = 0, /* no usable evidence; the verdict says why */
    ESTUARY_REVOCATION_GOOD,
    ESTUARY_REVOCATION_REVOKED
} estuary_revocation_status;

typedef enum estuary_revocation_source {
    ESTUARY_REVOCATION_NO_SOURCE = 0,
    ESTUARY_REVOCATION_OCSP,
    ESTUARY_REVOCATION_STAPLED, /* an OCSP response that the TLS server sent along (RFC 6066 8) */
    ESTUARY_REVOCATION_CRL,
    ESTUARY_REVOCATION_DELTA, /* a complete CRL brought up to date by a delta CRL */
    ESTUARY_REVOCATION_CACHE  /* evidence fetched before; estuary_verdict_evidence() says of which kind */
} estuary_revocation_source;

typedef struct estuary_verdict estuary_verdict;

ESTUARY_EXPORT void estuary_verdict_free(estuary_verdict *verdict); /* NULL is fine */
ESTUARY_EXPORT estuary_revocation_status estuary_verdict_status(const estuary_verdict *verdict);
ESTUARY_EXPORT estuary_revocation_source estuary_verdict_source(const estuary_verdict *verdict);
/* The same, but what stands in the cache is named by its kind. */
ESTUARY_EXPORT estuary_revocation_source estuary_verdict_evidence(const estuary_verdict *verdict);
/* "ocsp", "stapled", "crl", "delta", "cache"; "" for NO_SOURCE. Static. */
ESTUARY_EXPORT const char *estuary_revocation_source_name(estuary_revocation_source source);
/* "unknown", "good", "revoked". Static. */
ESTUARY_EXPORT const char *estuary_revocation_status_name(estuary_revocation_status status);
/* Where the evidence came from: a URL or a file; "" when nowhere. Lent, sanitised. */
ESTUARY_EXPORT const char *estuary_verdict_origin(const estuary_verdict *verdict);
/*
 * For UNKNOWN: a stable code ("revocation.stale") and a sentence; "" for the others, but that REVOKED by a
 * CRL past its dates has a sentence that says so. Lent.
 */
ESTUARY_EXPORT const char *estuary_verdict_code(const estuary_verdict *verdict);
ESTUARY_EXPORT const char *estuary_verdict_why(const estuary_verdict *verdict);
/*
 * For REVOKED: the time (0: not said) and RFC 5280 5.3.1's name, "keyCompromise"; "" when no reason is given.
 */
ESTUARY_EXPORT time_t estuary_verdict_revoked_at(const estuary_verdict *verdict);
ESTUARY_EXPORT const char *estuary_verdict_reason(const estuary_verdict *verdict);
/* Of the evidence used; 0 when there is none (or, for nextUpdate, when it does not say). */
ESTUARY_EXPORT time_t estuary_verdict_this_update(const estuary_verdict *verdict);
ESTUARY_EXPORT time_t estuary_verdict_next_update(const estuary_verdict *verdict);

/* The checker. */

typedef struct estuary_revocation estuary_revocation;

ESTUARY_EXPORT estuary_status estuary_revocation_new(estuary_revocation **out, estuary_error *err);
ESTUARY_EXPORT estuary_revocation *estuary_revocation_up_ref(estuary_revocation *checker);
ESTUARY_EXPORT void
estuary_revocation_free(estuary_revocation *checker); /* drops a reference; NULL is fine */

#define ESTUARY_REVOCATION_BY_OCSP 1u
#define ESTUARY_REVOCATION_BY_CRL  2u
/* Which methods may be used (default both), and whether CRLs come before OCSP (default: after). */
ESTUARY_EXPORT estuary_status estuary_revocation_set_methods(estuary_revocation *checker, unsigned methods,
                                                             bool crl_first, estuary_error *err);

typedef enum estuary_revocation_policy {
    ESTUARY_REVOCATION_SOFT = 0, /* unknown passes, is counted and logged (default) */
    ESTUARY_REVOCATION_HARD      /* unknown refuses */
} estuary_revocation_policy;
ESTUARY_EXPORT estuary_status estuary_revocation_set_policy(estuary_revocation *checker,
                                                            estuary_revocation_policy policy,
                                                            estuary_error *err);
ESTUARY_EXPORT estuary_revocation_policy estuary_revocation_get_policy(const estuary_revocation *checker);
/* Of a chain: only its first certificate, instead of all but the root. */
ESTUARY_EXPORT estuary_status estuary_revocation_set_leaf_only(estuary_revocation *checker, bool on,
                                                               estuary_error *err);

/* Numbers; a value out of its range is refused (usage.limit). */
typedef enum estuary_revocation_limit {
    ESTUARY_REVOCATION_OCSP_TIMEOUT_MS = 0, /* one responder, redirects included; default 10 000 */
    ESTUARY_REVOCATION_CRL_TIMEOUT_MS,      /* one CRL, redirects included; default 60 000 */
    ESTUARY_REVOCATION_OCSP_BYTES,          /* size of a response; default 64 KiB */
    ESTUARY_REVOCATION_CRL_BYTES,           /* size of a CRL; default 512 MiB */
    ESTUARY_REVOCATION_CRL_CACHE_SECONDS,   /* a CRL is asked for again after so long; default 3600 */
    ESTUARY_REVOCATION_CRL_CACHE_ENTRIES,   /* CRLs kept; default 100 */
    ESTUARY_REVOCATION_OCSP_CACHE_ENTRIES,  /* responses kept; default 1000 */
    ESTUARY_REVOCATION_SKEW_SECONDS,        /* clocks may differ by so much; default 300 */
    ESTUARY_REVOCATION_MAX_AGE_SECONDS, /* thisUpdate may be so old; 0 (default): 7 days without nextUpdate */
    ESTUARY_REVOCATION_URLS,            /* asked for one certificate and method; default 4 */
    ESTUARY_REVOCATION_REDIRECTS,       /* followed for one URL; default 3 */
    ESTUARY_REVOCATION_INDEX_BYTES,     /* memory that building a CRL's index may take; default 16 MiB */
    /* Cached evidence that ends so soon is fetched anew; it counts still when that fails. Default 600 */
    ESTUARY_REVOCATION_REFRESH_AHEAD_SECONDS,
    ESTUARY_REVOCATION_LIMIT_COUNT
} estuary_revocation_limit;
ESTUARY_EXPORT estuary_status estuary_revocation_set_limit(estuary_revocation *checker,
                                                           estuary_revocation_limit which, int64_t value,
                                                           estuary_error *err);
ESTUARY_EXPORT int64_t estuary_revocation_get_limit(const estuary_revocation *checker,
                                                    estuary_revocation_limit which);

/* A response without our nonce (RFC 8954: a responder may leave it out) counts by its dates unless this is
 * on. */
ESTUARY_EXPORT estuary_status estuary_revocation_require_nonce(estuary_revocation *checker, bool on,
                                                               estuary_error *err);
/* As estuary_config_set_proxy(). */
ESTUARY_EXPORT estuary_status estuary_revocation_set_proxy(estuary_revocation *checker, const char *url,
                                                           const char *user, const estuary_secret *password,
                                                           estuary_error *err);
/*
 * Keeps OCSP responses and CRLs in this folder (made 0700 when missing; refused when it is neither ours nor
 * root's, or others can write to it). Without one they live as long as the checker, CRLs in an unnamed
 * temporary file.
 */
ESTUARY_EXPORT estuary_status estuary_revocation_set_cache(estuary_revocation *checker, const char *folder,
                                                           estuary_error *err);
/* Nothing is fetched: evidence given by hand, staples and the cache only. */
ESTUARY_EXPORT estuary_status estuary_revocation_set_offline(estuary_revocation *checker, bool on,
                                                             estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_revocation_set_log(estuary_revocation *checker, estuary_log *log,
                                                         estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_revocation_set_metrics(estuary_revocation *checker,
                                                             estuary_metrics *metrics, estuary_error *err);
/*
 * The time to judge by instead of now, 0 (1970) included; negative ones are refused (usage.time). Nothing is
 * stored in the cache then, and nothing taken from it.
 */
ESTUARY_EXPORT estuary_status estuary_revocation_set_time(estuary_revocation *checker, time_t at,
                                                          estuary_error *err);
/*
 * What signers of CRLs other than the issuer given must chain to (without: only those that the issuer's own
 * key vouches for count), and https:// servers of evidence (without: the system's store).
 */
ESTUARY_EXPORT estuary_status estuary_revocation_set_anchors(estuary_revocation *checker,
                                                             const estuary_anchors *anchors,
                                                             estuary_error *err);
/* Other CA certificates: the new key of a CA that signs its CRLs with it, the issuer of an indirect CRL. */
ESTUARY_EXPORT estuary_status estuary_revocation_add_certs(estuary_revocation *checker,
                                                           const STACK_OF(X509) *certs, estuary_error *err);

/*
 * Evidence given by hand, for every certificate it is about. A file (PEM or DER) is read at each check and
 * looked at first; a URL is fetched in its turn, before those that the certificate names, and only when
 * nothing before it gave an answer.
 */
ESTUARY_EXPORT estuary_status estuary_revocation_add_crl(estuary_revocation *checker, const char *file_or_url,
                                                         estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_revocation_add_ocsp_response(estuary_revocation *checker,
                                                                   const uint8_t *der, size_t len,
                                                                   estuary_error *err);

/* Checking. */

/*
 * Is `certificate` revoked? `issuer` must have signed it (cert.not-signed-by-issuer, ESTUARY_E_CERTIFICATE,
 * before any evidence is looked at) and must be trusted by the caller: the URLs in the certificate are
 * followed. ESTUARY_OK with a verdict, whatever it says; an error only when the looking failed (memory,
 * usage, cancelled, a CRL file given by hand that cannot be read: ESTUARY_E_IO). Any verified "revoked" wins
 * over any "good". The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_revocation_check(estuary_revocation *checker, X509 *certificate,
                                                       X509 *issuer, estuary_verdict **out,
                                                       estuary_error *err);
/*
 * The whole chain, leaf first, root last (as estuary_cert_path() gives it): the worst verdict (revoked, then
 * unknown, then good), and in *index (may be NULL) whose it is. Stops at the first "revoked".
 */
ESTUARY_EXPORT estuary_status estuary_revocation_check_chain(estuary_revocation *checker,
                                                             const STACK_OF(X509) *chain,
                                                             estuary_verdict **out, size_t *index,
                                                             estuary_error *err);
/*
 * The policy: ESTUARY_E_REVOKED with "revoked" or, under HARD, "revocation.unknown"; else ESTUARY_OK. The
 * zero value and NULL are "unknown".
 */
ESTUARY_EXPORT estuary_status estuary_revocation_decide(const estuary_revocation *checker,
                                                        const estuary_verdict *verdict, estuary_error *err);

/* The cache: what is in it, and a way to empty it. */

typedef struct estuary_cache_entry {
    estuary_revocation_source kind; /* OCSP, CRL or DELTA */
    const char *origin;             /* the URL */
    const char *subject;            /* of what: the CRL's issuer, or the serial of the certificate */
    time_t this_update, next_update, fetched_at;
    int64_t bytes;
    bool indexed;
} estuary_cache_entry;
/* Called for each entry; both pointer and strings are lent for the call. */
typedef void estuary_cache_fn(void *arg, const estuary_cache_entry *entry);
ESTUARY_EXPORT estuary_status estuary_revocation_cache_list(estuary_revocation *checker, estuary_cache_fn *fn,
                                                            void *arg, estuary_error *err);
/* In *removed (may be NULL) how many entries went. */
ESTUARY_EXPORT estuary_status estuary_revocation_cache_clear(estuary_revocation *checker, size_t *removed,
                                                             estuary_error *err);
#ifdef __cplusplus
}
#endif
#endif
