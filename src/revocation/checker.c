/* The checker's settings and lifetime. */
#include "revocation/checker.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define KIB  INT64_C(1024)
#define MIB  (KIB * 1024)
#define GIB  (MIB * 1024)
#define DAY  INT64_C(86400)
#define HOUR INT64_C(3600)

static const struct {
    const char *name;
    int64_t preset, min, max;
} limits[ESTUARY_REVOCATION_LIMIT_COUNT] = {
    [ESTUARY_REVOCATION_OCSP_TIMEOUT_MS] = {"OCSP time", 10000, 1, HOUR * 1000},
    [ESTUARY_REVOCATION_CRL_TIMEOUT_MS] = {"CRL time", 60000, 1, 24 * HOUR * 1000},
    [ESTUARY_REVOCATION_OCSP_BYTES] = {"OCSP response size", 64 * KIB, 64, EST_OCSP_BYTES_MAX},
    [ESTUARY_REVOCATION_CRL_BYTES] = {"CRL size", 512 * MIB, 64, 16 * GIB},
    [ESTUARY_REVOCATION_CRL_CACHE_SECONDS] = {"CRL cache duration", HOUR, 0, 365 * DAY},
    [ESTUARY_REVOCATION_CRL_CACHE_ENTRIES] = {"CRL cache size", 100, 1, 100000},
    [ESTUARY_REVOCATION_OCSP_CACHE_ENTRIES] = {"OCSP cache size", 1000, 1, 1000000},
    [ESTUARY_REVOCATION_SKEW_SECONDS] = {"clock skew", 300, 0, DAY},
    [ESTUARY_REVOCATION_MAX_AGE_SECONDS] = {"age of evidence", 0, 0, 3650 * DAY},
    [ESTUARY_REVOCATION_URLS] = {"URL count", 4, 1, 64},
    [ESTUARY_REVOCATION_REDIRECTS] = {"redirect count", 3, 0, 20},
    [ESTUARY_REVOCATION_INDEX_BYTES] = {"index memory", 16 * MIB, MIB, 4 * GIB},
    [ESTUARY_REVOCATION_REFRESH_AHEAD_SECONDS] = {"refresh-ahead time", 600, 0, 30 * DAY},
};

estuary_status estuary_revocation_new(estuary_revocation **out, estuary_error *err)
{
    *out = NULL;
    estuary_revocation *checker = est_alloc(sizeof(*checker));
    if (checker == NULL)
        return est_fail_memory(err);
    atomic_init(&checker->references, 1);
    atomic_init(&checker->in_use, false);
    checker->methods = ESTUARY_REVOCATION_BY_OCSP | ESTUARY_REVOCATION_BY_CRL;
    checker->folder = -1;
    for (size_t i = 0; i < ESTUARY_REVOCATION_LIMIT_COUNT; i++)
        checker->limits[i] = limits[i].preset;
    checker->certs = sk_X509_new_null();
    if (checker->certs == NULL) {
        estuary_revocation_free(checker);
        return est_fail_memory(err);
    }
    *out = checker;
    return ESTUARY_OK;
}

estuary_revocation *estuary_revocation_up_ref(estuary_revocation *checker)
{
    if (checker != NULL)
        atomic_fetch_add(&checker->references, 1);
    return checker;
}

void estuary_revocation_free(estuary_revocation *checker)
{
    if (checker == NULL || atomic_fetch_sub(&checker->references, 1) != 1)
        return;
    est_ocsp_cache_free(checker->ocsp_cache);
    est_crl_cache_free(checker->crl_cache);
    est_known_free(checker->known);
    if (checker->folder >= 0)
        (void)close(checker->folder);
    est_free(checker->proxy);
    est_free(checker->proxy_user);
    estuary_secret_free(checker->proxy_password);
    estuary_log_free(checker->log);
    estuary_metrics_free(checker->metrics);
    estuary_anchors_free(checker->anchors);
    sk_X509_pop_free(checker->certs, X509_free);
    est_urls_free(&checker->crls);
    for (size_t i = 0; i < checker->response_count; i++)
        est_free(checker->responses[i].bytes);
    est_free(checker->responses);
    est_free(checker);
}

static estuary_status may_change(const estuary_revocation *checker, estuary_error *err)
{
    return atomic_load(&checker->in_use) ? est_fail(err, EST_USAGE_CHECKER_IN_USE, NULL) : ESTUARY_OK;
}

