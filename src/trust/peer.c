/* The server check, inside the handshake: chain, name, purpose (T3, RFC 7030 3.6). */
#include "trust/session.h"

#include <openssl/x509v3.h>

#include <stdio.h>

#define NAME_SIZE 256
#define TEXT_SIZE 768
#define CMC_RA    "1.3.6.1.5.5.7.3.28" /* id-kp-cmcRA, RFC 6402 2.10 */

static est_code code_of(est_path_flaw flaw)
{
    static const est_code codes[EST_PATH_FLAW_COUNT] = {
        [EST_PATH_EXPIRED] = EST_TRUST_EXPIRED,
        [EST_PATH_NOT_YET_VALID] = EST_TRUST_NOT_YET_VALID,
        [EST_PATH_CA_EXPIRED] = EST_TRUST_CA_EXPIRED,
        [EST_PATH_CA_NOT_YET_VALID] = EST_TRUST_CA_NOT_YET_VALID,
        [EST_PATH_UNKNOWN_ISSUER] = EST_TRUST_UNKNOWN_ISSUER,
        [EST_PATH_SELF_SIGNED] = EST_TRUST_SELF_SIGNED,
        [EST_PATH_UNKNOWN_ROOT] = EST_TRUST_UNKNOWN_ROOT,
        [EST_PATH_BAD_SIGNATURE] = EST_TRUST_BAD_SIGNATURE,
        [EST_PATH_INVALID_CA] = EST_TRUST_INVALID_CA,
        [EST_PATH_PATH_LENGTH] = EST_TRUST_PATH_LENGTH,
        [EST_PATH_TOO_LONG] = EST_TRUST_CHAIN_TOO_LONG,
        [EST_PATH_NAME_CONSTRAINTS] = EST_TRUST_NAME_CONSTRAINTS,
        [EST_PATH_CRITICAL_EXTENSION] = EST_TRUST_CRITICAL_EXTENSION,
        [EST_PATH_WEAK_KEY] = EST_TRUST_WEAK_KEY,
        [EST_PATH_CA_WEAK_KEY] = EST_TRUST_WEAK_KEY,
        [EST_PATH_WEAK_SIGNATURE] = EST_TRUST_WEAK_SIGNATURE,
        [EST_PATH_CA_WEAK_SIGNATURE] = EST_TRUST_WEAK_SIGNATURE,
        [EST_PATH_CA_EKU] = EST_TRUST_CA_EKU,
        [EST_PATH_HOST] = EST_TRUST_HOST_MISMATCH,
        [EST_PATH_MALFORMED] = EST_TRUST_MALFORMED,
    };
    return codes[flaw] == EST_OK_CODE ? EST_TRUST : codes[flaw];
}

static estuary_status refuse_host(const X509 *leaf, const char *host, estuary_error *err)
{
    char names[TEXT_SIZE / 2];
    if (!est_certificate_has_host_names(leaf))
        return est_fail(err, EST_TRUST_NO_SAN,
                        "the server's certificate names no host in subjectAltName, so it is not for \"%s\"; "
                        "its CN does not count",
                        host);
    est_certificate_host_list(leaf, names, sizeof(names));
    return est_fail(err, EST_TRUST_HOST_MISMATCH, "the server's certificate is for %s, not for \"%s\"", names,
                    host);
}

static estuary_status refuse_path(const est_path *path, X509 *leaf, const char *host, estuary_error *err)
{
    char text[TEXT_SIZE];
    if (path->flaw == EST_PATH_HOST)
        return refuse_host(leaf, host, err);
    est_path_describe(path, "the server's certificate", text, sizeof(text));
    estuary_status status = est_fail(err, code_of(path->flaw), "%s", text);
    est_error_set_detail(err, "%s", X509_verify_cert_error_string(path->x509_error));
    return status;
}

/* RFC 5280 4.2.1.12 and 4.2.1.3: all suites of ours have the server sign. */
static estuary_status check_usage(X509 *leaf, est_path *path, estuary_error *err)
{
    char subject[NAME_SIZE];
    est_subject_text(leaf, subject, sizeof(subject));
    path->x509_error = X509_V_ERR_INVALID_PURPOSE;
    if (!est_certificate_allows(leaf, "serverAuth"))
        return est_fail(err, EST_TRUST_WRONG_EKU,
                        "the server's certificate (\"%s\") may not be used for TLS server authentication "
                        "(extKeyUsage)",
                        subject);
    if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
        return est_fail(err, EST_TRUST_WRONG_KEY_USAGE,
                        "the server's certificate (\"%s\") may not be used to sign a TLS session (keyUsage)",
                        subject);
    path->x509_error = X509_V_OK;
    return ESTUARY_OK;
}

/*
 * RFC 7030 3.6.1: with explicit anchors a certificate with id-kp-cmcRA needs no matching name, and is spared
 * nothing else. RFC 7030 3.6.2: with the system's anchors the name always counts.
 */
static bool name_counts(const est_trust *trust, const X509 *leaf)
{
    return !(estuary_anchors_is_explicit(trust->anchors) && est_certificate_lists_purpose(leaf, CMC_RA));
}

static estuary_status check(const est_trust *trust, X509_STORE_CTX *outer, est_path *path, estuary_error *err)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(outer);
    if (leaf == NULL || trust == NULL || trust->anchors == NULL || trust->host == NULL)
        return est_fail(err, EST_TRUST, NULL);
    est_path_query query = {
        .anchors = trust->anchors,
        .leaf = leaf,
        .untrusted = X509_STORE_CTX_get0_untrusted(outer),
        .host = name_counts(trust, leaf) ? trust->host : NULL,
        .purpose = "serverAuth",
        .at = est_now(),
        .max_depth = trust->max_depth,
    };
    estuary_status status = est_path_find(&query, path, err);
    if (status != ESTUARY_OK)
        return status;
    if (path->flaw != EST_PATH_OK)
        return refuse_path(path, leaf, trust->host, err);
    return check_usage(leaf, path, err);
}

/* OpenSSL picks the TLS alert from the error left in `outer`, and keeps the chain for
 * SSL_get0_verified_chain(). */
int est_peer_check(X509_STORE_CTX *outer, void *arg)
{
    est_session *session = arg;
    est_path path = {0};
    session->accepted = false;
    estuary_error_free(session->refusal);
    session->refusal = NULL;
    if (session->trust != NULL && session->trust->accept_any) {
        session->accepted = true;
        X509_STORE_CTX_set_error(outer, X509_V_OK);
        return 1;
    }
    estuary_error *refusal = estuary_error_new();
    session->accepted = refusal != NULL && check(session->trust, outer, &path, refusal) == ESTUARY_OK;
    if (session->accepted) {
        X509_STORE_CTX_set0_verified_chain(outer, path.chain);
        path.chain = NULL;
        X509_STORE_CTX_set_error(outer, X509_V_OK);
        estuary_error_free(refusal);
    } else {
        session->refusal = refusal;
        X509_STORE_CTX_set_error(outer, path.x509_error == X509_V_OK ? X509_V_ERR_APPLICATION_VERIFICATION
                                                                     : path.x509_error);
    }
    est_path_clear(&path);
    return session->accepted ? 1 : 0;
}
