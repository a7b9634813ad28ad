/* What an enrolment over /serverkeygen has besides (RFC 7030 4.4). For this room only. */
#ifndef EST_SERVERKEYGEN_H
#define EST_SERVERKEYGEN_H

#include "est/exchange.h"

#include <jansson.h>

/* serverkeygen.c */
/* Takes over from the request how the key shall be encrypted; the CSR is not touched. */
estuary_status est_keygen_prepare(estuary_enrollment *enrollment, const estuary_request *request,
                                  estuary_error *err);
void est_keygen_clear(estuary_enrollment *enrollment);
estuary_status est_serverkeygen_build(estuary_exchange *exchange, estuary_error *err);
estuary_status est_serverkeygen_read(estuary_exchange *exchange, const estuary_http_response *response,
                                     estuary_error *err);

/* serverkeygen_signer.c: signed by the party that generated the key; needs the findings of the certificate */
estuary_status est_keygen_check_signer(const estuary_enrollment *enrollment, const estuary_findings *findings,
                                       const estuary_anchors *anchors, const STACK_OF(X509) *helpers,
                                       time_t now, const estuary_limits *limits, estuary_error *err);

/* serverkeygen_state.c: the method and the identifier, never a key or secret */
estuary_status est_keygen_save(const estuary_enrollment *enrollment, json_t *state, estuary_error *err);
estuary_status est_keygen_load(const json_t *state, estuary_enrollment *enrollment, estuary_error *err);

#endif
