/*
 * cmc.h: /fullcmc, a full PKI request of CMC (RFC 7030 4.3, RFC 5272).
 *
 * The request is an estuary_request and the matter itself an estuary_enrollment, as for simpleenroll: it can
 * be PENDING, saved, loaded and resumed, and its certificate is checked the same way. What CMC has besides is
 * here.
 *
 * An answer is believed only when its signature verifies, its signer chains to the anchors and either has
 * the extended key usage id-kp-cmcRA or id-kp-cmcCA or is the CA that issued the certificate, and
 * transactionId and recipientNonce are those of the request. Before that no control of it is read. An answer
 * of certificates alone (a Simple PKI Response) has no signature; it is taken as simpleenroll's is.
 */
#ifndef ESTUARY_CMC_H
#define ESTUARY_CMC_H

#include <estuary/cert.h>
#include <estuary/error.h>
#include <estuary/secret.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct estuary_request;
struct estuary_enrollment;

typedef enum estuary_cmc_body {
    ESTUARY_CMC_BODY_PKCS10 = 1, /* RFC 5272 3.2.1.2.1 */
    ESTUARY_CMC_BODY_CRMF        /* RFC 5272 3.2.1.2.2, RFC 4211; needs the request's key at hand */
} estuary_cmc_body;

/* How the request is encoded; without this call it is PKCS#10. */
ESTUARY_EXPORT estuary_status estuary_request_set_cmc_body(struct estuary_request *request,
                                                           estuary_cmc_body body, estuary_error *err);
/*
 * The shared secret that proves who we are (identityProofV2, RFC 5272 6.2.1) and the name the server finds
 * it by (identification; UTF-8; NULL: none). Copied. The proof is in the request, the secret never is.
 */
ESTUARY_EXPORT estuary_status estuary_request_set_cmc_secret(struct estuary_request *request,
                                                             const char *identity,
                                                             const estuary_secret *secret,
                                                             estuary_error *err);

/*
 * Of an enrolment. estuary_client_fullcmc() and estuary_client_resume() set signer and trust themselves, from
 * the config; who drives an estuary_exchange, sets them. None of the three is in a saved state.
 */

/* As above; for an enrolment loaded before its request was answered. */
ESTUARY_EXPORT estuary_status estuary_enrollment_set_cmc_secret(struct estuary_enrollment *enrollment,
                                                                const char *identity,
                                                                const estuary_secret *secret,
                                                                estuary_error *err);
/*
 * The certificate that signs the request, its chain (may be NULL) and key. Without one the request is signed
 * with the key to be certified (RFC 5272 3.2). References are taken.
 */
ESTUARY_EXPORT estuary_status estuary_enrollment_set_cmc_signer(struct estuary_enrollment *enrollment,
                                                                X509 *certificate,
                                                                const STACK_OF(X509) *chain, EVP_PKEY *key,
                                                                estuary_error *err);
/*
 * Whose answers are believed; helpers (may be NULL) are further CA certificates. vouches: these anchors were
 * configured, so that anchors published by their CMC servers need no fingerprint. Without this call every
 * signed answer is ESTUARY_E_USAGE.
 */
ESTUARY_EXPORT estuary_status estuary_enrollment_set_cmc_trust(struct estuary_enrollment *enrollment,
                                                               const estuary_anchors *anchors,
                                                               const STACK_OF(X509) *helpers, bool vouches,
                                                               estuary_error *err);

/* CMCStatus (RFC 5272 6.1.3), of the last answer that was believed. */
typedef enum estuary_cmc_status {
    ESTUARY_CMC_NONE = 0, /* no answer yet, or one without controls */
    ESTUARY_CMC_SUCCESS,
    ESTUARY_CMC_PENDING,
    ESTUARY_CMC_PARTIAL,
    ESTUARY_CMC_CONFIRM_REQUIRED,
    ESTUARY_CMC_POP_REQUIRED,
    ESTUARY_CMC_NO_SUPPORT,
    ESTUARY_CMC_FAILED
} estuary_cmc_status;

ESTUARY_EXPORT estuary_cmc_status estuary_enrollment_cmc_status(const struct estuary_enrollment *enrollment);
/* "success", "confirmRequired" …; static; "" when unknown. */
ESTUARY_EXPORT const char *estuary_cmc_status_name(estuary_cmc_status status);
/* "badIdentity" …, and what it means, for a number of CMCFailInfo (RFC 5272 6.1.4); static; "" when unknown.
 */
ESTUARY_EXPORT const char *estuary_cmc_fail_name(int64_t fail_info);
ESTUARY_EXPORT const char *estuary_cmc_fail_sentence(int64_t fail_info);

/*
 * Trust anchors that the answer published (RFC 5272 6.15): certificates, not anchors yet. Lent; NULL when
 * it published none.
 */
ESTUARY_EXPORT const STACK_OF(X509) *
estuary_enrollment_get0_published_anchors(const struct estuary_enrollment *enrollment);
/* Its seqNumber: the caller keeps it, and takes only what has a greater one. 0 when none were published. */
ESTUARY_EXPORT int64_t estuary_enrollment_published_sequence(const struct estuary_enrollment *enrollment);
/*
 * Makes anchors of them. fingerprints may be empty only when the publisher is vouched for by configured
 * anchors, has signed just now, and every certificate came along, hashed with better than SHA-1; else
 * ESTUARY_E_TRUST with trust.confirm-fingerprint. With fingerprints (SHA-256, at most 64) only matching roots
 * are kept. The caller drops *out with estuary_anchors_free().
 */
ESTUARY_EXPORT estuary_status estuary_enrollment_confirm_published(
    const struct estuary_enrollment *enrollment, const char *const *fingerprints, size_t n,
    estuary_anchors **out, estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
