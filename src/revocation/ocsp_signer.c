/*
 * Who signed an OCSP response, and may they speak for the certificate's issuer? (R1, RFC 6960 4.2.2.2)
 *
 * The issuer itself, or a delegate: a certificate with id-kp-OCSPSigning that the very key which signed the
 * certificate in question has signed too. Nobody else: no other CA, no chain, no configured responder.
 */
#include "revocation/ocsp.h"

#include <openssl/err.h>
#include <string.h>

#define SECURE_BITS    112 /* as everywhere: OpenSSL's security level 2 */
#define CERTS_MAX      16  /* in a response; responders send one */
#define CANDIDATES_MAX 4   /* whose signature is looked at: it is the responder who makes us do it */
#define OCSP_SIGNING   "1.3.6.1.5.5.7.3.9"

/* RFC 6960 4.2.1: KeyHash is SHA-1 of the key's BIT STRING without tag, length and unused bits. */
static bool has_key_hash(const X509 *certificate, const ASN1_OCTET_STRING *hash)
{
    unsigned char own[EVP_MAX_MD_SIZE];
    size_t size = 0;
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(certificate);
    if (bits == NULL || EVP_Q_digest(NULL, "SHA1", NULL, ASN1_STRING_get0_data(bits),
                                     (size_t)ASN1_STRING_length(bits), own, &size) != 1)
        return false;
    return size == (size_t)ASN1_STRING_length(hash) && memcmp(own, ASN1_STRING_get0_data(hash), size) == 0;
}

/* RFC 6960 4.2.2.3: the ResponderID must be the signer's. */
static bool is_named(const OCSP_BASICRESP *basic, const X509 *certificate)
{
    const ASN1_OCTET_STRING *hash = NULL;
    const X509_NAME *name = NULL;
    if (OCSP_resp_get0_id(basic, &hash, &name) != 1)
        return false;
    if (name != NULL)
        return X509_NAME_cmp(name, X509_get_subject_name(certificate)) == 0;
    return hash != NULL && has_key_hash(certificate, hash);
}

/* --- the signature --- */

/* What the verification was really done with, PSS parameters and all. */
static bool digest_is_weak(const est_question *question, const EVP_MD_CTX *ctx, const EVP_PKEY *key)
{
    const EVP_MD *digest = EVP_MD_CTX_get0_md(ctx);
    int type = EVP_PKEY_get_id(key);
    if (type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448)
        return false; /* the digest is part of them */
    if (digest == NULL)
        return true;
    if (question->insecure_sha1 && EVP_MD_is_a(digest, "SHA1"))
        return false;
    return EVP_MD_get_size(digest) * 4 <
           SECURE_BITS; /* half the bits: collisions, for a nonce is ours to choose */
}

static estuary_status verify(const est_question *question, const OCSP_BASICRESP *basic, EVP_PKEY *key,
                             estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (key == NULL)
        EST_FAIL_OPENSSL(EST_OCSP_SIGNER, "the key of the OCSP response's signer cannot be read");
    if (ctx == NULL || key_ctx == NULL)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    EVP_MD_CTX_set_pkey_ctx(ctx, key_ctx);
    if (ASN1_item_verify_ctx(ASN1_ITEM_rptr(OCSP_RESPDATA), OCSP_resp_get0_tbs_sigalg(basic),
                             OCSP_resp_get0_signature(basic), OCSP_resp_get0_respdata(basic), ctx) != 1)
        EST_FAIL_OPENSSL(EST_OCSP_SIGNATURE, NULL);
    if (digest_is_weak(question, ctx, key))
        EST_FAIL(EST_OCSP_WEAK, NULL);
cleanup:
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_CTX_free(key_ctx);
    return status;
}

/* --- a delegate's authority --- */

/* RFC 6960 4.2.2.2: issued directly, and signed by the same key as the certificate being checked. */
static estuary_status check_issued(const est_question *question, X509 *delegate, estuary_error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(question->issuer);
    if (key == NULL ||
        X509_NAME_cmp(X509_get_issuer_name(delegate), X509_get_subject_name(question->issuer)) != 0)
        return est_fail(err, EST_OCSP_SIGNER,
                        "the OCSP response's signer was not certified by the certificate's issuer");
    if (X509_verify(delegate, key) != 1)
        return est_fail_openssl(
            err, EST_OCSP_SIGNER,
            "the OCSP response's signer names the certificate's issuer, which did not sign "
            "its certificate");
    return ESTUARY_OK;
}

