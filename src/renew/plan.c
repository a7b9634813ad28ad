/* When to renew (O1). Pure arithmetic on three points in time. */
#include "base/base.h"
#include "cert/cert.h"

#include <estuary/renew.h>

#define DAY           INT64_C(86400)
#define HOUR          INT64_C(3600)
#define DAYS_MAX      3650
#define PERMILLE_MAX  999
#define THIRD_OF_LIFE 3
#define TENTH_OF_LIFE 10

struct estuary_renewal_policy {
    int days;     /* before notAfter; 0: not set */
    int permille; /* of the lifetime; 0: not set */
};

estuary_status estuary_renewal_policy_new(estuary_renewal_policy **out, estuary_error *err)
{
    *out = est_alloc(sizeof(**out));
    return *out == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

void estuary_renewal_policy_free(estuary_renewal_policy *policy)
{
    est_free(policy);
}

estuary_status estuary_renewal_policy_set_days(estuary_renewal_policy *policy, int days, estuary_error *err)
{
    if (days < 1 || days > DAYS_MAX)
        return est_fail(err, EST_USAGE, "renewal happens 1 to %d days before the end, not %d", DAYS_MAX,
                        days);
    policy->days = days;
    policy->permille = 0;
    return ESTUARY_OK;
}

estuary_status estuary_renewal_policy_set_permille(estuary_renewal_policy *policy, int permille,
                                                   estuary_error *err)
{
    if (permille < 1 || permille > PERMILLE_MAX)
        return est_fail(err, EST_USAGE, "renewal happens after 1 to %d thousandths of the lifetime, not %d",
                        PERMILLE_MAX, permille);
    policy->permille = permille;
    policy->days = 0;
    return ESTUARY_OK;
}

/* Divided before it is multiplied: a lifetime may reach from year 0 to year 9999. */
static int64_t wish(const estuary_renewal_policy *policy, int64_t before, int64_t after)
{
    int64_t lifetime = after - before;
    if (policy != NULL && policy->days != 0)
        return after - policy->days * DAY;
    if (policy != NULL && policy->permille != 0)
        return before + lifetime / 1000 * policy->permille + lifetime % 1000 * policy->permille / 1000;
    return after - lifetime / THIRD_OF_LIFE;
}

/* draft-ietf-lamps-est-renewal-info, step 1: "Select a uniform random time within the suggested window." */
static int64_t in_window(const estuary_renewal_info *info, uint64_t random)
{
    int64_t start = estuary_renewal_info_start(info);
    uint64_t span = (uint64_t)(estuary_renewal_info_end(info) - start); /* years 0 to 9999: no overflow */
    return start + (int64_t)(random % span);
}

static bool is_usable(const estuary_renewal_info *info)
{
    return info != NULL && estuary_renewal_info_start(info) < estuary_renewal_info_end(info);
}

estuary_status estuary_renewal_plan_with_info(const X509 *certificate, const estuary_renewal_policy *policy,
                                              const estuary_renewal_info *info, time_t now, uint64_t random,
                                              time_t *when, estuary_error *err)
{
    time_t before = 0, after = 0;
    *when = 0;
    if (certificate == NULL)
        return est_fail(err, EST_USAGE, "there is no certificate to plan for");
    if (!est_asn1_time(X509_get0_notBefore(certificate), &before) ||
        !est_asn1_time(X509_get0_notAfter(certificate), &after))
        return est_fail(err, EST_CERT_MALFORMED, "the certificate's validity cannot be parsed");
    if (after < before)
        return est_fail(err, EST_CERT_VALIDITY, NULL);
    int64_t tenth = ((int64_t)after - before) / TENTH_OF_LIFE;
    int64_t latest = (int64_t)after - (tenth < HOUR ? tenth : HOUR);
    int64_t at = is_usable(info) ? in_window(info, random) : wish(policy, before, after);
    if (at > latest)
        at = latest;
    if (at < (int64_t)before)
        at = before;
    *when = at <= (int64_t)now ? now : (time_t)at; /* step 2: a time in the past means now */
    return ESTUARY_OK;
}

estuary_status estuary_renewal_plan(const X509 *certificate, const estuary_renewal_policy *policy, time_t now,
                                    time_t *when, estuary_error *err)
{
    return estuary_renewal_plan_with_info(certificate, policy, NULL, now, 0, when, err);
}
