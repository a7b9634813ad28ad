/* The first contact (E2, RFC 7030 4.1.1): a session that proves nothing, a fingerprint, a session that does.
 */
#include "client/client.h"

struct estuary_candidates {
    STACK_OF(X509) *certs;
};

static estuary_status fetch(const estuary_config *config, const estuary_anchors *anchors,
                            STACK_OF(X509) **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_config *bare = NULL;
    estuary_client *client = NULL;
    EST_TRY(est_config_dup(config, &bare, err));
    est_config_strip(bare);
    bare->anchors = estuary_anchors_up_ref(anchors);
    bare->accept_any = anchors == NULL;
    EST_TRY(estuary_client_new(bare, &client, err));
    EST_TRY(est_client_fetch_ca_certificates(client, out, err));

cleanup:
    estuary_client_free(client);
    estuary_config_free(bare);
    return status;
}

estuary_status estuary_bootstrap_fetch(const estuary_config *config, estuary_candidates **out,
                                       estuary_error *err)
{
    *out = NULL;
    estuary_candidates *candidates = est_alloc(sizeof(*candidates));
    if (candidates == NULL)
        return est_fail_memory(err);
    estuary_status status = fetch(config, NULL, &candidates->certs, err);
    if (status != ESTUARY_OK) {
        estuary_candidates_free(candidates);
        return status;
    }
    *out = candidates;
    return ESTUARY_OK;
}

void estuary_candidates_free(estuary_candidates *candidates)
{
    if (candidates == NULL)
        return;
    sk_X509_pop_free(candidates->certs, X509_free);
    est_free(candidates);
}

size_t estuary_candidates_count(const estuary_candidates *candidates)
{
    size_t count = 0;
    return est_int_to_size(sk_X509_num(candidates->certs), &count) ? count : 0;
}

const X509 *estuary_candidates_at(const estuary_candidates *candidates, size_t index)
{
    int i = 0;
    return est_size_to_int(index, &i) ? sk_X509_value(candidates->certs, i) : NULL;
}

bool estuary_candidates_is_root(const estuary_candidates *candidates, size_t index)
{
    const X509 *cert = estuary_candidates_at(candidates, index);
    return cert != NULL && est_certificate_is_root(cert);
}

estuary_status estuary_candidates_confirm(const estuary_candidates *candidates,
                                          const char *const *fingerprints, size_t n, estuary_anchors **out,
                                          estuary_error *err)
{
    return est_anchors_confirm(candidates->certs, fingerprints, n, out, err);
}

estuary_status estuary_bootstrap_finish(const estuary_config *config, const estuary_anchors *confirmed,
                                        estuary_anchors **out, estuary_error *err)
{
    STACK_OF(X509) *certs = NULL;
    *out = NULL;
    if (confirmed == NULL)
        return est_fail(err, EST_USAGE_NO_TRUST, NULL);
    estuary_status status = fetch(config, confirmed, &certs, err);
    if (status == ESTUARY_OK)
        status = est_anchors_from_bootstrap(certs, confirmed, est_now(), out, err);
    sk_X509_pop_free(certs, X509_free);
    if (status == ESTUARY_OK)
        est_log(config->log, ESTUARY_LOG_AUDIT, "trust.bootstrap",
                "trust anchors confirmed and fetched again", "server",
                config->server == NULL ? NULL : estuary_server_url(config->server), NULL);
    return status;
}
