/* What an enrolment over /fullcmc has besides (RFC 7030 4.3). For this room only. */
#ifndef EST_FULLCMC_H
#define EST_FULLCMC_H

#include "est/exchange.h"

#include <jansson.h>

struct est_cmc {
    bool crmf;
    char *identity;         /* NULL: none */
    estuary_secret *secret; /* NULL: none, or not at hand any more */
    bool proof;             /* there is or was a secret */
    est_cmc_signer signer;  /* owned; without a certificate the request's own key signs */
    estuary_anchors *anchors;
    STACK_OF(X509) *helpers;
    bool vouches; /* the anchors are the user's own choice */
    uint8_t transaction[EST_CMC_TRANSACTION_SIZE];
    uint8_t nonce[EST_CMC_NONCE_SIZE]; /* of the last message */
    size_t nonce_len;                  /* 0: none was made yet */
    uint8_t *message;                  /* the request as first sent; NULL before, and once it was refused */
    size_t message_len;
    uint8_t *pend_token;
    size_t pend_token_len;
    uint8_t *server_nonce;
    size_t server_nonce_len;
    estuary_cmc_status status;
    STACK_OF(X509) *published;
    int64_t published_sequence;
    bool published_vouched; /* no fingerprint is needed */
};

/* fullcmc.c */
estuary_status est_cmc_new(const estuary_request *request, est_cmc **out, estuary_error *err);
estuary_status est_fullcmc_build(estuary_exchange *exchange, estuary_error *err);

/* fullcmc_read.c */
estuary_status est_fullcmc_read(estuary_exchange *exchange, const estuary_http_response *response,
                                estuary_error *err);
/* An answer of 4xx or 5xx: the reason is in its body (RFC 7030 4.3.2). Never ESTUARY_OK. */
estuary_status est_fullcmc_read_refusal(estuary_exchange *exchange, const estuary_http_response *response,
                                        estuary_error *err);

/* fullcmc_signer.c: E10: may this signer speak for the CA? *proven: by its purpose or what it issued */
estuary_status est_fullcmc_judge(const estuary_enrollment *enrollment, const est_cmc_signed *message,
                                 time_t now, const estuary_limits *limits, bool *proven, estuary_error *err);
/* Roots and helpers, borrowed: sk_X509_free(). NULL when memory is short. */
STACK_OF(X509) *est_fullcmc_known_certs(const est_cmc *cmc);

/* fullcmc_state.c */
/* Into the enrolment's state; cmc NULL: nothing. */
estuary_status est_cmc_save(const est_cmc *cmc, json_t *state, estuary_error *err);
/* wanted: the operation is fullcmc. */
estuary_status est_cmc_load(const json_t *state, bool wanted, est_cmc **out, estuary_error *err);

#endif
