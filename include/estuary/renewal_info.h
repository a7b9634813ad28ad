/*
 * renewal_info.h: when the server would like a certificate to be renewed
 * (draft-ietf-lamps-est-renewal-info, after RFC 9773).
 *
 * It is advice: whatever goes wrong with it, and when there is none, NULL goes into
 * estuary_renewal_plan_with_info() and the caller's own policy counts.
 */
#ifndef ESTUARY_RENEWAL_INFO_H
#define ESTUARY_RENEWAL_INFO_H

#include <estuary/error.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_renewal_info estuary_renewal_info;

/*
 * The certificate's name in the URL: base64url of the authority key identifier, a period, base64url of the
 * serial number, without padding. ESTUARY_E_CERTIFICATE for a certificate without a key identifier.
 * The caller frees *out with OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_renewal_info_id(const X509 *certificate, char **out,
                                                      estuary_error *err);

/*
 * Parses the JSON of an answer, 64 KiB at most; `retry_at` is what its Retry-After says, absolute, 0:
 * nothing. ESTUARY_E_PROTOCOL for anything else, and for a window that does not end after it starts. The
 * caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_renewal_info_parse(const uint8_t *json, size_t len, time_t retry_at,
                                                         estuary_renewal_info **out, estuary_error *err);
ESTUARY_EXPORT void estuary_renewal_info_free(estuary_renewal_info *info); /* NULL is fine */

/* The suggested window, absolute UTC; start < end. */
ESTUARY_EXPORT time_t estuary_renewal_info_start(const estuary_renewal_info *info);
ESTUARY_EXPORT time_t estuary_renewal_info_end(const estuary_renewal_info *info);
/* When to ask again, absolute UTC; 0 when the server does not say. */
ESTUARY_EXPORT time_t estuary_renewal_info_retry_at(const estuary_renewal_info *info);
/* explanationURL, for a person to read, without control bytes; "" when there is none. Lent. */
ESTUARY_EXPORT const char *estuary_renewal_info_explanation(const estuary_renewal_info *info);

#ifdef __cplusplus
}
#endif
#endif
