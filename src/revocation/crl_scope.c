/*
 * Is a CRL about the certificate, and for which reasons? RFC 5280 6.3.3 (b) and (d) (R4). Whatever cannot be
 * read here is taken for "not about it": an extension that is there but broken is never taken for absent.
 */
#include "revocation/crl_judge.h"

#include <openssl/err.h>

#define NAME_SIZE 256

/* --- reading the certificate --- */

typedef enum presence { PRESENCE_BROKEN = 0, PRESENCE_ABSENT, PRESENCE_THERE } presence;

static presence read_extension(const X509 *certificate, int nid, void **out)
{
    int critical = 0;
    ERR_set_mark();
    *out = X509_get_ext_d2i(certificate, nid, &critical, NULL);
    ERR_pop_to_mark();
    if (*out != NULL)
        return PRESENCE_THERE;
    return critical == -1 ? PRESENCE_ABSENT : PRESENCE_BROKEN; /* -2: there twice */
}

static bool is_version_3(const X509 *certificate)
{
    return X509_get_version(certificate) == X509_VERSION_3;
}

/* 6.3.1 (a): "The basicConstraints extension is used". false: it is broken. */
static bool read_is_ca(const X509 *certificate, bool *is_ca)
{
    void *found = NULL;
    presence there = read_extension(certificate, NID_basic_constraints, &found);
    BASIC_CONSTRAINTS *constraints = found;
    *is_ca = constraints != NULL && constraints->ca != 0;
    BASIC_CONSTRAINTS_free(constraints);
    return there != PRESENCE_BROKEN;
}

/* --- the CRL's issuingDistributionPoint --- */

/* RFC 5280 5.2.5: at most one kind; never empty. */
static bool idp_is_sound(const ISSUING_DIST_POINT *idp)
{
    int kinds = (idp->onlyuser > 0) + (idp->onlyCA > 0) + (idp->onlyattr > 0);
    bool says_something =
        kinds > 0 || idp->indirectCRL > 0 || idp->distpoint != NULL || idp->onlysomereasons != NULL;
    return kinds <= 1 && says_something;
}

/* ReasonFlags in OpenSSL's order: the first octet below the second (RFC 5280 4.2.1.13). */
static unsigned reasons_of(const ASN1_BIT_STRING *flags)
{
    const unsigned char *octets = ASN1_STRING_get0_data(flags);
    int len = ASN1_STRING_length(flags);
    unsigned reasons = 0;
    if (len > 0)
        reasons = octets[0];
    if (len > 1)
        reasons |= (unsigned)octets[1] << 8;
    return reasons & EST_ALL_REASONS;
}

/* 6.3.3 (d) (1) to (4) */
static unsigned interim_reasons(const DIST_POINT *dp, const ISSUING_DIST_POINT *idp)
{
    unsigned reasons = EST_ALL_REASONS;
    if (idp != NULL && idp->onlysomereasons != NULL)
        reasons &= reasons_of(idp->onlysomereasons);
    if (dp != NULL && dp->reasons != NULL)
        reasons &= reasons_of(dp->reasons);
    return reasons;
}

/* 6.3.3 (b) (2) (ii) to (iv) */
static bool kind_fits(const est_question *question, const ISSUING_DIST_POINT *idp, estuary_verdict *why)
{
    bool is_ca = false;
    if (idp->onlyattr > 0) {
        est_verdict_unknown(why, EST_CRL_SCOPE, "the CRL is about attribute certificates only");
        return false;
    }
    if (idp->onlyuser <= 0 && idp->onlyCA <= 0)
        return true;
    /* RFC 5280 5.2.5: then its scope "MUST NOT include any version 1 or version 2 certificates" */
    if (!is_version_3(question->certificate)) {
        est_verdict_unknown(
            why, EST_CRL_SCOPE,
            "the CRL tells CA and end entity certificates apart, but the certificate is not of "
            "version 3 and does not say which it is");
        return false;
    }
    if (!read_is_ca(question->certificate, &is_ca)) {
        est_verdict_unknown(why, EST_CRL_CERTIFICATE, "the certificate's basicConstraints cannot be read");
        return false;
    }
    if (is_ca != (idp->onlyCA > 0)) {
        est_verdict_unknown(why, EST_CRL_SCOPE, "the CRL is only about %s certificates, and this is not one",
                            is_ca ? "end entity" : "CA");
        return false;
    }
    return true;
}

/* --- (b) (1): whose CRL --- */

static bool issuer_fits(const est_question *question, const DIST_POINT *dp, const est_crl *crl,
                        estuary_verdict *why)
{
    char name[NAME_SIZE];
    bool is_named = dp != NULL && dp->CRLissuer != NULL;
    bool same = is_named ? est_crl_names_hold(dp->CRLissuer, crl->issuer)
                         : X509_NAME_cmp(X509_get_issuer_name(question->certificate), crl->issuer) == 0;
    est_name_text(crl->issuer, name, sizeof(name));
    if (!same) {
        est_verdict_unknown(why, EST_CRL_ISSUER, "the CRL is issued by \"%s\", not by the certificate's %s",
                            name, is_named ? "cRLIssuer" : "issuer");
        return false;
    }
    if (is_named && (crl->idp == NULL || crl->idp->indirectCRL <= 0)) {
        est_verdict_unknown(why, EST_CRL_NOT_INDIRECT,
                            "the certificate's CRL comes from \"%s\", but that CRL is not an indirect one",
                            name);
        return false;
    }
    return true;
}

/* --- (b) (2) (i): which distribution point --- */