estuary_status est_checker_begin(estuary_revocation *checker, estuary_error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    estuary_status status = ESTUARY_OK;
    if (atomic_load(&checker->in_use))
        return ESTUARY_OK;
    if (pthread_mutex_lock(&lock) != 0)
        return est_fail(err, EST_CRYPTO, "a lock failed");
    if (checker->ocsp_cache == NULL) {
        EST_TRY(est_ocsp_cache_new(checker->limits[ESTUARY_REVOCATION_OCSP_CACHE_ENTRIES],
                                   &checker->ocsp_cache, err));
        if (checker->folder >= 0)
            est_ocsp_cache_use_folder(checker->ocsp_cache, checker->folder);
    }
    if (checker->crl_cache == NULL)
        EST_TRY(est_crl_cache_new(checker->folder, checker->limits[ESTUARY_REVOCATION_CRL_CACHE_ENTRIES],
                                  checker->limits[ESTUARY_REVOCATION_INDEX_BYTES], &checker->crl_cache, err));
    if (checker->known == NULL && (checker->known = est_known_new()) == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    atomic_store(&checker->in_use, true);

cleanup:
    (void)pthread_mutex_unlock(&lock);
    return status;
}

int64_t est_checker_limit(const estuary_revocation *checker, estuary_revocation_limit which)
{
    return checker->limits[which];
}

bool est_checker_caches(const estuary_revocation *checker)
{
    return !checker->is_at;
}

bool est_checker_was_given_evidence(const estuary_revocation *checker)
{
    return checker->crls.count > 0 || checker->response_count > 0;
}

bool est_checker_is_leaf_only(const estuary_revocation *checker)
{
    return checker->leaf_only;
}

/* --- settings --- */

estuary_status estuary_revocation_set_methods(estuary_revocation *checker, unsigned methods, bool crl_first,
                                              estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    if (methods == 0 || (methods & ~(ESTUARY_REVOCATION_BY_OCSP | ESTUARY_REVOCATION_BY_CRL)) != 0)
        return est_fail(err, EST_USAGE, "revocation is checked by OCSP, by CRL, or both");
    checker->methods = methods;
    checker->crl_first = crl_first;
    return ESTUARY_OK;
}

estuary_status estuary_revocation_set_policy(estuary_revocation *checker, estuary_revocation_policy policy,
                                             estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status == ESTUARY_OK && policy != ESTUARY_REVOCATION_SOFT && policy != ESTUARY_REVOCATION_HARD)
        return est_fail(err, EST_USAGE, "a revocation policy is soft or hard");
    if (status == ESTUARY_OK)
        checker->policy = policy;
    return status;
}

estuary_revocation_policy estuary_revocation_get_policy(const estuary_revocation *checker)
{
    return checker->policy;
}

estuary_status estuary_revocation_set_leaf_only(estuary_revocation *checker, bool on, estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status == ESTUARY_OK)
        checker->leaf_only = on;
    return status;
}

estuary_status estuary_revocation_set_limit(estuary_revocation *checker, estuary_revocation_limit which,
                                            int64_t value, estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    if ((int)which < 0 || which >= ESTUARY_REVOCATION_LIMIT_COUNT)
        return est_fail(err, EST_USAGE_LIMIT, "there is no revocation limit number %d", (int)which);
    if (value < limits[which].min || value > limits[which].max)
        return est_fail(err, EST_USAGE_LIMIT, "the limit for %s must be between %lld and %lld",
                        limits[which].name, (long long)limits[which].min, (long long)limits[which].max);
    checker->limits[which] = value;
    return ESTUARY_OK;
}

int64_t estuary_revocation_get_limit(const estuary_revocation *checker, estuary_revocation_limit which)
{
    return (int)which < 0 || which >= ESTUARY_REVOCATION_LIMIT_COUNT ? 0 : checker->limits[which];
}

estuary_status estuary_revocation_require_nonce(estuary_revocation *checker, bool on, estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status == ESTUARY_OK)
        checker->require_nonce = on;
    return status;
}

estuary_status estuary_revocation_set_offline(estuary_revocation *checker, bool on, estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status == ESTUARY_OK)
        checker->offline = on;
    return status;
}

estuary_status estuary_revocation_set_time(estuary_revocation *checker, time_t at, estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status == ESTUARY_OK && at < 0)
        return est_fail(err, EST_USAGE_TIME, NULL);
    if (status != ESTUARY_OK)
        return status;
    checker->is_at = true;
    checker->at = at;
    return ESTUARY_OK;
}

estuary_status estuary_revocation_set_log(estuary_revocation *checker, estuary_log *log, estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    estuary_log *old = checker->log;
    checker->log = estuary_log_up_ref(log);
    estuary_log_free(old);
    return ESTUARY_OK;
}

estuary_status estuary_revocation_set_metrics(estuary_revocation *checker, estuary_metrics *metrics,
                                              estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    estuary_metrics *old = checker->metrics;
    checker->metrics = estuary_metrics_up_ref(metrics);
    estuary_metrics_free(old);
    return ESTUARY_OK;
}

estuary_status estuary_revocation_set_anchors(estuary_revocation *checker, const estuary_anchors *anchors,
                                              estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    estuary_anchors *old = checker->anchors;
    checker->anchors = anchors == NULL ? NULL : estuary_anchors_up_ref(anchors);
    estuary_anchors_free(old);
    return ESTUARY_OK;
}

