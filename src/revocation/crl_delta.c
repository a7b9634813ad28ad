/* May a delta CRL be combined with a complete one? RFC 5280 5.2.4 and 6.3.3 (c), (h) (R4). */
#include "revocation/crl_judge.h"

#include <openssl/err.h>

/* --- (c) (1) to (3), (h) --- */

static bool same_bytes(const unsigned char *a, int a_len, const unsigned char *b, int b_len)
{
    return a_len > 0 && a_len == b_len && memcmp(a, b, (size_t)a_len) == 0;
}

/* RFC 5280 5.2.4: omitted in both, or "identical". Short memory reads as "not the same". */
static bool same_scope(const ISSUING_DIST_POINT *a, const ISSUING_DIST_POINT *b)
{
    unsigned char *first = NULL, *second = NULL;
    if (a == NULL || b == NULL)
        return a == b;
    int first_len = i2d_ISSUING_DIST_POINT(a, &first);
    int second_len = i2d_ISSUING_DIST_POINT(b, &second);
    bool same = same_bytes(first, first_len, second, second_len);
    OPENSSL_free(first);
    OPENSSL_free(second);
    return same;
}

static bool same_key_identifier(const AUTHORITY_KEYID *a, const AUTHORITY_KEYID *b)
{
    unsigned char *first = NULL, *second = NULL;
    if (a == NULL || b == NULL)
        return a == b;
    int first_len = i2d_AUTHORITY_KEYID(a, &first);
    int second_len = i2d_AUTHORITY_KEYID(b, &second);
    bool same = same_bytes(first, first_len, second, second_len);
    OPENSSL_free(first);
    OPENSSL_free(second);
    return same;
}

/* EST_OK_CODE, or what does not fit. */
static est_code find_misfit(const est_crl *complete, const est_crl *delta)
{
    est_code code = EST_OK_CODE;
    ERR_set_mark();
    if (X509_NAME_cmp(complete->issuer, delta->issuer) != 0)
        code = EST_CRL_DELTA_ISSUER;
    else if (!same_scope(complete->idp, delta->idp))
        code = EST_CRL_DELTA_SCOPE;
    else if (!same_key_identifier(complete->akid, delta->akid) ||
             !est_crl_same_key(complete->signer, delta->signer))
        code = EST_CRL_DELTA_SIGNER;
    else if (delta->base_number == NULL || complete->base_number != NULL)
        code = EST_CRL_DELTA_BASE;
    ERR_pop_to_mark();
    return code;
}

bool est_crl_delta_belongs(const est_crl *complete, const est_crl *delta)
{
    return find_misfit(complete, delta) == EST_OK_CODE;
}

/* --- RFC 5280 5.2.4 (c), (d): numbers, and dates --- */

est_delta_use est_crl_delta_find_use(const est_question *question, const est_crl *complete,
                                     const est_crl *delta, estuary_verdict *why)
{
    estuary_verdict dates = {0};
    if (delta == NULL)
        return EST_DELTA_NONE;
    est_code misfit = find_misfit(complete, delta);
    if (misfit != EST_OK_CODE) {
        est_verdict_unknown(why, misfit, NULL);
        return EST_DELTA_MISFIT;
    }
    if (complete->number == NULL || delta->number == NULL) {
        est_verdict_unknown(why, EST_CRL_DELTA_NUMBER, "the delta CRL or the complete CRL has no cRLNumber");
        return EST_DELTA_MISFIT;
    }
    int order = ASN1_INTEGER_cmp(complete->number, delta->number);
    if (order > 0)
        return EST_DELTA_NONE; /* (d): what it says stands in the complete CRL, or was taken back there */
    if (delta->this_update < complete->this_update) {
        est_verdict_unknown(why, EST_CRL_DELTA_NUMBER,
                            "the delta CRL has the higher number, but is dated before the complete CRL");
        return EST_DELTA_MISFIT;
    }
    if (ASN1_INTEGER_cmp(complete->number, delta->base_number) < 0) {
        est_verdict_unknown(why, EST_CRL_DELTA_BASE, NULL);
        return EST_DELTA_BASE_NEWER;
    }
    if (order == 0 ||
        !est_question_is_fresh(question, delta->this_update, delta->next_update, "the delta CRL", &dates))
        return EST_DELTA_OUT_OF_DATE;
    return EST_DELTA_APPLIES;
}
