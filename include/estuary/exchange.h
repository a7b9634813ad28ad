/*
 * exchange.h: EST without sockets. Bytes out, bytes in: for another HTTP or TLS stack.
 *
 * One exchange is one operation of RFC 7030. The caller asks for the request, sends it over an
 * authenticated TLS session, hands the answer back and does what *next says:
 *
 *     estuary_exchange_new(op, server, enrollment, limits, &x, err);
 *     do {
 *         estuary_exchange_request(x, NULL, 0, &request, err);
 *         ... send it, read the answer ...
 *         estuary_exchange_response(x, &response, time(NULL), &next, err);
 *     } while (next == ESTUARY_NEXT_SEND);
 *
 * No sockets, files, clock, environment or global state here: time and channel binding are arguments.
 * The objects belong to one thread at a time.
 */
#ifndef ESTUARY_EXCHANGE_H
#define ESTUARY_EXCHANGE_H

#include <estuary/cert.h>
#include <estuary/csr.h>
#include <estuary/csrattrs.h>
#include <estuary/error.h>
#include <estuary/limits.h>
#include <estuary/renewal_info.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum estuary_operation {
    ESTUARY_OP_CACERTS = 1,    /* RFC 7030 4.1 */
    ESTUARY_OP_CSRATTRS,       /* RFC 7030 4.5 */
    ESTUARY_OP_SIMPLEENROLL,   /* RFC 7030 4.2.1 */
    ESTUARY_OP_SIMPLEREENROLL, /* RFC 7030 4.2.2 */
    ESTUARY_OP_FULLCMC,        /* RFC 7030 4.3; see estuary/cmc.h */
    ESTUARY_OP_SERVERKEYGEN,   /* RFC 7030 4.4; see estuary/serverkeygen.h */
    ESTUARY_OP_RENEWAL_INFO    /* draft-ietf-lamps-est-renewal-info; see below */
} estuary_operation;

/* "simpleenroll"; static; "" when unknown. */
ESTUARY_EXPORT const char *estuary_operation_name(estuary_operation operation);

/* Server: a base URL and label that passed validation (T9). Immutable, shared by reference. */

typedef struct estuary_server estuary_server;

/*
 * url: https only, no user information, query or fragment; a path prefix is allowed; IDN hosts become
 * A-labels. label: one path segment that is not an operation's name (RFC 7030 3.2.2), or NULL.
 */
ESTUARY_EXPORT estuary_status estuary_server_parse(const char *url, const char *label, estuary_server **out,
                                                   estuary_error *err);
ESTUARY_EXPORT estuary_server *estuary_server_up_ref(const estuary_server *server);
ESTUARY_EXPORT void estuary_server_free(estuary_server *server); /* drops a reference; NULL is fine */
/* Lent. url is the base in normal form, without a trailing '/'; host has no brackets; label may be "". */
ESTUARY_EXPORT const char *estuary_server_url(const estuary_server *server);
ESTUARY_EXPORT const char *estuary_server_host(const estuary_server *server);
ESTUARY_EXPORT int estuary_server_port(const estuary_server *server);
ESTUARY_EXPORT const char *estuary_server_label(const estuary_server *server);

/* Request: what to enrol. Setters copy or take their own reference. */

typedef struct estuary_request estuary_request;

ESTUARY_EXPORT estuary_status estuary_request_new(estuary_request **out, estuary_error *err);
ESTUARY_EXPORT void estuary_request_free(estuary_request *request); /* NULL is fine */
/* A builder and the key that signs it. */
ESTUARY_EXPORT estuary_status estuary_request_set_csr(estuary_request *request, const estuary_csr *csr,
                                                      EVP_PKEY *key, estuary_error *err);
/* A request made and signed elsewhere; it cannot be channel-bound. Its key may be a secure element's. */
ESTUARY_EXPORT estuary_status estuary_request_set_signed(estuary_request *request, const X509_REQ *csr,
                                                         estuary_error *err);
/*
 * The certificate to be renewed: for simplereenroll subject and subjectAltName of the request must be
 * identical to it (RFC 7030 4.2.2), unless the request carries ChangeSubjectName (RFC 6402).
 */
ESTUARY_EXPORT estuary_status estuary_request_set_old_certificate(estuary_request *request,
                                                                  const X509 *certificate,
                                                                  estuary_error *err);

