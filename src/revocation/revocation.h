/* revocation: OCSP, CRL, their caches, one verdict with its reason. */
#ifndef EST_REVOCATION_H
#define EST_REVOCATION_H

#include "base/base.h"
#include "cert/cert.h"
#include "http/http.h"
#include "wire/wire.h"

#include <estuary/revocation.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* --- verdict.c --- */

struct estuary_verdict {
    estuary_revocation_status status;
    estuary_revocation_source evidence; /* never CACHE */
    bool cached;
    bool outdated; /* REVOKED, by a CRL past its dates; `why` says so */
    est_code code; /* UNKNOWN: why */
    char why[512]; /* UNKNOWN: a sentence */
    char origin[512];
    time_t revoked_at;
    int reason; /* CRLReason; -1: not given */
    time_t this_update, next_update;
};

estuary_verdict *est_verdict_new(void); /* unknown, revocation.no-evidence; NULL when memory is short */
/* "unknown" with a code and sentence (fmt NULL: the table's); what it knew before is forgotten. */
void est_verdict_unknown(estuary_verdict *verdict, est_code code, const char *fmt, ...) EST_PRINTF(3);
void est_verdict_set_origin(estuary_verdict *verdict, const char *origin); /* sanitised */
/* The same from an error. */
void est_verdict_unknown_because(estuary_verdict *verdict, const estuary_error *err);
/*
 * What a second piece of evidence about the same certificate adds: revoked wins over good, good over unknown;
 * of two unknowns the first stays unless it is "no evidence"; of two goods the first.
 */
void est_verdict_add(estuary_verdict *verdict, const estuary_verdict *other);
const char *est_reason_name(int reason); /* RFC 5280 5.3.1; "" for -1 and unknown numbers */

/* --- question.c --- */

/* What is asked, and by whose rules; everything lent. */
typedef struct est_question {
    X509 *certificate;
    X509 *issuer;
    const STACK_OF(X509) *helpers; /* other CA certificates, not trusted by themselves; may be NULL */
    const estuary_anchors
        *anchors; /* what signers other than the issuer must chain to; NULL: only what issuer's
                     own key or name vouches for (RFC 5280 6.3.3 (f): same trust anchor) */
    time_t now;
    int64_t skew;
    int64_t max_age; /* 0: 7 days where there is no nextUpdate */
    bool require_nonce;
    bool insecure_sha1; /* a signature with SHA-1 counts: for other people's old test vectors only */
} est_question;

/* R0: the issuer's name and key signed it; EST_CERT_NOT_SIGNED_BY_ISSUER. */
estuary_status est_question_check(const est_question *question, estuary_error *err);
/* Dates of evidence: thisUpdate not in the future, nextUpdate not past, not older than allowed. false:
 * *verdict says why. */
bool est_question_is_fresh(const est_question *question, time_t this_update, time_t next_update,
                           const char *what, estuary_verdict *verdict);

/* --- ocsp_*.c: RFC 6960; pure: no sockets, no files, no clock --- */

typedef struct est_ocsp_request {
    uint8_t *der; /* owned */
    size_t len;
    OCSP_REQUEST *request; /* for the nonce and the certID; owned */
} est_ocsp_request;

/* sha256: the certID's hash, else SHA-1 (which every responder knows). */
estuary_status est_ocsp_request_make(X509 *certificate, X509 *issuer, bool sha256, bool nonce,
                                     est_ocsp_request *out, estuary_error *err);
void est_ocsp_request_clear(est_ocsp_request *request);
/* The URL for GET (RFC 6960 A.1), or NULL when the request is too large for it (255 bytes) or memory is
 * short; freed with est_free(). */
char *est_ocsp_get_url(const char *responder, const est_ocsp_request *request);

#define EST_OCSP_BYTES_MAX (1024 * 1024) /* nobody reads more, whatever the limits say */

/*
 * Judges a response: signature and signer's authority, certID, dates, nonce, then status. `request` NULL: a
 * staple or a cached response, no nonce is compared. Whatever is wrong makes the verdict unknown with its own
 * code. A delegated signer without id-pkix-ocsp-nocheck must not be revoked itself: then *delegate is a
 * reference to its certificate, and the verdict counts only when that is seen to be good (else NULL). R0
 * (est_question_check()) is the caller's first step. When the response is out of date its thisUpdate and
 * nextUpdate stay in the verdict. Fails only for memory.
 */
estuary_status est_ocsp_judge(const est_question *question, const est_ocsp_request *request,
                              const uint8_t *der, size_t len, estuary_verdict *verdict, X509 **delegate,
                              estuary_error *err);

/* --- ocsp_cache*.c (R2) --- */

