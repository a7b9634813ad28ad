/*
 * renew.h: when to renew, as a pure function.
 */
#ifndef ESTUARY_RENEW_H
#define ESTUARY_RENEW_H

#include <estuary/error.h>
#include <estuary/renewal_info.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_renewal_policy estuary_renewal_policy;

/* Renews when a third of the lifetime is left. The caller frees *out. */
ESTUARY_EXPORT estuary_status estuary_renewal_policy_new(estuary_renewal_policy **out, estuary_error *err);
ESTUARY_EXPORT void estuary_renewal_policy_free(estuary_renewal_policy *policy); /* NULL is fine */

/* Renew so many days (1 to 3650) before notAfter. Replaces a fraction. */
ESTUARY_EXPORT estuary_status estuary_renewal_policy_set_days(estuary_renewal_policy *policy, int days,
                                                              estuary_error *err);
/* Renew after so many thousandths (1 to 999) of the lifetime. Replaces days. */
ESTUARY_EXPORT estuary_status estuary_renewal_policy_set_permille(estuary_renewal_policy *policy,
                                                                  int permille, estuary_error *err);

/*
 * *when is the time to renew at, absolute UTC: never before notBefore, never after notAfter minus the
 * smaller of an hour and a tenth of the lifetime; `now` when that time has passed or the certificate is
 * expired already. ESTUARY_E_CERTIFICATE for a validity that makes no sense (notAfter before notBefore).
 * Pure: no clock is read.
 */
ESTUARY_EXPORT estuary_status estuary_renewal_plan(const X509 *certificate,
                                                   const estuary_renewal_policy *policy, time_t now,
                                                   time_t *when, estuary_error *err);

/*
 * The same with the server's advice: a time inside its window, chosen by `random` (any 64 random bits: all
 * seconds of the window are equally likely), within the bounds above; the policy then does not count. info
 * may be NULL, and one whose window does not end after it starts is as good as NULL.
 */
ESTUARY_EXPORT estuary_status estuary_renewal_plan_with_info(const X509 *certificate,
                                                             const estuary_renewal_policy *policy,
                                                             const estuary_renewal_info *info, time_t now,
                                                             uint64_t random, time_t *when,
                                                             estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