/* Enrolment: a request on its way. */

typedef enum estuary_state {
    ESTUARY_STATE_FAILED = 0,
    ESTUARY_STATE_READY,   /* signed, not sent or not answered yet */
    ESTUARY_STATE_PENDING, /* the server said 202: come back at retry_at */
    ESTUARY_STATE_ISSUED   /* a certificate for our key came, and passed its checks */
} estuary_state;

typedef struct estuary_enrollment estuary_enrollment;

/* Inspects and signs the request; a broken or weak one is refused here, before anything is sent (E5). */
ESTUARY_EXPORT estuary_status estuary_enrollment_new(estuary_operation operation,
                                                     const estuary_server *server,
                                                     const estuary_request *request, estuary_enrollment **out,
                                                     estuary_error *err);
ESTUARY_EXPORT void estuary_enrollment_free(estuary_enrollment *enrollment); /* NULL is fine */

ESTUARY_EXPORT estuary_state estuary_enrollment_state(const estuary_enrollment *enrollment);
ESTUARY_EXPORT estuary_operation estuary_enrollment_operation(const estuary_enrollment *enrollment);
ESTUARY_EXPORT const estuary_server *estuary_enrollment_get0_server(const estuary_enrollment *enrollment);
/* Lent: the request as last signed; NULL only while it was never signed. */
ESTUARY_EXPORT const X509_REQ *estuary_enrollment_get0_request(const estuary_enrollment *enrollment);
/*
 * true when the request left (or may have) and no whole answer came: the server may have issued. Save the
 * enrolment and send the same request again, with the same key. A CA that issued already may say so.
 */
ESTUARY_EXPORT bool estuary_enrollment_maybe_sent(const estuary_enrollment *enrollment);
/* When to ask again; 0 when not pending. Absolute UTC. */
ESTUARY_EXPORT time_t estuary_enrollment_retry_at(const estuary_enrollment *enrollment);
/* How often it was answered with 202. */
ESTUARY_EXPORT int64_t estuary_enrollment_polls(const estuary_enrollment *enrollment);
/* Lent. The issued certificate, also when its checks failed; NULL when none came. */
ESTUARY_EXPORT X509 *estuary_enrollment_get0_certificate(const estuary_enrollment *enrollment);
/* Lent. The other certificates of the answer, in its order; NULL when none came. */
ESTUARY_EXPORT const STACK_OF(X509) *estuary_enrollment_get0_others(const estuary_enrollment *enrollment);
/* Lent. Leaf's issuer first, no root; NULL before the checks passed. */
ESTUARY_EXPORT const STACK_OF(X509) *estuary_enrollment_get0_chain(const estuary_enrollment *enrollment);
/* Lent. NULL before estuary_enrollment_check(). */
ESTUARY_EXPORT const estuary_findings *estuary_enrollment_get0_findings(const estuary_enrollment *enrollment);

/*
 * Checks the issued certificate against the request, the anchors and the clock (E8). Only a pass makes
 * the state ESTUARY_STATE_ISSUED; else ESTUARY_E_CERTIFICATE, and the findings say what failed. A check
 * that could not be made (ESTUARY_E_MEMORY, _CRYPTO, _USAGE) leaves everything as it was: repeat it. helpers
 * (may be NULL) are further CA certificates, e.g. from cacerts.
 */
ESTUARY_EXPORT estuary_status estuary_enrollment_check(estuary_enrollment *enrollment,
                                                       const estuary_anchors *anchors,
                                                       const STACK_OF(X509) *helpers, time_t now,
                                                       const estuary_limits *limits, estuary_error *err);

/*
 * Everything needed to go on after a restart, except the key: JSON text, not NUL-terminated. The
 * caller frees *out with OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_enrollment_save(const estuary_enrollment *enrollment, uint8_t **out,
                                                      size_t *len, estuary_error *err);
/*
 * key may be NULL for a request signed elsewhere; else it must be the one of the saved request.
 * ESTUARY_E_CONFIG when the bytes are not such a state, ESTUARY_E_KEY when the key is another one.
 */
ESTUARY_EXPORT estuary_status estuary_enrollment_load(const uint8_t *bytes, size_t len, EVP_PKEY *key,
                                                      estuary_enrollment **out, estuary_error *err);