/* Responses kept in memory, and in a folder when there is one. Locked inside. */
typedef struct est_ocsp_cache est_ocsp_cache;
estuary_status est_ocsp_cache_new(int64_t max_entries, est_ocsp_cache **out, estuary_error *err);
void est_ocsp_cache_free(est_ocsp_cache *cache);
/*
 * folder_fd: an open directory of ours, lent; entries are files of their own below it. Before the first use.
 */
void est_ocsp_cache_use_folder(est_ocsp_cache *cache, int folder_fd);
/*
 * true: *verdict is what was judged before for this certificate and issuer, and still fresh at question->now
 * (verified again when it comes from the folder); "cached" is set. A warm hit verifies no signature. What is
 * revoked for any reason but certificateHold stays revoked after nextUpdate. A delegated signer
 * that may be revoked itself must be known to the cache as good when its response comes from the folder.
 * R0 (est_question_check()) is the caller's first step. false leaves *verdict as it was.
 */
bool est_ocsp_cache_get(est_ocsp_cache *cache, const est_question *question, estuary_verdict *verdict);
/* This very certificate and issuer, byte for byte, are in memory: they passed R0 when they came there. */
bool est_ocsp_cache_knows(est_ocsp_cache *cache, const est_question *question);
/*
 * Keeps a judged response (it is judged once more, and dropped when that says something else than *verdict),
 * unless what is there has a later thisUpdate or says revoked (R0).
 */
void est_ocsp_cache_put(est_ocsp_cache *cache, const est_question *question, const uint8_t *der, size_t len,
                        const char *url, const estuary_verdict *verdict);
/* What is kept: in the folder when there is one, else in memory. fn is called without a lock held. */
estuary_status est_ocsp_cache_list(est_ocsp_cache *cache, estuary_cache_fn *fn, void *arg,
                                   estuary_error *err);
/* Empties both; adds to *removed how many went (in the folder, else in memory). ESTUARY_E_IO. */
estuary_status est_ocsp_cache_clear(est_ocsp_cache *cache, size_t *removed, estuary_error *err);

/* --- ocsp_staple.c (R3) --- */

/*
 * RFC 7633: the certificate's TLS feature extension lists status_request (5), or cannot be read: its server
 * must staple. status_request_v2 (17, RFC 6961) is not there in OpenSSL and never asked for; alone it asks
 * for nothing.
 */
bool est_staple_must(const X509 *certificate);

/* --- crl_judge.c: RFC 5280 6.3.3; pure --- */

#define EST_ALL_REASONS 0x807fu /* every ReasonFlags bit but unused(0), as OpenSSL's CRLDP_ALL_REASONS */

/* What several CRLs together say about one certificate; zero-initialise, verdict is the caller's. */
typedef struct est_crl_state {
    unsigned reasons; /* covered so far */
    estuary_verdict *verdict;
    time_t this_update, next_update; /* the earliest of the CRLs that count so far */
    /*
     * Pairs, a certificate and behind it its issuer: signers of CRLs that count, and CAs above them, that are
     * not on the issuer's own path. Each must be seen to be good itself before the verdict counts (6.3.3 (f):
     * their path must be valid, revocation included). NULL: none. Freed with est_crl_state_clear().
     */
    STACK_OF(X509) *delegates;
} est_crl_state;
void est_crl_state_clear(est_crl_state *state); /* not the verdict */

/*
 * Adds what a verified complete CRL (and a delta for it; NULL: none) says, when both are about the
 * certificate, by dp (a distribution point of the certificate; NULL: given by hand, or it has none, then RFC
 * 5280 6.3.3's implied one and every dp are tried): signer with cRLSign and a path, issuer and cRLIssuer, IDP
 * scope, reasons, dates, delta base. What is wrong leaves the verdict unknown with its own code; good only
 * when all reasons are covered. A delta CRL that does not belong to the complete one makes "good" unknown:
 * ask est_crl_delta_belongs() before pairing what was not fetched from the CRL's own freshestCRL.
 */
estuary_status est_crl_judge(const est_question *question, const DIST_POINT *dp, const est_crl *complete,
                             const est_crl *delta, est_crl_state *state, estuary_error *err);
/* Same issuer, scope, key identifier and key (RFC 5280 6.3.3 (c), (h)); numbers are not looked at. */
bool est_crl_delta_belongs(const est_crl *complete, const est_crl *delta);
/*
 * Certificates that may have signed CRLs for this question: issuer, helpers, the anchors' own. A new stack.
 */
estuary_status est_crl_signers(const est_question *question, STACK_OF(X509) **out, estuary_error *err);

/* --- crl_index_*.c: looked up without being read again --- */

/*
 * An index of a CRL that was verified and lies in a file (DER; no indirect CRL), for looking up many
 * certificates or the same ones again. Locked inside. docs/revocation.md has the threat model.
 */
