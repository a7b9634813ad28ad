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

static bool is_current(const X509 *certificate, time_t at)
{
    time_t from = 0, to = 0;
    return est_asn1_time(X509_get0_notBefore(certificate), &from) &&
           est_asn1_time(X509_get0_notAfter(certificate), &to) && from <= at && at <= to;
}

/* A path of two certificates, so that `issuer` is the old root itself and nobody it has certified. */
static estuary_status is_path(X509 *link, X509 *issuer, time_t at, bool *yes, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_path path = {0};
    estuary_anchors *one = est_anchors_new(true);
    est_path_query query = {.anchors = one, .leaf = link, .at = at, .max_depth = 0};
    if (one == NULL || !est_anchors_add_root(one, issuer))
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(est_path_find(&query, &path, err));
    *yes = path.flaw == EST_PATH_OK;
cleanup:
    est_path_clear(&path);
    estuary_anchors_free(one);
    return status;
}

/*
 * RFC 4210 4.4: NewWithOld carries the new root's name and key and is signed with the old root's key. The
 * three names must be the same one: a cross-certificate for some other CA is no rollover. A weak digest
 * would let a collision stand in for the old root's word, and an old root that has expired says nothing more.
 */
static estuary_status vouches(X509 *link, X509 *root, X509 *old, time_t at, bool *yes, estuary_error *err)
{
    const X509_NAME *name = X509_get_subject_name(old);
    *yes = false;
    if (X509_NAME_cmp(X509_get_subject_name(link), name) != 0 ||
        X509_NAME_cmp(X509_get_subject_name(root), name) != 0 || !est_certificate_is_ca(link) ||
        !same_key(link, root) || est_certificate_signature_is_weak(link) || est_certificate_is_root(link) ||
        !signed_by(link, old))
        return ESTUARY_OK;
    return is_path(link, old, at, yes, err);
}

static estuary_status is_vouched_for(const STACK_OF(X509) *certs, X509 *root, const estuary_anchors *current,
                                     time_t at, bool *yes, estuary_error *err)
{
    const STACK_OF(X509) *old = estuary_anchors_get0_roots(current);
    const STACK_OF(X509) *links[] = {certs, estuary_anchors_get0_helpers(current)};
    estuary_status status = ESTUARY_OK;
    *yes = false;
    for (size_t l = 0; l < 2; l++)
        for (int i = 0; i < sk_X509_num(links[l]); i++)
            for (int k = 0; status == ESTUARY_OK && !*yes && k < sk_X509_num(old); k++)
                status = vouches(sk_X509_value(links[l], i), root, sk_X509_value(old, k), at, yes, err);
    return status;
}

/*
 * Adds to `accepted` every root that an accepted one vouches for, until there is no more: a client may have
 * slept through two rollovers.
 */
static estuary_status add_vouched(estuary_anchors *accepted, const STACK_OF(X509) *certs, time_t at,
                                  estuary_error *err)
{
    bool more = true;
    while (more) {
        more = false;
        for (int i = 0; i < sk_X509_num(certs); i++) {
            X509 *root = sk_X509_value(certs, i);
            bool yes = false;
            if (est_certs_contain(estuary_anchors_get0_roots(accepted), root) || !is_current(root, at) ||
                !est_certificate_is_root(root))
                continue;
            estuary_status status = is_vouched_for(certs, root, accepted, at, &yes, err);
            if (status != ESTUARY_OK)
                return status;
            if (yes && !est_anchors_add_root(accepted, root))
                return est_fail_openssl(err, EST_MEMORY, NULL);
            more = more || yes;
        }
    }
    return ESTUARY_OK;
}

static estuary_status copy_anchors(const estuary_anchors *from, estuary_anchors **out, estuary_error *err)
{
    const STACK_OF(X509) *roots = estuary_anchors_get0_roots(from);
    const STACK_OF(X509) *helpers = estuary_anchors_get0_helpers(from);
    estuary_anchors *anchors = est_anchors_new(true);
    bool ok = anchors != NULL;
    for (int i = 0; ok && i < sk_X509_num(roots); i++)
        ok = est_anchors_add_root(anchors, sk_X509_value(roots, i));
    for (int i = 0; ok && i < sk_X509_num(helpers); i++)
        ok = est_anchors_add_helper(anchors, sk_X509_value(helpers, i));
    *out = ok ? anchors : NULL;
    if (ok)
        return ESTUARY_OK;
    estuary_anchors_free(anchors);
    return est_fail_openssl(err, EST_MEMORY, NULL);
}