/* HTTP, as values. */

typedef struct estuary_http_request estuary_http_request;

/* All lent by the exchange until its next call. */
ESTUARY_EXPORT const char *estuary_http_request_method(const estuary_http_request *request); /* GET, POST */
ESTUARY_EXPORT const char *estuary_http_request_url(const estuary_http_request *request);
/* NULL without a body. */
ESTUARY_EXPORT const char *estuary_http_request_content_type(const estuary_http_request *request);
ESTUARY_EXPORT const char *estuary_http_request_accept(const estuary_http_request *request);
ESTUARY_EXPORT const uint8_t *estuary_http_request_body(const estuary_http_request *request, size_t *len);

typedef struct estuary_http_response estuary_http_response;

ESTUARY_EXPORT estuary_status estuary_http_response_new(int status, estuary_http_response **out,
                                                        estuary_error *err);
ESTUARY_EXPORT void estuary_http_response_free(estuary_http_response *response); /* NULL is fine */
/* Names are compared without case. Bounded by the exchange's limits when it is read. */
ESTUARY_EXPORT estuary_status estuary_http_response_add_header(estuary_http_response *response,
                                                               const char *name, const char *value,
                                                               estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_http_response_append_body(estuary_http_response *response,
                                                                const uint8_t *bytes, size_t len,
                                                                estuary_error *err);

/* The exchange. */

typedef enum estuary_next {
    ESTUARY_NEXT_FAILED = 0, /* see the error */
    ESTUARY_NEXT_SEND,       /* take the request again (a redirect inside the origin) and send it */
    ESTUARY_NEXT_WAIT,       /* pending: a new exchange for the same enrolment at retry_at */
    ESTUARY_NEXT_DONE        /* take the result */
} estuary_next;

typedef struct estuary_exchange estuary_exchange;

/*
 * enrollment: for simpleenroll and simplereenroll, NULL otherwise; lent, must outlive the exchange.
 * limits may be NULL (defaults). The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_exchange_new(estuary_operation operation, const estuary_server *server,
                                                   estuary_enrollment *enrollment,
                                                   const estuary_limits *limits, estuary_exchange **out,
                                                   estuary_error *err);
ESTUARY_EXPORT void estuary_exchange_free(estuary_exchange *exchange); /* NULL is fine */

/*
 * *out is lent. With a binding (RFC 7030 3.5: tls-unique or tls-exporter bytes, raw) the request is
 * signed again with it in challengePassword; for a request signed elsewhere that is ESTUARY_E_KEY.
 */
ESTUARY_EXPORT estuary_status estuary_exchange_request(estuary_exchange *exchange, const uint8_t *binding,
                                                       size_t binding_len, const estuary_http_request **out,
                                                       estuary_error *err);

/*
 * Judges the answer. now is for Retry-After. A pending answer is ESTUARY_OK with ESTUARY_NEXT_WAIT. For
 * enrolments the certificate is in the enrolment afterwards, found by its public key, still unchecked:
 * call estuary_enrollment_check().
 */
ESTUARY_EXPORT estuary_status estuary_exchange_response(estuary_exchange *exchange,
                                                        const estuary_http_response *response, time_t now,
                                                        estuary_next *next, estuary_error *err);

/* Results after ESTUARY_NEXT_DONE; lent; NULL for another operation. csrattrs: never NULL after done. */
ESTUARY_EXPORT const STACK_OF(X509) *estuary_exchange_get0_certs(const estuary_exchange *exchange);
ESTUARY_EXPORT const estuary_csr_attributes *
estuary_exchange_get0_csr_attributes(const estuary_exchange *exchange);

/*
 * GET renewal-info for a certificate. 204 and 404 give no info: the getter then lends NULL. Freed as any
 * other exchange.
 */
ESTUARY_EXPORT estuary_status estuary_exchange_new_renewal_info(const estuary_server *server,
                                                                const X509 *certificate,
                                                                const estuary_limits *limits,
                                                                estuary_exchange **out, estuary_error *err);
ESTUARY_EXPORT const estuary_renewal_info *
estuary_exchange_get0_renewal_info(const estuary_exchange *exchange); /* lent */

#ifdef __cplusplus
}
#endif
#endif
