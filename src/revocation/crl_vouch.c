/*
 * A CA with more than one key: does the issuer's own key speak for the certificate of a CRL's signer, without
 * any other anchor being asked? (RFC 4210 4.4, RFC 5280 3.2: self-issued certificates)
 *
 * Downwards, when the issuer's key signed the signer's certificate: the path is the issuer's and one more, so
 * the anchor is the same. Upwards, when the signer's key signed the issuer's own certificate, and both bear
 * one name: then the signer stands above the issuer in that path.
 */
#include "revocation/crl_judge.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

#define USUAL_EXPONENT 65537 /* RSA's */

bool est_crl_same_key(const X509 *a, const X509 *b)
{
    const EVP_PKEY *first = X509_get0_pubkey(a), *second = X509_get0_pubkey(b);
    ERR_set_mark();
    bool same = first != NULL && second != NULL && EVP_PKEY_eq(first, second) == 1;
    ERR_pop_to_mark();
    return same;
}

static bool is_self_issued(const X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

static bool is_in_time(const est_question *question, const X509 *certificate)
{
    time_t from = 0, to = 0;
    return est_asn1_time(X509_get0_notBefore(certificate), &from) &&
           est_asn1_time(X509_get0_notAfter(certificate), &to) && from <= question->now + question->skew &&
           to >= question->now - question->skew;
}

static bool is_sound(const est_question *question, X509 *signer)
{
    return (X509_get_extension_flags(signer) & (EXFLAG_INVALID | EXFLAG_CRITICAL)) == 0 &&
           is_in_time(question, signer);
}

/* Names, key identifiers, keyCertSign and the signature itself; a weak digest could sign for another. */
static bool issued(X509 *issuer, X509 *subject)
{
    return X509_check_issued(issuer, subject) == X509_V_OK && !est_certificate_signature_is_weak(subject) &&
           X509_get0_pubkey(issuer) != NULL && X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
}

static bool has_usual_exponent(const EVP_PKEY *key)
{
    BIGNUM *exponent = NULL;
    bool usual = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                 BN_is_word(exponent, USUAL_EXPONENT) == 1;
    BN_free(exponent);
    return usual;
}

static bool has_named_curve(const EVP_PKEY *key)
{
    int is_explicit = 1;
    return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) == 1 &&
           is_explicit == 0;
}

/*
 * For a given signature a second key can be made under which it verifies too, when one may choose RSA's
 * exponent or a curve's generator: with such a key anyone could pose as the one who signed the issuer.
 */
static bool cannot_be_made_to_fit(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1)
        return has_usual_exponent(key);
    if (EVP_PKEY_is_a(key, "EC") == 1)
        return has_named_curve(key);
    return EVP_PKEY_is_a(key, "ED25519") == 1 || EVP_PKEY_is_a(key, "ED448") == 1;
}

static bool stands_above(X509 *signer, X509 *issuer)
{
    const EVP_PKEY *key = X509_get0_pubkey(signer);
    return key != NULL && is_self_issued(issuer) && X509_self_signed(issuer, 1) == 0 &&
           cannot_be_made_to_fit(key) && issued(signer, issuer);
}

est_crl_vouch est_crl_vouch_for(const est_question *question, X509 *signer)
{
    est_crl_vouch vouch = EST_CRL_VOUCH_NONE;
    const X509_NAME *name = X509_get_subject_name(question->issuer);
    ERR_set_mark();
    if (X509_NAME_cmp(X509_get_subject_name(signer), name) != 0 || !is_sound(question, signer))
        vouch = EST_CRL_VOUCH_NONE;
    else if (is_self_issued(signer) && issued(question->issuer, signer))
        vouch = est_certificate_is_ca(signer) ? EST_CRL_VOUCH_SAME_CA : EST_CRL_VOUCH_ISSUED;
    else if (stands_above(signer, question->issuer))
        vouch = EST_CRL_VOUCH_SAME_CA;
    ERR_pop_to_mark();
    return vouch;
}
