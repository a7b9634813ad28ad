/*
 * RFC 5280 6.1, by OpenSSL. Not X509_V_FLAG_X509_STRICT: it refuses working servers whose CA forgot a key
 * identifier, and everything that matters for trust (CA flag and keyCertSign of intermediates, path length,
 * name constraints, unknown critical extensions) is checked without it. X509_V_FLAG_TRUSTED_FIRST: a server
 * must not talk us out of a path that ends in our anchors.
 */
#include "cert/cert.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define SECURITY_LEVEL 2 /* 112 bits: RSA 2048, no SHA-1 */
#define NAME_SIZE      256

static const struct row {
    int error;
    est_path_flaw leaf, ca;
} table[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, EST_PATH_EXPIRED, EST_PATH_CA_EXPIRED},
    {X509_V_ERR_CERT_NOT_YET_VALID, EST_PATH_NOT_YET_VALID, EST_PATH_CA_NOT_YET_VALID},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, EST_PATH_UNKNOWN_ISSUER, EST_PATH_UNKNOWN_ISSUER},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, EST_PATH_UNKNOWN_ISSUER, EST_PATH_UNKNOWN_ISSUER},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, EST_PATH_UNKNOWN_ISSUER, EST_PATH_UNKNOWN_ISSUER},
    {X509_V_ERR_CERT_UNTRUSTED, EST_PATH_UNKNOWN_ISSUER, EST_PATH_UNKNOWN_ISSUER},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, EST_PATH_SELF_SIGNED, EST_PATH_SELF_SIGNED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, EST_PATH_UNKNOWN_ROOT, EST_PATH_UNKNOWN_ROOT},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, EST_PATH_BAD_SIGNATURE, EST_PATH_BAD_SIGNATURE},
    {X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, EST_PATH_BAD_SIGNATURE, EST_PATH_BAD_SIGNATURE},
    {X509_V_ERR_INVALID_CA, EST_PATH_INVALID_CA, EST_PATH_INVALID_CA},
    {X509_V_ERR_INVALID_NON_CA, EST_PATH_INVALID_CA, EST_PATH_INVALID_CA},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, EST_PATH_INVALID_CA, EST_PATH_INVALID_CA},
    {X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED, EST_PATH_INVALID_CA, EST_PATH_INVALID_CA},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, EST_PATH_PATH_LENGTH, EST_PATH_PATH_LENGTH},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, EST_PATH_TOO_LONG, EST_PATH_TOO_LONG},
    {X509_V_ERR_PERMITTED_VIOLATION, EST_PATH_NAME_CONSTRAINTS, EST_PATH_NAME_CONSTRAINTS},
    {X509_V_ERR_EXCLUDED_VIOLATION, EST_PATH_NAME_CONSTRAINTS, EST_PATH_NAME_CONSTRAINTS},
    {X509_V_ERR_SUBTREE_MINMAX, EST_PATH_NAME_CONSTRAINTS, EST_PATH_NAME_CONSTRAINTS},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, EST_PATH_NAME_CONSTRAINTS, EST_PATH_NAME_CONSTRAINTS},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, EST_PATH_NAME_CONSTRAINTS, EST_PATH_NAME_CONSTRAINTS},
    {X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, EST_PATH_NAME_CONSTRAINTS, EST_PATH_NAME_CONSTRAINTS},
    {X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, EST_PATH_CRITICAL_EXTENSION, EST_PATH_CRITICAL_EXTENSION},
    {X509_V_ERR_EE_KEY_TOO_SMALL, EST_PATH_WEAK_KEY, EST_PATH_CA_WEAK_KEY},
    {X509_V_ERR_CA_KEY_TOO_SMALL, EST_PATH_WEAK_KEY, EST_PATH_CA_WEAK_KEY},
    {X509_V_ERR_CA_MD_TOO_WEAK, EST_PATH_WEAK_SIGNATURE, EST_PATH_CA_WEAK_SIGNATURE},
    {X509_V_ERR_HOSTNAME_MISMATCH, EST_PATH_HOST, EST_PATH_HOST},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, EST_PATH_HOST, EST_PATH_HOST},
    {X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, EST_PATH_MALFORMED, EST_PATH_MALFORMED},
    {X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, EST_PATH_MALFORMED, EST_PATH_MALFORMED},
    {X509_V_ERR_INVALID_EXTENSION, EST_PATH_MALFORMED, EST_PATH_MALFORMED},
    {X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, EST_PATH_MALFORMED, EST_PATH_MALFORMED},
    {X509_V_ERR_NO_ISSUER_PUBLIC_KEY, EST_PATH_MALFORMED, EST_PATH_MALFORMED},
    {X509_V_ERR_EC_KEY_EXPLICIT_PARAMS, EST_PATH_MALFORMED, EST_PATH_MALFORMED},
    {X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM, EST_PATH_BAD_SIGNATURE, EST_PATH_BAD_SIGNATURE},
    {X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, EST_PATH_BAD_SIGNATURE, EST_PATH_BAD_SIGNATURE},
    {X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY, EST_PATH_BAD_SIGNATURE, EST_PATH_BAD_SIGNATURE},
};

