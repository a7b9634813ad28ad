/* E10: whose word counts. Judged from the envelope and its certificates; no control has been read yet. */
#include "est/fullcmc.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define CMC_CA "1.3.6.1.5.5.7.3.27" /* id-kp-cmcCA, RFC 6402 2.10 */
#define CMC_RA "1.3.6.1.5.5.7.3.28" /* id-kp-cmcRA */

STACK_OF(X509) *est_fullcmc_known_certs(const est_cmc *cmc)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    const STACK_OF(X509) *lists[] = {estuary_anchors_get0_roots(cmc->anchors),
                                     estuary_anchors_get0_helpers(cmc->anchors), cmc->helpers};
    for (size_t k = 0; all != NULL && k < sizeof(lists) / sizeof(lists[0]); k++) {
        for (int i = 0; i < sk_X509_num(lists[k]); i++) {
            if (sk_X509_push(all, sk_X509_value(lists[k], i)) > 0)
                continue;
            sk_X509_free(all);
            return NULL;
        }
    }
    return all;
}

typedef enum issuer { ISSUER_UNKNOWN = 0, ISSUER_NOTHING_ISSUED, ISSUER_OTHER, ISSUER_SIGNER } issuer;

/* Who issued the certificate for our key in the bag, when there is one? */
static issuer find_issuer(const estuary_enrollment *e, const est_cmc_signed *message)
{
    const EVP_PKEY *ours = X509_REQ_get0_pubkey(e->request);
    issuer found = ISSUER_NOTHING_ISSUED;
    for (int i = 0; i < sk_X509_num(message->certs); i++) {
        X509 *cert = sk_X509_value(message->certs, i);
        const EVP_PKEY *theirs = X509_get0_pubkey(cert);
        if (ours == NULL || theirs == NULL || !est_key_equal(ours, theirs) ||
            (e->old != NULL && X509_cmp(cert, e->old) == 0))
            continue;
        if (X509_check_issued(message->signer, cert) != X509_V_OK ||
            X509_verify(cert, X509_get0_pubkey(message->signer)) != 1) {
            ERR_clear_error();
            return ISSUER_OTHER;
        }
        found = ISSUER_SIGNER;
    }
    ERR_clear_error(); /* of keys that could not be compared */
    return found;
}

static estuary_status refuse(const X509 *signer, const char *why, estuary_error *err)
{
    char subject[256];
    est_subject_text(signer, subject, sizeof(subject));
    return est_fail(err, EST_TRUST_CMC_SIGNER, "the CMC response's signer \"%s\" %s", subject, why);
}

/*
 * RFC 6402 2.10: a purpose of its own, or the CA that issued. A CA of the anchors whose answer holds no
 * certificate for us (failed, pending) may say so, too, but that proves less.
 */
static estuary_status check_role(const estuary_enrollment *e, const est_cmc_signed *message,
                                 const char **purpose, bool *proven, estuary_error *err)
{
    X509 *signer = message->signer;
    *purpose = est_certificate_lists_purpose(signer, CMC_RA)   ? CMC_RA
               : est_certificate_lists_purpose(signer, CMC_CA) ? CMC_CA
                                                               : NULL;
    if (*purpose != NULL) {
        uint32_t usage = X509_get_key_usage(signer); /* all bits without the extension */
        *proven = true;
        return (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0
                   ? ESTUARY_OK
                   : refuse(signer, "may not sign messages (keyUsage)", err);
    }
    if (!est_certificate_is_ca(signer) && !est_certificate_is_root(signer))
        return refuse(signer, "has neither id-kp-cmcRA nor id-kp-cmcCA and is no CA", err);
    issuer who = find_issuer(e, message);
    *proven = who == ISSUER_SIGNER;
    if (who == ISSUER_SIGNER || who == ISSUER_NOTHING_ISSUED)
        return ESTUARY_OK;
    return refuse(signer, "is a CA, but not the one that issued the certificate", err);
}

estuary_status est_fullcmc_judge(const estuary_enrollment *enrollment, const est_cmc_signed *message,
                                 time_t now, const estuary_limits *limits, bool *proven, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char why[512];
    est_path path = {0};
    est_path_query query = {.anchors = enrollment->cmc->anchors,
                            .leaf = message->signer,
                            .at = now,
                            .max_depth = (int)estuary_limits_get(limits, ESTUARY_LIMIT_CHAIN_DEPTH)};
    STACK_OF(X509) *untrusted = NULL;
    *proven = false;
    EST_TRY(check_role(enrollment, message, &query.purpose, proven, err));
    untrusted = est_fullcmc_known_certs(enrollment->cmc);
    if (untrusted == NULL || X509_add_certs(untrusted, message->certs, X509_ADD_FLAG_PREPEND) != 1)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    query.untrusted = untrusted;
    EST_TRY(est_path_find(&query, &path, err));
    if (path.flaw != EST_PATH_OK) {
        est_path_describe(&path, "the certificate of the CMC response's signer", why, sizeof(why));
        EST_FAIL(EST_TRUST_CMC_SIGNER, "%s", why);
    }
cleanup:
    sk_X509_free(untrusted);
    est_path_clear(&path);
    if (status != ESTUARY_OK)
        *proven = false;
    return status;
}
