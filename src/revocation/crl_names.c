/* Names of distribution points (RFC 5280 4.2.1.13, 5.2.5), compared as 6.3.3 (b) (2) (i) asks. */
#include "revocation/crl_judge.h"

/* The relative name is one RDN, appended (RFC 5280 4.2.1.13). */
static X509_NAME *append(const X509_NAME *base, const STACK_OF(X509_NAME_ENTRY) *relative)
{
    X509_NAME *whole = sk_X509_NAME_ENTRY_num(relative) > 0 ? X509_NAME_dup(base) : NULL;
    for (int i = 0; whole != NULL && i < sk_X509_NAME_ENTRY_num(relative); i++) {
        const int own_rdn = 0, same_rdn = -1;
        if (X509_NAME_add_entry(whole, sk_X509_NAME_ENTRY_value(relative, i), -1,
                                i == 0 ? own_rdn : same_rdn) != 1) {
            X509_NAME_free(whole);
            whole = NULL;
        }
    }
    return whole;
}

bool est_crl_names_of(const DIST_POINT_NAME *from, const X509_NAME *base, est_crl_names *out)
{
    enum { FULL_NAME = 0, RELATIVE_NAME = 1 };
    *out = (est_crl_names){0};
    if (from->type == FULL_NAME)
        out->full = from->name.fullname;
    else if (from->type == RELATIVE_NAME)
        out->whole = append(base, from->name.relativename);
    return out->full != NULL || out->whole != NULL;
}

void est_crl_names_clear(est_crl_names *names)
{
    X509_NAME_free(names->whole);
    *names = (est_crl_names){0};
}

bool est_crl_names_hold(const GENERAL_NAMES *names, const X509_NAME *directory_name)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DIRNAME && X509_NAME_cmp(name->d.directoryName, directory_name) == 0)
            return true;
    }
    return false;
}

/* Everything but directoryName byte for byte: "The identical encoding MUST be used" (RFC 5280 5.2.5). */
static bool fulls_share_one(const GENERAL_NAMES *a, const GENERAL_NAMES *b)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(a); i++) {
        for (int k = 0; k < sk_GENERAL_NAME_num(b); k++) {
            if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(a, i), sk_GENERAL_NAME_value(b, k)) == 0)
                return true;
        }
    }
    return false;
}

bool est_crl_names_share_one(const est_crl_names *a, const est_crl_names *b)
{
    if (fulls_share_one(a->full, b->full))
        return true;
    if (a->whole != NULL && est_crl_names_hold(b->full, a->whole))
        return true;
    if (b->whole != NULL && est_crl_names_hold(a->full, b->whole))
        return true;
    return a->whole != NULL && b->whole != NULL && X509_NAME_cmp(a->whole, b->whole) == 0;
}