estuary_status estuary_revocation_add_certs(estuary_revocation *checker, const STACK_OF(X509) *certs,
                                            estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    for (int i = 0; status == ESTUARY_OK && i < sk_X509_num(certs); i++) {
        if (!est_certs_push(checker->certs, sk_X509_value(certs, i)))
            status = est_fail_memory(err);
    }
    return status;
}

estuary_status estuary_revocation_set_proxy(estuary_revocation *checker, const char *url, const char *user,
                                            const estuary_secret *password, estuary_error *err)
{
    char *url_copy = NULL, *user_copy = NULL;
    estuary_status status = may_change(checker, err);
    if (status == ESTUARY_OK && url != NULL)
        status = est_http_check_proxy(url, user, password, err);
    if (status != ESTUARY_OK)
        return status;
    url_copy = est_strdup(url);
    user_copy = url == NULL ? NULL : est_strdup(user);
    if ((url != NULL && url_copy == NULL) || (url != NULL && user != NULL && user_copy == NULL)) {
        est_free(url_copy);
        est_free(user_copy);
        return est_fail_memory(err);
    }
    est_free(checker->proxy);
    est_free(checker->proxy_user);
    estuary_secret_free(checker->proxy_password);
    checker->proxy = url_copy;
    checker->proxy_user = user_copy;
    checker->proxy_password = url == NULL ? NULL : estuary_secret_up_ref((estuary_secret *)password);
    return ESTUARY_OK;
}

estuary_status estuary_revocation_set_cache(estuary_revocation *checker, const char *folder,
                                            estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    int fd = -1;
    if (folder != NULL)
        status = est_cache_folder_open(folder, &fd, err);
    if (status != ESTUARY_OK)
        return status;
    if (checker->folder >= 0)
        (void)close(checker->folder);
    checker->folder = fd;
    return ESTUARY_OK;
}

/* --- evidence given by hand --- */

#define GIVEN_MAX 256

estuary_status estuary_revocation_add_crl(estuary_revocation *checker, const char *file_or_url,
                                          estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    const char *refusal = est_url_looks_like_one(file_or_url) ? est_http_url_refusal(file_or_url) : NULL;
    if (refusal != NULL)
        return est_fail(err, EST_USAGE, "the CRL's URL cannot be used: %s", refusal);
    if (checker->crls.count >= GIVEN_MAX)
        return est_fail(err, EST_USAGE, "too many CRLs were given");
    if (checker->crls.at == NULL)
        checker->crls.at = est_alloc(GIVEN_MAX * sizeof(*checker->crls.at));
    char *copy = checker->crls.at == NULL ? NULL : est_strdup(file_or_url);
    if (copy == NULL)
        return est_fail_memory(err);
    checker->crls.at[checker->crls.count++] = copy;
    return ESTUARY_OK;
}

estuary_status estuary_revocation_add_ocsp_response(estuary_revocation *checker, const uint8_t *der,
                                                    size_t len, estuary_error *err)
{
    estuary_status status = may_change(checker, err);
    if (status != ESTUARY_OK)
        return status;
    if (len == 0 || len > EST_OCSP_BYTES_MAX || checker->response_count >= GIVEN_MAX)
        return est_fail(err, EST_USAGE, "the OCSP response is empty or too large, or there are too many");
    if (checker->responses == NULL)
        checker->responses = est_alloc(GIVEN_MAX * sizeof(*checker->responses));
    uint8_t *copy = checker->responses == NULL ? NULL : est_alloc(len);
    if (copy == NULL)
        return est_fail_memory(err);
    memcpy(copy, der, len);
    checker->responses[checker->response_count++] = (est_blob){copy, len};
    return ESTUARY_OK;
}

/* --- the caches --- */

estuary_status estuary_revocation_cache_list(estuary_revocation *checker, estuary_cache_fn *fn, void *arg,
                                             estuary_error *err)
{
    estuary_status status = est_checker_begin(checker, err);
    if (status == ESTUARY_OK)
        status = est_ocsp_cache_list(checker->ocsp_cache, fn, arg, err);
    return status == ESTUARY_OK ? est_crl_cache_list(checker->crl_cache, fn, arg, err) : status;
}

estuary_status estuary_revocation_cache_clear(estuary_revocation *checker, size_t *removed,
                                              estuary_error *err)
{
    size_t count = 0;
    estuary_status status = est_checker_begin(checker, err);
    if (status == ESTUARY_OK)
        status = est_ocsp_cache_clear(checker->ocsp_cache, &count, err);
    if (status == ESTUARY_OK)
        status = est_crl_cache_clear(checker->crl_cache, &count, err);
    if (removed != NULL)
        *removed = count;
    return status;
}