static est_path_flaw flaw_of(int error, int depth)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].error == error)
            return depth == 0 ? table[i].leaf : table[i].ca;
    }
    return EST_PATH_UNKNOWN;
}

/* Passes over what the findings about the leaf say in sentences of their own, and over nothing else. */
static int spare_leaf(int ok, X509_STORE_CTX *ctx)
{
    if (ok == 1 || X509_STORE_CTX_get_error_depth(ctx) != 0)
        return ok;
    switch (flaw_of(X509_STORE_CTX_get_error(ctx), 0)) {
    case EST_PATH_EXPIRED:
    case EST_PATH_NOT_YET_VALID:
    case EST_PATH_WEAK_KEY:
    case EST_PATH_WEAK_SIGNATURE:
        return 1;
    default:
        return 0;
    }
}

static bool set_up(X509_STORE_CTX *ctx, const est_path_query *query, STACK_OF(X509) *untrusted)
{
    if (X509_STORE_CTX_init(ctx, est_anchors_get0_store(query->anchors), query->leaf, untrusted) != 1)
        return false;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, query->at);
    X509_VERIFY_PARAM_set_depth(param, query->max_depth < 0 ? 0 : query->max_depth);
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_TRUSTED_FIRST) != 1)
        return false;
    /* purpose and trust stay unset: extKeyUsage is ours to judge, see purpose.c */
    if (query->spare_leaf)
        X509_STORE_CTX_set_verify_cb(ctx, spare_leaf);
    return query->host == NULL || est_host_into_param(param, query->host);
}

/* A CA whose extKeyUsage leaves the purpose out may not issue for it; the anchor itself is not asked. */
static void check_ca_purposes(const est_path_query *query, est_path *out)
{
    for (int i = 1; i < sk_X509_num(out->chain) - 1; i++) {
        X509 *ca = sk_X509_value(out->chain, i);
        if (est_certificate_allows(ca, query->purpose))
            continue;
        out->flaw = EST_PATH_CA_EKU;
        out->x509_error = X509_V_ERR_INVALID_PURPOSE;
        out->depth = i;
        out->culprit = X509_up_ref(ca) == 1 ? ca : NULL;
        return;
    }
}

static estuary_status take_result(X509_STORE_CTX *ctx, bool good, est_path *out, estuary_error *err)
{
    X509 *culprit = X509_STORE_CTX_get_current_cert(ctx);
    out->x509_error = good ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    if (out->x509_error == X509_V_ERR_OUT_OF_MEM)
        return est_fail_memory(err);
    if (!good && out->x509_error == X509_V_OK)
        out->x509_error = X509_V_ERR_UNSPECIFIED;
    out->depth = good ? 0 : X509_STORE_CTX_get_error_depth(ctx);
    out->flaw = good ? EST_PATH_OK : flaw_of(out->x509_error, out->depth);
    if (X509_STORE_CTX_get0_chain(ctx) != NULL) {
        out->chain = X509_STORE_CTX_get1_chain(ctx);
        if (out->chain == NULL)
            return est_fail_memory(err);
    }
    if (!good && culprit != NULL && X509_up_ref(culprit) == 1)
        out->culprit = culprit;
    return ESTUARY_OK;
}

/*
 * The server's own certificates first: it knows its chain. A borrowed list; free with sk_X509_free().
 * with_roots false: without those that could only end a path, and not in an anchor.
 */
static STACK_OF(X509) *gather(const est_path_query *query, bool with_roots)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    const STACK_OF(X509) *lists[] = {query->untrusted, estuary_anchors_get0_helpers(query->anchors)};
    for (size_t k = 0; all != NULL && k < 2; k++) {
        for (int i = 0; i < sk_X509_num(lists[k]); i++) {
            X509 *certificate = sk_X509_value(lists[k], i);
            if (!with_roots && X509_self_signed(certificate, 1) == 1)
                continue;
            if (sk_X509_push(all, certificate) > 0)
                continue;
            sk_X509_free(all);
            return NULL;
        }
    }
    return all;
}

static estuary_status attempt(const est_path_query *query, bool with_roots, est_path *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    ERR_set_mark();
    STACK_OF(X509) *untrusted = gather(query, with_roots);
    ERR_pop_to_mark();
    if (ctx == NULL || untrusted == NULL)
        EST_TRY(est_fail_memory(err));
    if (!set_up(ctx, query, untrusted))
        EST_FAIL_OPENSSL(EST_CRYPTO, "the check of the certificate path cannot be set up");
    ERR_set_mark();
    bool good = X509_verify_cert(ctx) == 1;
    ERR_pop_to_mark(); /* what failed is in ctx; leftovers would be taken for the cause of something else */
    EST_TRY(take_result(ctx, good, out, err));
    if (good && query->purpose != NULL)
        check_ca_purposes(query, out);
cleanup:
    X509_STORE_CTX_free(ctx);
    sk_X509_free(untrusted);
    if (status != ESTUARY_OK)
        est_path_clear(out);
    return status;
}

/*
 * A server in the middle of a root rollover may send its new root and NewWithOld (RFC 4210 4.4.1): OpenSSL
 * takes the first that fits and does not come back, so a foreign root at the end is worth a second look.
 */
