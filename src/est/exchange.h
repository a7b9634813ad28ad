/* The exchange from within: what the operations' build and read functions see. For this room only. */
#ifndef EST_EXCHANGE_H
#define EST_EXCHANGE_H

#include "est/est.h"

struct estuary_exchange {
    const est_operation *operation;
    estuary_server *server;
    estuary_enrollment *enrollment; /* lent; NULL for what does not enrol */
    estuary_limits *limits;
    estuary_http_request request;
    char *url; /* of the next request; a redirect changes it */
    int64_t redirects;
    bool sent;
    bool done;
    bool waits; /* read() found that the answer is still to come */
    time_t now; /* of the answer being read */
    STACK_OF(X509) *certs;
    estuary_csr_attributes *attributes;
    bool names_certificate; /* renewal-info: the URL ends in the identifier */
    estuary_renewal_info *renewal_info;
};

/* exchange.c: RFC 8951 3.1: base64 of DER, no armour, becomes the request's body */
estuary_status est_exchange_set_body(estuary_exchange *exchange, const uint8_t *der, size_t len,
                                     estuary_error *err);

/* Pending until `at` (E7); ESTUARY_E_SERVER when that was said too often. */
estuary_status est_exchange_wait(estuary_exchange *exchange, time_t at, estuary_error *err);

/* simple.c: cacerts, csrattrs, simpleenroll, simplereenroll */
estuary_status est_simple_build(estuary_exchange *exchange, estuary_error *err);
estuary_status est_simple_read(estuary_exchange *exchange, const estuary_http_response *response,
                               estuary_error *err);
estuary_status est_cacerts_read(estuary_exchange *exchange, const estuary_http_response *response,
                                estuary_error *err);
estuary_status est_csrattrs_read(estuary_exchange *exchange, const estuary_http_response *response,
                                 estuary_error *err);

/* renewal_info.c */
estuary_status est_renewal_info_build(estuary_exchange *exchange, estuary_error *err);
estuary_status est_renewal_info_read(estuary_exchange *exchange, const estuary_http_response *response,
                                     estuary_error *err);

#endif
