/* CMC (RFC 5272, RFC 6402): messages to values and back. Part of wire.h. */
#ifndef EST_WIRE_CMC_H
#define EST_WIRE_CMC_H

#include "base/base.h"

#include <estuary/cmc.h>
#include <estuary/csr.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define EST_CMC_NONCE_SIZE       32
#define EST_CMC_TRANSACTION_SIZE 16
#define EST_CMC_TOKEN_MAX        4096 /* of a server's pendToken and senderNonce */
#define EST_CMC_IDENTITY_MAX     1024
#define EST_CMC_TEXT_SIZE        513

/* What a message may hold, however large the answer may be. */
#define EST_CMC_MAX_CONTENT  262144
#define EST_CMC_MAX_CONTROLS 64
#define EST_CMC_MAX_ITEMS    256 /* body parts of a status, hashes of a set of anchors */

/* Body part identifiers of our messages: unique, and 0 means the message itself (RFC 5272 3.2.2). */
#define EST_CMC_BODY_REQUEST 1

/* cmc_request.c */

typedef struct est_cmc_request {
    const X509_REQ *request; /* NULL: a queryPending has none */
    EVP_PKEY *key;           /* the request's own, for the proof of possession in a CRMF body */
    bool crmf;
    const uint8_t *transaction; /* EST_CMC_TRANSACTION_SIZE */
    const uint8_t *nonce;       /* EST_CMC_NONCE_SIZE */
    const uint8_t *recipient_nonce;
    size_t recipient_nonce_len; /* 0: none came yet */
    const uint8_t *pend_token;
    size_t pend_token_len;        /* 0: not a queryPending */
    const char *identity;         /* NULL: none */
    const estuary_secret *secret; /* NULL: no identity proof */
} est_cmc_request;

/* The PKIData, not signed yet. *out is freed with OPENSSL_free(). */
estuary_status est_cmc_request_encode(const est_cmc_request *request, uint8_t **out, size_t *len,
                                      estuary_error *err);
/*
 * A SignedData around PKIData. signer NULL: signed with the request's own key, named by the
 * subjectKeyIdentifier that the request asks for (RFC 5272 3.2). *out is freed with OPENSSL_free().
 */
typedef struct est_cmc_signer {
    X509 *certificate;
    const STACK_OF(X509) *chain; /* may be NULL */
    EVP_PKEY *key;
} est_cmc_signer;
estuary_status est_cmc_sign(const uint8_t *content, size_t content_len, const est_cmc_signer *signer,
                            uint8_t **out, size_t *len, estuary_error *err);
estuary_status est_cmc_sign_with_request_key(const uint8_t *content, size_t content_len,
                                             const X509_REQ *request, EVP_PKEY *key, uint8_t **out,
                                             size_t *len, estuary_error *err);
/* true when the request asks for a subjectKeyIdentifier. */
/* Adds one to a builder that has none: the SHA-1 of RFC 5280 4.2.1.2 (1). */
estuary_status est_cmc_add_key_identifier(estuary_csr *csr, const EVP_PKEY *key, estuary_error *err);

/* cmc_signed.c: the envelope of an answer. Nothing in `content` has been read. */

typedef struct est_cmc_signed {
    STACK_OF(X509) *certs; /* owned; of the message, in its order */
    X509 *signer;          /* owned; its signature verifies, which says nothing about who it is */
    time_t signed_at;      /* 0: not said */
    uint8_t *content;      /* owned */
    size_t content_len;
} est_cmc_signed;

/* true for a SignedData whose content says it is a PKIResponse; false for everything else. */
bool est_cmc_is_full_response(const uint8_t *der, size_t len);
/* `more` (may be NULL): certificates a signer may be found in that the message left out. */
estuary_status est_cmc_open(const uint8_t *der, size_t len, const STACK_OF(X509) *more,
                            const estuary_limits *limits, est_cmc_signed *out, estuary_error *err);
void est_cmc_signed_clear(est_cmc_signed *message);

/* cmc_response.c */

typedef struct est_cmc_response {
    estuary_cmc_status status;    /* the worst that was said; success when nothing was */
    int64_t fail_info;            /* -1: none */
    char extended[128];           /* failInfoOID of an extendedFailInfo; "" without one */
    char text[EST_CMC_TEXT_SIZE]; /* statusString, sanitised; "" without one */
    uint8_t *pend_token;          /* owned; NULL: not said */
    size_t pend_token_len;
    time_t pend_time;      /* 0: not said */
    uint8_t *sender_nonce; /* owned; for the next message of the transaction; NULL: none */
    size_t sender_nonce_len;
    STACK_OF(X509) *published;  /* owned; NULL: no Publish Trust Anchors */
    int64_t published_sequence; /* seqNumber */
    bool published_complete;    /* every hash has its certificate, and none is SHA-1 */
} est_cmc_response;

/*
 * Reads a PKIResponse, once its signer has been judged. transaction (EST_CMC_TRANSACTION_SIZE) and nonce are
 * those of the request and must come back (RFC 5272 6.6); certs are the message's.
 */
estuary_status est_cmc_response_parse(const uint8_t *content, size_t len, const uint8_t *transaction,
                                      const uint8_t *nonce, size_t nonce_len, const STACK_OF(X509) *certs,
                                      est_cmc_response *out, estuary_error *err);
void est_cmc_response_clear(est_cmc_response *response);
/* What was refused and why, as an error of its own code. Only for a status that is not good. */
estuary_status est_cmc_response_fail(const est_cmc_response *response, estuary_error *err);

#endif
