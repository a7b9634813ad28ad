/* The first contact (E2, RFC 7030 4.1.1): a session that proves nothing, a fingerprint, a session that does.
 */
#include "client/client.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#define FINGERPRINTS_MAX 64

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

/* Constant time in the values: every fingerprint is compared, whatever the others said. */
static estuary_status is_wanted(const X509 *cert, const uint8_t wanted[][ESTUARY_FINGERPRINT_SIZE], size_t n,
                                bool *any, estuary_error *err)
{
    uint8_t seen[ESTUARY_FINGERPRINT_SIZE];
    *any = false;
    estuary_status status = estuary_fingerprint(cert, seen, err);
    for (size_t i = 0; status == ESTUARY_OK && i < n; i++) {
        bool equal = CRYPTO_memcmp(seen, wanted[i], sizeof(seen)) == 0;
        *any = *any || equal;
    }
    return status;
}

static estuary_status collect(const estuary_candidates *candidates,
                              const uint8_t wanted[][ESTUARY_FINGERPRINT_SIZE], size_t n,
                              STACK_OF(X509) *roots, estuary_error *err)
{
    for (int i = 0; i < sk_X509_num(candidates->certs); i++) {
        X509 *cert = sk_X509_value(candidates->certs, i);
        bool any = false;
        if (!est_certificate_is_root(cert))
            continue;
        estuary_status status = is_wanted(cert, wanted, n, &any, err);
        if (status != ESTUARY_OK)
            return status;
        if (any && X509_add_cert(roots, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) != 1)
            return est_fail_openssl(err, EST_CRYPTO, NULL);
    }
    if (sk_X509_num(roots) == 0)
        return est_fail(err, EST_TRUST_FINGERPRINT, NULL);
    return ESTUARY_OK;
}

estuary_status estuary_candidates_confirm(const estuary_candidates *candidates,
                                          const char *const *fingerprints, size_t n, estuary_anchors **out,
                                          estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t wanted[FINGERPRINTS_MAX][ESTUARY_FINGERPRINT_SIZE];
    STACK_OF(X509) *roots = NULL;
    *out = NULL;
    if (n == 0)
        EST_FAIL(EST_TRUST_CONFIRM, NULL);
    if (n > FINGERPRINTS_MAX)
        EST_FAIL(EST_USAGE_FINGERPRINT, "not more than %d fingerprints can be given", FINGERPRINTS_MAX);
    for (size_t i = 0; i < n; i++)
        EST_TRY(estuary_fingerprint_parse(fingerprints[i], wanted[i], err));
    roots = sk_X509_new_null();
    if (roots == NULL)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    EST_TRY(collect(candidates, (const uint8_t(*)[ESTUARY_FINGERPRINT_SIZE])wanted, n, roots, err));
    EST_TRY(estuary_anchors_from_certs(roots, out, err));

cleanup:
    sk_X509_pop_free(roots, X509_free);
    ERR_clear_error();
    return status;
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
        status = est_anchors_from_bootstrap(certs, confirmed, out, err);
    sk_X509_pop_free(certs, X509_free);
    if (status == ESTUARY_OK)
        est_log(config->log, ESTUARY_LOG_AUDIT, "trust.bootstrap", "trust anchors confirmed by fingerprint",
                "server", config->server == NULL ? NULL : estuary_server_url(config->server), NULL);
    return status;
}
