/* est: the sans-I/O exchange. Pure: time, channel binding and answers are arguments. */
#ifndef EST_EST_H
#define EST_EST_H

#include "base/base.h"
#include "cert/cert.h"
#include "key/key.h"
#include "wire/wire.h"

#include <estuary/exchange.h>
#include <estuary/serverkeygen.h>

/* operation.c: one row per operation; what only this room calls (build, read) is in exchange.h */

typedef struct est_operation {
    estuary_operation operation;
    const char *name; /* the last path segment, RFC 7030 3.2.2 */
    const char *method;
    const char *content_type; /* of the request; NULL without a body */
    const char *accept;
    const char *answer_type; /* media type of a 200 answer */
    const char *smime_type;  /* its smime-type, when it has one; NULL: none is expected */
    bool enrolls;
    bool absent_is_empty; /* 204 and 404 mean "none" (RFC 7030 4.5.2): read() then gets no answer */
    /* Makes request.body; NULL without one. */
    estuary_status (*build)(estuary_exchange *exchange, estuary_error *err);
    /* Takes a 200 answer (NULL: none) apart into the exchange or its enrolment. */
    estuary_status (*read)(estuary_exchange *exchange, const estuary_http_response *response,
                           estuary_error *err);
    /* Finds the reason in a 4xx or 5xx answer; never ESTUARY_OK. NULL: the status says it all. */
    estuary_status (*read_refusal)(estuary_exchange *exchange, const estuary_http_response *response,
                                   estuary_error *err);
} est_operation;

/* renewal_info.c: hands the parsed answer over; NULL when there was none. */
estuary_renewal_info *est_exchange_take_renewal_info(estuary_exchange *exchange);

const est_operation *est_operation_get(estuary_operation operation); /* NULL when unknown */
bool est_operation_from_name(const char *name, estuary_operation *out);
bool est_operation_is_reserved(const char *segment); /* any operation of RFC 7030, ours or not */

/* server.c */

/* The URL of an operation; freed with est_free(). NULL when memory is short. */
char *est_server_operation_url(const estuary_server *server, const char *operation_name);
bool est_server_equal(const estuary_server *a, const estuary_server *b);
/*
 * Where a redirect from `current` leads (RFC 9110 10.2.2): only inside the same origin (T7). *out is freed
 * with est_free().
 */
estuary_status est_server_resolve_redirect(const estuary_server *server, const char *current,
                                           const char *location, char **out, estuary_error *err);

/* exchange.c */

const char *est_exchange_url(const estuary_exchange *exchange);                /* of the last request; lent */
estuary_enrollment *est_exchange_enrollment(const estuary_exchange *exchange); /* lent; NULL: none */
/* Hands the parsed attributes over; the exchange forgets them. NULL when there are none. */
estuary_csr_attributes *est_exchange_take_csr_attributes(estuary_exchange *exchange);

/*
 * For a body that is bound to a TLS session: the request without one that may be sent, and how long the body
 * can become once estuary_exchange_request() has signed it with a binding.
 */
estuary_status est_exchange_plan_bound(estuary_exchange *exchange, const estuary_http_request **out,
                                       size_t *body_max, estuary_error *err);

/* http_value.c */

struct estuary_http_request {
    const char *method;
    char *url; /* owned */
    const char *content_type;
    const char *accept;
    char *body; /* owned; base64 text */
    size_t body_len;
};

typedef struct est_header {
    char *name;
    char *value;
} est_header;

struct estuary_http_response {
    int status;
    est_header *headers; /* owned */
    size_t n_headers;
    size_t header_bytes;
    est_buf body;
};

/* The first header of that name; NULL when absent. */
const char *est_response_header(const estuary_http_response *response, const char *name);

/* answer.c: from an HTTP status and headers to an error */
estuary_status est_answer_check_bounds(const estuary_http_response *response, const estuary_limits *limits,
                                       estuary_error *err);
estuary_status est_answer_refusal(const estuary_http_response *response, const estuary_limits *limits,
                                  time_t now, estuary_error *err);
estuary_status est_answer_retry_at(const estuary_http_response *response, const estuary_limits *limits,
                                   time_t now, time_t *at, estuary_error *err);
/* Content-Type with its smime-type (may be NULL), Content-Encoding and a non-empty body. */
estuary_status est_answer_check_type(const estuary_http_response *response, const char *media_type,
                                     const char *smime_type, estuary_error *err);
/* The same, then base64. *der is freed with est_free(). */
estuary_status est_answer_decode(const estuary_http_response *response, const char *media_type,
                                 const char *smime_type, const estuary_limits *limits, uint8_t **der,
                                 size_t *len, estuary_error *err);

/* html.c: what stands between the tags, character references undone; at most size bytes, to be sanitised */
size_t est_html_text(const uint8_t *in, size_t len, uint8_t *out, size_t size);

/* request.c */

struct estuary_request {
    estuary_csr *csr; /* with key: to be signed by us */
    EVP_PKEY *key;
    X509_REQ *signed_request; /* made elsewhere */
    X509 *old;
    est_decrypt decrypt; /* of serverkeygen only */
    bool cmc_crmf;       /* of fullcmc only; see estuary/cmc.h */
    char *cmc_identity;
    estuary_secret *cmc_secret;
};

/* fullcmc.c, fullcmc_state.c */

typedef struct est_cmc est_cmc; /* NULL is fine for all of them */
void est_cmc_free(est_cmc *cmc);
void est_cmc_forget_message(est_cmc *cmc); /* the request in it was signed again */

/* enrollment.c */

struct estuary_enrollment {
    estuary_operation operation;
    estuary_server *server;
    estuary_csr *csr; /* NULL: signed elsewhere */
    EVP_PKEY *key;    /* NULL: signed elsewhere */
    X509_REQ *request;
    bool unread;     /* request holds the public half of key as bytes only */
    bool bound;      /* request carries a channel binding, so it is signed again for each session */
    bool maybe_sent; /* a request left, and no whole answer came */
    X509 *old;
    estuary_state state;
    time_t retry_at;
    int64_t polls;
    X509 *certificate;
    STACK_OF(X509) *others;
    STACK_OF(X509) *chain;
    estuary_findings *findings;
    est_cmc *cmc; /* of fullcmc only */
    /* of serverkeygen only */
    est_decrypt decrypt;
    EVP_PKEY *generated;          /* the server's key */
    CMS_ContentInfo *key_package; /* its signature is still to be verified; NULL: it came without one */
};

estuary_status est_enrollment_sign(estuary_enrollment *enrollment, const uint8_t *binding, size_t binding_len,
                                   estuary_error *err);
/* The key is at hand, and the body has a place for challengePassword. */
bool est_enrollment_can_bind(const estuary_enrollment *enrollment);
/* Finds the certificate by its public key (E8) and keeps the others. */
estuary_status est_enrollment_take_certs(estuary_enrollment *enrollment, STACK_OF(X509) *certs,
                                         estuary_error *err);

#endif