/* What a relative name in the dp is relative to: the one cRLIssuer, or the certificate's issuer. */
static const X509_NAME *base_of(const est_question *question, const DIST_POINT *dp)
{
    if (dp->CRLissuer == NULL)
        return X509_get_issuer_name(question->certificate);
    /* "MUST NOT be used if cRLIssuer contains more than one" name (RFC 5280 4.2.1.13) */
    if (sk_GENERAL_NAME_num(dp->CRLissuer) != 1)
        return NULL;
    const GENERAL_NAME *only = sk_GENERAL_NAME_value(dp->CRLissuer, 0);
    return only->type == GEN_DIRNAME ? only->d.directoryName : NULL;
}

/* 6.3.3's last paragraph: an implied point is named as the certificate's issuer and by its issuerAltName. */
static bool implied_names(const est_question *question, GENERAL_NAMES **alternatives, est_crl_names *out)
{
    void *found = NULL;
    if (read_extension(question->certificate, NID_issuer_alt_name, &found) == PRESENCE_BROKEN)
        return false;
    *alternatives = found;
    out->full = found;
    out->whole = X509_NAME_dup(X509_get_issuer_name(question->certificate));
    return out->whole != NULL;
}

static bool names_of_point(const est_question *question, const DIST_POINT *dp, GENERAL_NAMES **alternatives,
                           est_crl_names *out)
{
    if (dp == NULL)
        return implied_names(question, alternatives, out);
    if (dp->distpoint == NULL) {
        out->full = dp->CRLissuer;
        return true;
    }
    const X509_NAME *base = base_of(question, dp);
    enum { RELATIVE_NAME = 1 };
    if (base == NULL && dp->distpoint->type == RELATIVE_NAME)
        return false;
    return est_crl_names_of(dp->distpoint, base, out);
}

static bool point_fits(const est_question *question, const DIST_POINT *dp, const est_crl *crl,
                       estuary_verdict *why)
{
    est_crl_names of_crl = {0}, of_certificate = {0};
    GENERAL_NAMES *alternatives = NULL;
    bool fits = false;
    if (!est_crl_names_of(crl->idp->distpoint, crl->issuer, &of_crl))
        est_verdict_unknown(why, EST_CRL_IDP, "the CRL's own distribution point has no name");
    else if (!names_of_point(question, dp, &alternatives, &of_certificate))
        est_verdict_unknown(why, EST_CRL_CERTIFICATE,
                            "the names of the certificate's distribution point cannot be read");
    else if (!est_crl_names_share_one(&of_crl, &of_certificate))
        est_verdict_unknown(why, EST_CRL_DISTRIBUTION_POINT, NULL);
    else
        fits = true;
    est_crl_names_clear(&of_crl);
    est_crl_names_clear(&of_certificate);
    GENERAL_NAMES_free(alternatives);
    return fits;
}

/* --- one point, then all of them --- */

static bool covers(const est_question *question, const DIST_POINT *dp, const est_crl *crl,
                   estuary_verdict *why)
{
    /* RFC 5280 4.2.1.13: "While each of these fields is optional", one of the two must be there */
    if (dp != NULL && dp->distpoint == NULL && sk_GENERAL_NAME_num(dp->CRLissuer) <= 0) {
        est_verdict_unknown(why, EST_CRL_CERTIFICATE, "the certificate's distribution point is nameless");
        return false;
    }
    if (!issuer_fits(question, dp, crl, why))
        return false;
    if (crl->idp == NULL)
        return true;
    if (!idp_is_sound(crl->idp)) {
        est_verdict_unknown(why, EST_CRL_IDP, NULL);
        return false;
    }
    if (crl->idp->distpoint != NULL && !point_fits(question, dp, crl, why))
        return false;
    return kind_fits(question, crl->idp, why);
}

static void add_point(const est_question *question, const DIST_POINT *dp, const est_crl *crl,
                      est_crl_scope *out, estuary_verdict *flaws)
{
    estuary_verdict flaw = {0};
    if (covers(question, dp, crl, &flaw)) {
        out->covers = true;
        out->reasons |= interim_reasons(dp, crl->idp);
    } else {
        est_verdict_add(flaws, &flaw);
    }
}

/*
 * The implied point is for CRLs "issued by the certificate issuer" (6.3.3, last paragraph). A certificate
 * that sends us to another CRL issuer is not looked for there: that issuer's own CRLs need not list it.
 */
static bool names_crl_issuer(const CRL_DIST_POINTS *points)
{
    for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
        if (sk_DIST_POINT_value(points, i)->CRLissuer != NULL)
            return true;
    }
    return false;
}

static void add_points(const est_question *question, const est_crl *crl, est_crl_scope *out,
                       estuary_verdict *flaws)
{
    void *found = NULL;
    presence there = read_extension(question->certificate, NID_crl_distribution_points, &found);
    CRL_DIST_POINTS *points = found;
    if (there == PRESENCE_BROKEN || (there == PRESENCE_THERE && sk_DIST_POINT_num(points) == 0)) {
        est_verdict_unknown(flaws, EST_CRL_CERTIFICATE,
                            "the certificate's cRLDistributionPoints cannot be read");
    } else {
        for (int i = 0; i < sk_DIST_POINT_num(points); i++)
            add_point(question, sk_DIST_POINT_value(points, i), crl, out, flaws);
        if (!names_crl_issuer(points))
            add_point(question, NULL, crl, out, flaws);
    }
    CRL_DIST_POINTS_free(points);
}

/* The first point that does not fit says why, unless another fits. */
void est_crl_scope_find(const est_question *question, const DIST_POINT *dp, const est_crl *crl,
                        est_crl_scope *out, estuary_verdict *why)
{
    estuary_verdict flaws = {0};
    *out = (est_crl_scope){0};
    if (dp != NULL)
        add_point(question, dp, crl, out, &flaws);
    else
        add_points(question, crl, out, &flaws);
    if (!out->covers)
        est_verdict_unknown(why, flaws.code, "%s", flaws.why);
}
