/* Which certificates of a /cacerts answer become anchors (RFC 7030 4.1.3, RFC 4210 4.4). */
#include "cert/cert.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define NAME_SIZE 256
#define MAX_CERTS 512

static bool signed_by(X509 *certificate, X509 *issuer)
{
    ERR_set_mark();
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool yes = key != NULL && X509_check_issued(issuer, certificate) == X509_V_OK &&
               X509_verify(certificate, key) == 1;
    ERR_pop_to_mark();
    return yes;
}

static bool same_key(const X509 *a, const X509 *b)
{
    EVP_PKEY *key_a = X509_get0_pubkey(a), *key_b = X509_get0_pubkey(b);
    ERR_set_mark();
    bool same = key_a != NULL && key_b != NULL && EVP_PKEY_eq(key_a, key_b) == 1;
    ERR_pop_to_mark();
    return same;
}

/*
 * Adds every CA certificate that a kept one has signed, OldWithNew and NewWithOld among them (E1). Each
 * kept certificate is tried as an issuer once, so a hostile answer costs n squared signatures at most.
 */
static bool add_helpers(estuary_anchors *anchors, const STACK_OF(X509) *certs)
{
    const STACK_OF(X509) *roots = estuary_anchors_get0_roots(anchors);
    const STACK_OF(X509) *helpers = estuary_anchors_get0_helpers(anchors);
    for (int k = 0; k < sk_X509_num(roots) + sk_X509_num(helpers); k++) {
        int root_count = sk_X509_num(roots);
        X509 *issuer = k < root_count ? sk_X509_value(roots, k) : sk_X509_value(helpers, k - root_count);
        for (int i = 0; i < sk_X509_num(certs); i++) {
            X509 *ca = sk_X509_value(certs, i);
            if (!est_certificate_is_ca(ca) || est_certs_contain(roots, ca) ||
                est_certs_contain(helpers, ca) || est_certificate_is_root(ca) || !signed_by(ca, issuer))
                continue;
            if (!est_anchors_add_helper(anchors, ca))
                return false;
        }
    }
    return true;
}

/* RFC 7030 A.1: rollover certificates of old CAs lack basicConstraints; the key of a root tells them. Not
 * kept. */
static bool has_key_of_a_root(const STACK_OF(X509) *certs, const X509 *certificate)
{
    bool same = false;
    ERR_set_mark();
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    for (int i = 0; key != NULL && !same && i < sk_X509_num(certs); i++) {
        X509 *root = sk_X509_value(certs, i);
        EVP_PKEY *other = X509_get0_pubkey(root);
        same = other != NULL && EVP_PKEY_eq(key, other) == 1 && est_certificate_is_root(root);
    }
    ERR_pop_to_mark();
    return same;
}

static estuary_status refuse_not_ca(const X509 *certificate, estuary_error *err)
{
    char subject[NAME_SIZE];
    est_subject_text(certificate, subject, sizeof(subject));
    return est_fail(err, EST_PROTOCOL_CACERTS_NOT_CA, "\"%s\" among the server's CA certificates is not a CA",
                    subject);
}

static estuary_status finish(estuary_anchors *anchors, const STACK_OF(X509) *certs, estuary_error *err)
{
    if (sk_X509_num(estuary_anchors_get0_roots(anchors)) == 0)
        return est_fail(err, EST_PROTOCOL_CACERTS_NO_ROOT, NULL);
    return add_helpers(anchors, certs) ? ESTUARY_OK : est_fail_openssl(err, EST_MEMORY, NULL);
}

/* Order says nothing (RFC 7030 4.1.3), so each certificate is known by its own signature. */
estuary_status est_anchors_from_cacerts(const STACK_OF(X509) *certs, estuary_anchors **out,
                                        estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_anchors *anchors = est_anchors_new(true);
    *out = NULL;
    if (anchors == NULL)
        EST_TRY(est_fail_memory(err));
    if (sk_X509_num(certs) > MAX_CERTS)
        EST_FAIL(EST_PROTOCOL_TOO_MANY_CERTS, NULL);
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *certificate = sk_X509_value(certs, i);
        if (est_certificate_is_root(certificate)) {
            if (!est_anchors_add_root(anchors, certificate))
                EST_FAIL_OPENSSL(EST_MEMORY, NULL);
        } else if (!est_certificate_is_ca(certificate) && !has_key_of_a_root(certs, certificate)) {
            EST_TRY(refuse_not_ca(certificate, err));
        }
    }
    EST_TRY(finish(anchors, certs, err));
    *out = anchors;
    anchors = NULL;
cleanup:
    estuary_anchors_free(anchors);
    return status;
}

/*
 * RFC 4210 4.4: NewWithOld carries the new root's name and key and is signed with the old root's key. The
 * three names must be the same one: a cross-certificate for some other CA is no rollover. A weak digest
 * would let a collision stand in for the old root's word.
 */
static bool vouches(X509 *link, X509 *root, X509 *confirmed)
{
    const X509_NAME *name = X509_get_subject_name(confirmed);
    return est_certificate_is_ca(link) && !est_certificate_is_root(link) &&
           X509_NAME_cmp(X509_get_subject_name(link), name) == 0 &&
           X509_NAME_cmp(X509_get_subject_name(root), name) == 0 && same_key(link, root) &&
           !est_certificate_signature_is_weak(link) && signed_by(link, confirmed);
}

static bool is_vouched_for(const STACK_OF(X509) *certs, X509 *root, const STACK_OF(X509) *confirmed)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        for (int k = 0; k < sk_X509_num(confirmed); k++) {
            if (vouches(sk_X509_value(certs, i), root, sk_X509_value(confirmed, k)))
                return true;
        }
    }
    return false;
}

estuary_status est_anchors_from_bootstrap(const STACK_OF(X509) *certs, const estuary_anchors *confirmed,
                                          estuary_anchors **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const STACK_OF(X509) *old = estuary_anchors_get0_roots(confirmed);
    estuary_anchors *anchors = est_anchors_new(true);
    *out = NULL;
    if (anchors == NULL)
        EST_TRY(est_fail_memory(err));
    if (sk_X509_num(certs) > MAX_CERTS)
        EST_FAIL(EST_PROTOCOL_TOO_MANY_CERTS, NULL);
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *root = sk_X509_value(certs, i);
        if (!est_certificate_is_root(root))
            continue;
        if (!est_certs_contain(old, root) && !is_vouched_for(certs, root, old))
            continue;
        if (!est_anchors_add_root(anchors, root))
            EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    }
    EST_TRY(finish(anchors, certs, err));
    *out = anchors;
    anchors = NULL;
cleanup:
    estuary_anchors_free(anchors);
    return status;
}