typedef struct est_crl_index est_crl_index;
/*
 * Reads the CRL behind crl_fd once more, several times when max_memory is short, verifying that it is still
 * the one that `crl` was read from; then puts the index into folder/name. crl.index when it cannot be done.
 */
estuary_status est_crl_index_build(int crl_fd, const est_crl *crl, int folder, const char *name,
                                   uint64_t max_memory, estuary_error *err);
/* The same in pieces: each step reads at most *left bytes, which it counts down. All is lent until it is
 * freed, at any time: nothing is left behind then. */
typedef struct est_crl_indexing est_crl_indexing;
#define EST_CRL_INDEX_NAME 128
estuary_status est_crl_indexing_new(int crl_fd, const est_crl *crl, int folder, const char *name,
                                    uint64_t max_memory, est_crl_indexing **out, estuary_error *err);
estuary_status est_crl_indexing_step(est_crl_indexing *indexing, uint64_t *left, bool *done,
                                     estuary_error *err);
void est_crl_indexing_free(est_crl_indexing *indexing); /* NULL is fine */
/*
 * crl.index when there is none, it is another file's (any change of owner, mode, device, inode, size or
 * times) or it was tampered with: then the CRL must be verified as if there were no index. crl_fd is
 * duplicated; max_memory bounds the pages that are kept.
 */
estuary_status est_crl_index_open(int crl_fd, int folder, const char *name, uint64_t max_memory,
                                  est_crl_index **out, estuary_error *err);
est_crl_index *est_crl_index_up_ref(est_crl_index *index);
void est_crl_index_free(est_crl_index *index); /* lets go of a reference; NULL is fine */
/*
 * What the CRL says of itself and of one certificate. Everything *out points to is the index's: never
 * est_crl_free() it. Fails with crl.index when the CRL's file has changed or anything is not what it was:
 * nothing is known then.
 */
estuary_status est_crl_index_find(est_crl_index *index, const X509 *certificate, est_crl *out,
                                  estuary_error *err);

/* --- urls.c --- */

/*
 * http(s) URLs in a certificate, sanitised and bounded: others are passed over. Freed with est_urls_free().
 */
typedef struct est_urls {
    char **at;
    size_t count;
} est_urls;
estuary_status est_urls_of_ocsp(const X509 *certificate, size_t max, est_urls *out, estuary_error *err);
estuary_status est_urls_of_dist_point(const DIST_POINT *dp, size_t max, est_urls *out, estuary_error *err);
void est_urls_free(est_urls *urls);
bool est_url_looks_like_one(const char *text); /* rather than like the name of a file */

/* checker.c: a CRL or an OCSP response was given by hand, for every certificate it is about. */
bool est_checker_was_given_evidence(const estuary_revocation *checker);
bool est_checker_is_leaf_only(const estuary_revocation *checker);

/* --- job.c: the checker at work --- */

/* One chain (leaf first, its last certificate is only an issuer), checked without blocking. */
typedef struct est_revocation_job est_revocation_job;
/* ESTUARY_OK: a verdict is there. May free the job. */
typedef void est_revocation_done_fn(void *arg, estuary_status status, const estuary_error *err);

/* cancelled may be NULL, and must outlive the job. */
estuary_status est_revocation_job_new(estuary_revocation *checker, const STACK_OF(X509) *chain,
                                      const atomic_bool *cancelled, est_revocation_job **out,
                                      estuary_error *err);
void est_revocation_job_free(est_revocation_job *job); /* ends it without on_done; NULL is fine */
/* An OCSP response that came with the handshake, about the first certificate; copied. */
estuary_status est_revocation_job_set_staple(est_revocation_job *job, const uint8_t *der, size_t len,
                                             estuary_error *err);
/* It repeats what was checked, and counted, a moment ago: not a check of its own in the metrics. */
void est_revocation_job_set_uncounted(est_revocation_job *job);
/* Staple, given evidence and caches only: at once, nothing is fetched. */
estuary_status est_revocation_job_look(est_revocation_job *job, estuary_error *err);
/*
 * The same for who will start() it when that is not enough: what ought to be fetched anew does not count yet.
 */
estuary_status est_revocation_job_look_first(est_revocation_job *job, estuary_error *err);
/* on_done comes once, perhaps before this returns ESTUARY_OK. */
estuary_status est_revocation_job_start(est_revocation_job *job, est_http_engine *engine,
                                        est_revocation_done_fn *on_done, void *arg, estuary_error *err);
/* The worst verdict so far and whose it is; lent. */
const estuary_verdict *est_revocation_job_verdict(const est_revocation_job *job, size_t *index);
estuary_verdict *est_revocation_job_take_verdict(est_revocation_job *job);

#endif
