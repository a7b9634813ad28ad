/* Private to src/cert: how findings and expectations look inside. */
#ifndef EST_CERT_FINDINGS_H
#define EST_CERT_FINDINGS_H

#include "cert/cert.h"

#define EST_FINDINGS_MAX 24

typedef enum est_finding_kind {
    EST_NOT_ASKED = 0, /* unknown, and nobody wanted to know */
    EST_NOT_SEEN,      /* unknown, though it was asked for */
    EST_PASS,
    EST_NOTE,
    EST_FAILED
} est_finding_kind;

estuary_findings *est_findings_new(void); /* NULL when memory is short */
/* Takes sentence, an est_printf() result, in any case; NULL there means that memory was short. */
estuary_status est_findings_add(estuary_findings *findings, est_finding_kind kind, const char *check,
                                est_code code, char *sentence, estuary_error *err);

void est_findings_set0_path(estuary_findings *findings, STACK_OF(X509) *path); /* takes path */

struct estuary_expectation {
    EVP_PKEY *key;
    const X509_REQ *request; /* own_request, or lent */
    X509_REQ *own_request;
    estuary_anchors *anchors;
    STACK_OF(X509) *untrusted;
    char *host;
    char *purpose;
    bool is_at; /* else: now */
    time_t at;
    estuary_limits *limits;
};

time_t est_expectation_time(const estuary_expectation *expectation);

/* check_request.c: the checks that compare with the request */
estuary_status est_check_subject(X509 *certificate, const estuary_expectation *expectation,
                                 estuary_findings *findings, estuary_error *err);
estuary_status est_check_san(X509 *certificate, const estuary_expectation *expectation,
                             estuary_findings *findings, estuary_error *err);
/* The purposes that the request's extKeyUsage lists, as far as the certificate lacks them. */
estuary_status est_check_requested_purposes(X509 *certificate, const estuary_expectation *expectation,
                                            estuary_findings *findings, bool *missing, estuary_error *err);
bool est_request_wants_ca(const X509_REQ *request);

#endif
