/* A client that slept through a root rollover (E1, RFC 4210 4.4, RFC 7030 4.1.3). */
#include "client/client.h"

/* Lent certificates; freed with sk_X509_free(). NULL when memory is short. */
static STACK_OF(X509) *list(const estuary_candidates *candidates)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    for (size_t i = 0; certs != NULL && i < estuary_candidates_count(candidates); i++) {
        if (sk_X509_push(certs, (X509 *)estuary_candidates_at(candidates, i)) > 0)
            continue;
        sk_X509_free(certs);
        return NULL;
    }
    return certs;
}

/* What nobody has authenticated counts only as far as an anchor has signed for it. */
static estuary_status find_new_roots(const estuary_config *config, estuary_anchors **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_candidates *candidates = NULL;
    STACK_OF(X509) *certs = NULL;
    EST_TRY(estuary_bootstrap_fetch(config, &candidates, err));
    certs = list(candidates);
    if (certs == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(est_anchors_vouched_for(certs, config->anchors, est_now(), out, err));
cleanup:
    sk_X509_free(certs);
    estuary_candidates_free(candidates);
    return status;
}

estuary_status estuary_bootstrap_recover(const estuary_config *config, estuary_anchors **out,
                                         estuary_error *err)
{
    estuary_anchors *vouched = NULL;
    *out = NULL;
    if (config->accept_any || !estuary_anchors_is_explicit(config->anchors))
        return est_fail(err, EST_USAGE_NO_TRUST, "a root rollover is recovered from explicit trust anchors");
    estuary_status status = find_new_roots(config, &vouched, err);
    if (status == ESTUARY_OK)
        status = estuary_bootstrap_finish(config, vouched, out, err);
    estuary_anchors_free(vouched);
    if (status == ESTUARY_OK)
        est_log(config->log, ESTUARY_LOG_AUDIT, "trust.rollover",
                "the trust anchors vouched for a new root of the CA", "server",
                config->server == NULL ? NULL : estuary_server_url(config->server), NULL);
    return status;
}