estuary_status est_path_find(const est_path_query *query, est_path *out, estuary_error *err)
{
    estuary_status status = attempt(query, true, out, err);
    if (status != ESTUARY_OK || out->flaw != EST_PATH_UNKNOWN_ROOT)
        return status;
    est_path again = {0};
    status = attempt(query, false, &again, err);
    if (status != ESTUARY_OK || again.flaw == EST_PATH_UNKNOWN_ISSUER) {
        est_path_clear(status == ESTUARY_OK ? &again : out);
        return status;
    }
    est_path_clear(out);
    *out = again;
    return ESTUARY_OK;
}

void est_path_clear(est_path *path)
{
    X509_free(path->culprit);
    sk_X509_pop_free(path->chain, X509_free);
    memset(path, 0, sizeof(*path));
}

static void date_text(const ASN1_TIME *at, char out[EST_TIME_TEXT_SIZE])
{
    time_t when = 0;
    if (est_asn1_time(at, &when))
        est_time_format(when, out);
    else
        snprintf(out, EST_TIME_TEXT_SIZE, "%s", "an unreadable date");
}

/* All take, in this order: whose chain, the culprit's subject, its issuer. */
static const char *const sentences[EST_PATH_FLAW_COUNT] = {
    [EST_PATH_UNKNOWN] = "%s cannot be trusted: the check of \"%s\", issued by \"%s\", failed",
    [EST_PATH_OK] = "%s chains to the trust anchors",
    [EST_PATH_UNKNOWN_ISSUER] =
        ("%s does not chain to the trust anchors: the issuer of \"%s\", \"%s\", is neither "
         "among them nor in the chain"),
    [EST_PATH_SELF_SIGNED] = "%s (\"%s\") is self-signed and not among the trust anchors",
    [EST_PATH_UNKNOWN_ROOT] = "%s chains to the root \"%s\", which is not among the trust anchors",
    [EST_PATH_BAD_SIGNATURE] = "%s does not verify: the signature on \"%s\" was not made by \"%s\"",
    [EST_PATH_INVALID_CA] = "%s was issued through \"%s\", which is not a CA certificate",
    [EST_PATH_PATH_LENGTH] =
        "%s has too many CAs in its chain: \"%s\" may not have so many below it (pathLenConstraint)",
    [EST_PATH_TOO_LONG] = "%s has more CAs in its chain than allowed",
    [EST_PATH_NAME_CONSTRAINTS] =
        ("%s is refused: \"%s\" is outside of the names that \"%s\" or a CA above it may "
         "issue for"),
    [EST_PATH_CRITICAL_EXTENSION] = "%s is refused: \"%s\" holds a critical extension that is not understood",
    [EST_PATH_WEAK_KEY] = "%s (\"%s\") has a weak key",
    [EST_PATH_CA_WEAK_KEY] = "%s is refused: the CA \"%s\" in its chain has a weak key",
    [EST_PATH_WEAK_SIGNATURE] = "%s (\"%s\") is signed with a weak digest",
    [EST_PATH_CA_WEAK_SIGNATURE] =
        "%s is refused: the CA certificate \"%s\" in its chain is signed with a weak digest",
    [EST_PATH_CA_EKU] =
        "%s is refused: the CA \"%s\" in its chain may not issue for this purpose (extKeyUsage)",
    [EST_PATH_HOST] = "%s (\"%s\") is for another host",
    [EST_PATH_MALFORMED] = "%s is refused: \"%s\" is malformed",
};

static bool describe_dates(const est_path *path, const char *whose, const char *subject, char *out,
                           size_t size)
{
    char date[EST_TIME_TEXT_SIZE] = "";
    bool late = path->flaw == EST_PATH_EXPIRED || path->flaw == EST_PATH_CA_EXPIRED;
    bool of_ca = path->flaw == EST_PATH_CA_EXPIRED || path->flaw == EST_PATH_CA_NOT_YET_VALID;
    if (!late && path->flaw != EST_PATH_NOT_YET_VALID && path->flaw != EST_PATH_CA_NOT_YET_VALID)
        return false;
    if (path->culprit != NULL)
        date_text(late ? X509_get0_notAfter(path->culprit) : X509_get0_notBefore(path->culprit), date);
    const char *what = late ? "expired on" : "is not valid before";
    if (of_ca)
        snprintf(out, size, "%s is refused: the CA certificate \"%s\" in its chain %s %s", whose, subject,
                 what, date);
    else
        snprintf(out, size, "%s %s %s", whose, what, date);
    return true;
}

void est_path_describe(const est_path *path, const char *whose, char *out, size_t size)
{
    char subject[NAME_SIZE] = "?", issuer[NAME_SIZE] = "?";
    if (path->culprit != NULL) {
        est_subject_text(path->culprit, subject, sizeof(subject));
        est_name_text(X509_get_issuer_name(path->culprit), issuer, sizeof(issuer));
    }
    if (describe_dates(path, whose, subject, out, size))
        return;
    snprintf(out, size, sentences[path->flaw], whose, subject, issuer);
}
