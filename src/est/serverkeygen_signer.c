/*
 * Whose signature over a private key counts (E9). RFC 7030 4.4.2 says "the party that generated the private
 * key, which may or may not be the EST server or the EST CA", and no more. Here: the CA that issued the
 * certificate, a CMC authority (RFC 6402 2.10), or the EST server itself, each by a certificate that chains
 * to the anchors.
 */
#include "est/serverkeygen.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define CMC_CA "1.3.6.1.5.5.7.3.27" /* id-kp-cmcCA */
#define CMC_RA "1.3.6.1.5.5.7.3.28" /* id-kp-cmcRA */
#define SERVER "1.3.6.1.5.5.7.3.1"  /* id-kp-serverAuth */

/* By its key: a cross-certificate of the same CA is the same CA. */
static bool is_issuer(const X509 *signer, const estuary_findings *findings)
{
    const X509 *issuer = sk_X509_value(est_findings_get0_path(findings), 1);
    return issuer != NULL && est_certificate_is_ca(signer) &&
           est_key_equal(X509_get0_pubkey(issuer), X509_get0_pubkey(signer));
}

static bool may_sign(X509 *signer)
{
    uint32_t usage = X509_get_key_usage(signer); /* all bits without the extension */
    return (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0;
}

/* What makes it an authority; *purpose is then what the CAs above it must not rule out, NULL for the issuer.
 */
static bool is_authority(const estuary_enrollment *enrollment, const estuary_findings *findings, X509 *signer,
                         const char **purpose)
{
    *purpose = NULL;
    if (is_issuer(signer, findings))
        return true;
    if (!may_sign(signer))
        return false;
    if (est_certificate_lists_purpose(signer, CMC_CA))
        *purpose = CMC_CA;
    else if (est_certificate_lists_purpose(signer, CMC_RA))
        *purpose = CMC_RA;
    else if (est_certificate_lists_purpose(signer, SERVER) &&
             est_certificate_matches_host(signer, estuary_server_host(enrollment->server)))
        *purpose = SERVER;
    return *purpose != NULL;
}

static estuary_status check_path(X509 *signer, const char *purpose, const STACK_OF(X509) *untrusted,
                                 const estuary_anchors *anchors, time_t now, const estuary_limits *limits,
                                 estuary_error *err)
{
    char why[512];
    est_path path = {0};
    est_path_query query = {.anchors = anchors,
                            .leaf = signer,
                            .untrusted = untrusted,
                            .purpose = purpose,
                            .at = now,
                            .max_depth = (int)estuary_limits_get(limits, ESTUARY_LIMIT_CHAIN_DEPTH)};
    estuary_status status = est_path_find(&query, &path, err);
    if (status == ESTUARY_OK && path.flaw != EST_PATH_OK) {
        est_path_describe(&path, "the private key's signer", why, sizeof(why));
        status = est_fail(err, EST_PROTOCOL_KEY_SIGNER, "%s", why);
    }
    est_path_clear(&path);
    return status;
}

/* The message's own certificates and whatever else is known: an anchor needs not be sent along. */
static estuary_status gather(CMS_ContentInfo *package, const estuary_anchors *anchors,
                             const STACK_OF(X509) *helpers, STACK_OF(X509) **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(X509) *own = NULL, *all = NULL;
    ERR_clear_error();
    own = CMS_get1_certs(package);
    if (own == NULL && est_openssl_first_error() != 0)
        EST_FAIL_OPENSSL(EST_PROTOCOL_CMS, NULL);
    all = sk_X509_new_null();
    const STACK_OF(X509) *lists[] = {own, helpers, estuary_anchors_get0_roots(anchors),
                                     estuary_anchors_get0_helpers(anchors)};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (all == NULL ||
            (lists[i] != NULL && X509_add_certs(all, (STACK_OF(X509) *)lists[i], X509_ADD_FLAG_UP_REF) != 1))
            EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    }
    *out = all;
    all = NULL;

cleanup:
    sk_X509_pop_free(own, X509_free);
    sk_X509_pop_free(all, X509_free);
    return status;
}

estuary_status est_keygen_check_signer(const estuary_enrollment *enrollment, const estuary_findings *findings,
                                       const estuary_anchors *anchors, const STACK_OF(X509) *helpers,
                                       time_t now, const estuary_limits *limits, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(X509) *known = NULL;
    X509 *signer = NULL;
    const char *purpose = NULL;
    if (enrollment->key_package == NULL)
        return ESTUARY_OK; /* no serverkeygen, or a key in PKCS#8, which has no signature */
    EST_TRY(gather(enrollment->key_package, anchors, helpers, &known, err));
    EST_TRY(est_key_package_verify(enrollment->key_package, known, &signer, err));
    if (!is_authority(enrollment, findings, signer, &purpose))
        EST_FAIL(EST_PROTOCOL_KEY_SIGNER, NULL);
    EST_TRY(check_path(signer, purpose, known, anchors, now, limits, err));

cleanup:
    X509_free(signer);
    sk_X509_pop_free(known, X509_free);
    return status;
}