/* RFC 5280 4.2.1.12: digitalSignature and nonRepudiation go with id-kp-OCSPSigning. */
static estuary_status check_purpose(X509 *delegate, estuary_error *err)
{
    uint32_t flags = X509_get_extension_flags(delegate);
    if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
        return est_fail(err, EST_OCSP_SIGNER,
                        "the certificate of the OCSP response's signer is broken or has a critical extension "
                        "that is not understood");
    if (!est_certificate_lists_purpose(delegate, OCSP_SIGNING))
        return est_fail(err, EST_OCSP_SIGNER,
                        "the certificate of the OCSP response's signer is not meant for it: no "
                        "id-kp-OCSPSigning");
    if ((flags & EXFLAG_KUSAGE) != 0 &&
        (X509_get_key_usage(delegate) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0)
        return est_fail(err, EST_OCSP_SIGNER,
                        "the keyUsage of the OCSP response's signer does not allow signatures");
    return ESTUARY_OK;
}

static bool is_in_time(const est_question *question, const X509 *delegate, time_t *ends)
{
    time_t begins = 0;
    return est_asn1_time(X509_get0_notBefore(delegate), &begins) &&
           est_asn1_time(X509_get0_notAfter(delegate), ends) && begins <= question->now + question->skew &&
           *ends >= question->now - question->skew;
}

static estuary_status check_strength(const est_question *question, X509 *delegate, estuary_error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(delegate);
    if (key == NULL || EVP_PKEY_get_security_bits(key) < SECURE_BITS ||
        (!question->insecure_sha1 && est_certificate_signature_is_weak(delegate)))
        return est_fail(err, EST_OCSP_WEAK,
                        "the OCSP response's signer has a weak key, or a certificate with a weak signature");
    return ESTUARY_OK;
}

static estuary_status check_delegate(const est_question *question, X509 *delegate, time_t *ends,
                                     estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (X509_cmp(delegate, question->certificate) == 0)
        EST_FAIL(EST_OCSP_SIGNER, "the OCSP response is signed by the certificate that it is about");
    EST_TRY(check_issued(question, delegate, err));
    EST_TRY(check_purpose(delegate, err));
    EST_TRY(check_strength(question, delegate, err));
    if (!is_in_time(question, delegate, ends))
        EST_FAIL(EST_OCSP_SIGNER,
                 "the certificate of the OCSP response's signer is expired, or not valid yet");
cleanup:
    return status;
}

/* --- finding the signer --- */

static estuary_status try_delegate(const est_question *question, const OCSP_BASICRESP *basic, X509 *delegate,
                                   est_ocsp_signer *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    time_t ends = 0;
    EST_TRY(check_delegate(question, delegate, &ends, err));
    EST_TRY(verify(question, basic, X509_get0_pubkey(delegate), err));
    if (X509_up_ref(delegate) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    out->delegate = delegate;
    out->ends = ends;
    out->no_check = X509_get_ext_by_NID(delegate, NID_id_pkix_OCSP_noCheck, -1) >= 0;
cleanup:
    return status;
}

/* Several certificates may bear the same name; when none will do, the last one's flaw is told. */
static estuary_status try_delegates(const est_question *question, const OCSP_BASICRESP *basic,
                                    est_ocsp_signer *out, estuary_status status, estuary_error *err)
{
    const STACK_OF(X509) *certs = OCSP_resp_get0_certs(basic);
    const EVP_PKEY *known = X509_get0_pubkey(question->issuer);
    int tried = 0;
    if (sk_X509_num(certs) > CERTS_MAX)
        return est_fail(err, EST_OCSP_MALFORMED, "the OCSP response comes with too many certificates");
    for (int i = 0; i < sk_X509_num(certs) && status != ESTUARY_OK && tried < CANDIDATES_MAX; i++) {
        X509 *one = sk_X509_value(certs, i);
        const EVP_PKEY *key = X509_get0_pubkey(one);
        if (!is_named(basic, one) || (key != NULL && known != NULL && EVP_PKEY_eq(key, known) == 1))
            continue;
        tried++;
        status = try_delegate(question, basic, one, out, err);
        if (status == ESTUARY_E_MEMORY)
            break;
    }
    return status;
}

estuary_status est_ocsp_signer_find(const est_question *question, OCSP_BASICRESP *basic, est_ocsp_signer *out,
                                    estuary_error *err)
{
    estuary_status status;
    *out = (est_ocsp_signer){0};
    if (is_named(basic, question->issuer))
        status = verify(question, basic, X509_get0_pubkey(question->issuer), err);
    else
        status =
            est_fail(err, EST_OCSP_SIGNER,
                     "the OCSP response is signed by somebody else than the certificate's issuer, and does "
                     "not come with a certificate for that");
    /* a delegate may bear the CA's own name: nothing forbids it */
    if (est_error_code_of(err) == EST_OCSP_SIGNATURE || est_error_code_of(err) == EST_OCSP_SIGNER)
        status = try_delegates(question, basic, out, status, err);
    return status;
}

void est_ocsp_signer_clear(est_ocsp_signer *signer)
{
    X509_free(signer->delegate);
    *signer = (est_ocsp_signer){0};
}