estuary_status est_anchors_vouched_for(const STACK_OF(X509) *certs, const estuary_anchors *current, time_t at,
                                       estuary_anchors **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_anchors *anchors = NULL;
    *out = NULL;
    if (sk_X509_num(certs) > MAX_CERTS)
        EST_FAIL(EST_PROTOCOL_TOO_MANY_CERTS, NULL);
    EST_TRY(copy_anchors(current, &anchors, err));
    int before = sk_X509_num(estuary_anchors_get0_roots(anchors));
    EST_TRY(add_vouched(anchors, certs, at, err));
    if (sk_X509_num(estuary_anchors_get0_roots(anchors)) == before)
        EST_FAIL(EST_TRUST_NO_ROLLOVER, NULL);
    if (!add_helpers(anchors, certs))
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    *out = anchors;
    anchors = NULL;
cleanup:
    estuary_anchors_free(anchors);
    return status;
}

estuary_status est_anchors_from_bootstrap(const STACK_OF(X509) *certs, const estuary_anchors *confirmed,
                                          time_t at, estuary_anchors **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_anchors *accepted = NULL, *anchors = est_anchors_new(true);
    *out = NULL;
    if (anchors == NULL)
        EST_TRY(est_fail_memory(err));
    if (sk_X509_num(certs) > MAX_CERTS)
        EST_FAIL(EST_PROTOCOL_TOO_MANY_CERTS, NULL);
    EST_TRY(copy_anchors(confirmed, &accepted, err));
    EST_TRY(add_vouched(accepted, certs, at, err));
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *root = sk_X509_value(certs, i);
        if (est_certs_contain(estuary_anchors_get0_roots(accepted), root) &&
            !est_anchors_add_root(anchors, root))
            EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    }
    EST_TRY(finish(anchors, certs, err));
    *out = anchors;
    anchors = NULL;
cleanup:
    estuary_anchors_free(accepted);
    estuary_anchors_free(anchors);
    return status;
}

/* What a certificate of the set is there for */

/* Roots of one second are told apart somehow, so that one of two links is the old one and one the new. */
static bool is_older(const X509 *a, const X509 *b)
{
    time_t time_a = 0, time_b = 0;
    if (est_asn1_time(X509_get0_notBefore(a), &time_a) && est_asn1_time(X509_get0_notBefore(b), &time_b) &&
        time_a != time_b)
        return time_a < time_b;
    if (est_asn1_time(X509_get0_notAfter(a), &time_a) && est_asn1_time(X509_get0_notAfter(b), &time_b) &&
        time_a != time_b)
        return time_a < time_b;
    return X509_cmp(a, b) < 0;
}

/* The root whose key `helper` holds is the new one when it is younger than the root that signed it. */
static estuary_ca_role role_of_link(const STACK_OF(X509) *roots, X509 *helper)
{
    const X509 *holder = NULL, *signer = NULL;
    for (int i = 0; i < sk_X509_num(roots); i++) {
        X509 *root = sk_X509_value(roots, i);
        if (same_key(helper, root))
            holder = root;
        else if (signed_by(helper, root))
            signer = root;
    }
    if (signer == NULL) /* the old root is gone from the set */
        return holder == NULL ? ESTUARY_CA_INTERMEDIATE : ESTUARY_CA_NEW_WITH_OLD;
    return holder != NULL && is_older(signer, holder) ? ESTUARY_CA_NEW_WITH_OLD : ESTUARY_CA_OLD_WITH_NEW;
}

estuary_ca_role estuary_anchors_role(const estuary_anchors *anchors, const X509 *certificate)
{
    const STACK_OF(X509) *roots = estuary_anchors_get0_roots(anchors);
    X509 *lent = (X509 *)certificate;
    if (est_certs_contain(roots, certificate))
        return ESTUARY_CA_ROOT;
    if (!est_certs_contain(estuary_anchors_get0_helpers(anchors), certificate))
        return ESTUARY_CA_UNKNOWN;
    if (X509_NAME_cmp(X509_get_subject_name(lent), X509_get_issuer_name(lent)) != 0)
        return ESTUARY_CA_INTERMEDIATE;
    return role_of_link(roots, lent);
}
