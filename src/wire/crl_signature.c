/* Who signed a CRL: hashed while it comes, verified once (RFC 5280 5.1.1.2, 5.1.1.3). */
#include "wire/crl_der.h"
#include "wire/crl_parts.h"
#include "wire/wire.h"

#include <openssl/err.h>
#include <openssl/objects.h>

#define SHA256_LEN 32

static EVP_MD *fetch_digest(int nid)
{
    const char *name = OBJ_nid2sn(nid);
    return name == NULL ? NULL : EVP_MD_fetch(NULL, name, NULL);
}

/* RFC 4055 5, RFC 5758 3.2, RFC 8410 3: NULL or nothing with RSA, nothing with the others. */
static bool parameters_fit(const X509_ALGOR *algorithm, const char *key_type)
{
    int type = V_ASN1_UNDEF;
    X509_ALGOR_get0(NULL, &type, NULL, algorithm);
    return type == V_ASN1_UNDEF || (type == V_ASN1_NULL && strcmp(key_type, "RSA") == 0);
}

/* RFC 4055 3.1: the default is MGF1 with SHA-1. */
static int mask_digest_nid(const RSA_PSS_PARAMS *pss)
{
    const ASN1_OBJECT *oid = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF, nid = NID_undef;
    if (pss->maskGenAlgorithm == NULL)
        return NID_sha1;
    X509_ALGOR_get0(&oid, &type, &value, pss->maskGenAlgorithm);
    if (OBJ_obj2nid(oid) != NID_mgf1 || type != V_ASN1_SEQUENCE)
        return NID_undef;
    X509_ALGOR *digest = ASN1_item_unpack(value, ASN1_ITEM_rptr(X509_ALGOR));
    if (digest != NULL)
        nid = OBJ_obj2nid(digest->algorithm);
    X509_ALGOR_free(digest);
    return nid;
}

/* -1: nothing that makes sense */
static int salt_length(const RSA_PSS_PARAMS *pss)
{
    int64_t salt = 20; /* RFC 4055 3.1: the default */
    if (pss->saltLength != NULL && ASN1_INTEGER_get_int64(&salt, pss->saltLength) != 1)
        return -1;
    return salt < 0 || salt > 1024 ? -1 : (int)salt;
}

static bool trailer_is_usual(const RSA_PSS_PARAMS *pss)
{
    int64_t trailer = 1;
    return pss->trailerField == NULL ||
           (ASN1_INTEGER_get_int64(&trailer, pss->trailerField) == 1 && trailer == 1);
}

static estuary_status begin_pss(est_crl_signature *signature, const X509_ALGOR *algorithm, estuary_error *err)
{
    int type = V_ASN1_UNDEF, nid = NID_sha1;
    const void *value = NULL;
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    if (type == V_ASN1_SEQUENCE)
        signature->pss = ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
    const RSA_PSS_PARAMS *pss = signature->pss;
    if (pss == NULL)
        return est_fail_openssl(err, EST_CRL_MALFORMED, "the CRL's RSASSA-PSS parameters cannot be read");
    if (pss->hashAlgorithm != NULL)
        nid = OBJ_obj2nid(pss->hashAlgorithm->algorithm);
    int mask_nid = mask_digest_nid(pss);
    signature->salt_len = salt_length(pss);
    if (mask_nid == NID_undef || signature->salt_len < 0 || !trailer_is_usual(pss))
        return est_fail(err, EST_CRL_ALGORITHM, "the CRL's RSASSA-PSS parameters are not usual ones");
    if (est_signature_is_weak(nid) || est_signature_is_weak(mask_nid))
        return est_fail(err, EST_CRL_WEAK_SIGNATURE, NULL);
    signature->key_type = "RSA";
    signature->digest = fetch_digest(nid);
    signature->mask_digest = fetch_digest(mask_nid);
    if (signature->digest == NULL || signature->mask_digest == NULL)
        return est_fail_openssl(err, EST_CRL_ALGORITHM, NULL);
    return ESTUARY_OK;
}

static const char *key_type_of(int key_nid)
{
    switch (key_nid) {
    case NID_rsaEncryption:
        return "RSA";
    case NID_X9_62_id_ecPublicKey:
        return "EC";
    case NID_ED25519:
        return "ED25519";
    case NID_ED448:
        return "ED448";
    default:
        return NULL;
    }
}

static estuary_status begin_algorithm(est_crl_signature *signature, const X509_ALGOR *algorithm,
                                      estuary_error *err)
{
    const ASN1_OBJECT *oid = NULL;
    int digest_nid = NID_undef, key_nid = NID_undef;
    X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    int nid = OBJ_obj2nid(oid);
    if (nid == NID_rsassaPss)
        return begin_pss(signature, algorithm, err);
    if (OBJ_find_sigid_algs(nid, &digest_nid, &key_nid) != 1)
        return est_fail(err, EST_CRL_ALGORITHM, NULL);
    if (est_signature_is_weak(nid))
        return est_fail(err, EST_CRL_WEAK_SIGNATURE, NULL);
    signature->key_type = key_type_of(key_nid);
    if (signature->key_type == NULL)
        return est_fail(err, EST_CRL_ALGORITHM, NULL);
    if (!parameters_fit(algorithm, signature->key_type))
        return est_fail(err, EST_CRL_MALFORMED,
                        "the CRL's signature algorithm has parameters it cannot have");
    if (digest_nid == NID_undef)
        return ESTUARY_OK; /* EdDSA hashes the message twice, the second time after knowing all of it */
    signature->digest = fetch_digest(digest_nid);
    return signature->digest == NULL ? est_fail_openssl(err, EST_CRL_ALGORITHM, NULL) : ESTUARY_OK;
}

estuary_status est_crl_signature_begin(est_crl_signature *signature, const uint8_t *der, size_t len,
                                       estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const uint8_t *at = der;
    long length;
    X509_ALGOR *algorithm = est_size_to_long(len, &length) ? d2i_X509_ALGOR(NULL, &at, length) : NULL;
    if (algorithm == NULL || at != der + len)
        EST_FAIL_OPENSSL(EST_CRL_MALFORMED, "the CRL's signature algorithm cannot be read");
    EST_TRY(begin_algorithm(signature, algorithm, err));
    signature->algorithm = OPENSSL_memdup(der, len);
    signature->algorithm_len = len;
    signature->hash = EVP_MD_CTX_new();
    if (signature->algorithm == NULL || signature->hash == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    if (signature->digest != NULL && EVP_DigestInit_ex2(signature->hash, signature->digest, NULL) != 1)
        EST_FAIL_OPENSSL(EST_CRL_ALGORITHM, NULL);

cleanup:
    X509_ALGOR_free(algorithm);
    return status;
}

static estuary_status keep(est_crl_signature *signature, const uint8_t *tbs, size_t len, estuary_error *err)
{
    switch (est_buf_append(&signature->tbs, tbs, len)) {
    case EST_APPEND_OK:
        return ESTUARY_OK;
    case EST_APPEND_TOO_LARGE:
        return est_fail(err, EST_CRL_TOO_LARGE, NULL);
    default:
        return est_fail_memory(err);
    }
}

estuary_status est_crl_signature_update(est_crl_signature *signature, const uint8_t *tbs, size_t len,
                                        estuary_error *err)
{
    /* Before the algorithm is known, and with EdDSA, nothing can be hashed. */
    if (signature->digest == NULL)
        return keep(signature, tbs, len, err);
    if (signature->tbs.len > 0 &&
        EVP_DigestUpdate(signature->hash, signature->tbs.data, signature->tbs.len) != 1)
        return est_fail_openssl(err, EST_CRL_ALGORITHM, NULL);
    signature->tbs.len = 0;
    if (EVP_DigestUpdate(signature->hash, tbs, len) != 1)
        return est_fail_openssl(err, EST_CRL_ALGORITHM, NULL);
    return ESTUARY_OK;
}

/* RFC 5280 5.1.1.2: MUST contain the same algorithm identifier. */
bool est_crl_signature_is_same_algorithm(const est_crl_signature *signature, const uint8_t *der, size_t len)
{
    return len == signature->algorithm_len && memcmp(der, signature->algorithm, len) == 0;
}

estuary_status est_crl_signature_set_value(est_crl_signature *signature, const uint8_t *der, size_t len,
                                           estuary_error *err)
{
    const uint8_t *at = der, *body;
    size_t body_len;
    if (!der_take(&at, der + len, DER_BIT_STRING, &body, &body_len) || body_len < 2 || body[0] != 0)
        return est_fail(err, EST_CRL_MALFORMED, "the CRL's signature is not a string of whole bytes");
    signature->value = OPENSSL_memdup(body + 1, body_len - 1);
    signature->value_len = body_len - 1;
    return signature->value == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

static bool set_up_rsa(const est_crl_signature *signature, EVP_PKEY_CTX *context)
{
    if (signature->pss == NULL)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, signature->mask_digest) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, signature->salt_len) == 1;
}

static bool verify_digest(const est_crl_signature *signature, EVP_PKEY *key)
{
    bool is_good = false;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (context == NULL || EVP_PKEY_verify_init(context) != 1)
        goto cleanup;
    if (strcmp(signature->key_type, "RSA") == 0 && !set_up_rsa(signature, context))
        goto cleanup;
    if (EVP_PKEY_CTX_set_signature_md(context, signature->digest) != 1)
        goto cleanup;
    is_good = EVP_PKEY_verify(context, signature->value, signature->value_len, signature->of_tbs,
                              signature->of_tbs_len) == 1;

cleanup:
    EVP_PKEY_CTX_free(context);
    return is_good;
}

static bool verify_message(const est_crl_signature *signature, EVP_PKEY *key)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                   EVP_DigestVerify(context, signature->value, signature->value_len, signature->tbs.data,
                                    signature->tbs.len) == 1;
    EVP_MD_CTX_free(context);
    return is_good;
}

static bool is_signed_by(const est_crl_signature *signature, const X509 *signer)
{
    EVP_PKEY *key = X509_get0_pubkey(signer);
    if (key == NULL)
        return false;
    /* RFC 4055 1.2: a key for RSASSA-PSS alone serves nothing else */
    if (!EVP_PKEY_is_a(key, signature->key_type) &&
        !(signature->pss != NULL && EVP_PKEY_is_a(key, "RSA-PSS")))
        return false;
    return signature->digest == NULL ? verify_message(signature, key) : verify_digest(signature, key);
}

/* What was verified, in 32 bytes and without hashing it all again. */
static bool make_digest(est_crl_signature *signature, uint8_t digest[SHA256_LEN])
{
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MD_CTX *hash = signature->hash;
    const uint8_t *tbs = signature->digest == NULL ? signature->tbs.data : signature->of_tbs;
    size_t tbs_len = signature->digest == NULL ? signature->tbs.len : signature->of_tbs_len;
    bool done = sha256 != NULL && EVP_DigestInit_ex2(hash, sha256, NULL) == 1 &&
                EVP_DigestUpdate(hash, tbs, tbs_len) == 1 &&
                EVP_DigestUpdate(hash, signature->algorithm, signature->algorithm_len) == 1 &&
                EVP_DigestUpdate(hash, signature->value, signature->value_len) == 1 &&
                EVP_DigestFinal_ex(hash, digest, NULL) == 1;
    EVP_MD_free(sha256);
    return done;
}

estuary_status est_crl_signature_verify(est_crl_signature *signature, const X509_NAME *issuer,
                                        const STACK_OF(X509) *signers, X509 **signer,
                                        uint8_t digest[SHA256_LEN], estuary_error *err)
{
    int named = 0;
    if (signature->digest != NULL &&
        EVP_DigestFinal_ex(signature->hash, signature->of_tbs, &signature->of_tbs_len) != 1)
        return est_fail_openssl(err, EST_CRL_ALGORITHM, NULL);
    for (int i = 0; *signer == NULL && i < sk_X509_num(signers); i++) {
        X509 *candidate = sk_X509_value(signers, i);
        if (X509_NAME_cmp(X509_get_subject_name(candidate), issuer) != 0)
            continue;
        named++;
        if (is_signed_by(signature, candidate) && X509_up_ref(candidate) == 1)
            *signer = candidate;
    }
    ERR_clear_error();
    if (*signer == NULL)
        return est_fail(err, named == 0 ? EST_CRL_NO_SIGNER : EST_CRL_SIGNATURE, NULL);
    return make_digest(signature, digest) ? ESTUARY_OK : est_fail_openssl(err, EST_CRL_ALGORITHM, NULL);
}

void est_crl_signature_clear(est_crl_signature *signature)
{
    OPENSSL_free(signature->algorithm);
    OPENSSL_free(signature->value);
    EVP_MD_free(signature->digest);
    EVP_MD_free(signature->mask_digest);
    RSA_PSS_PARAMS_free(signature->pss);
    EVP_MD_CTX_free(signature->hash);
    est_buf_free(&signature->tbs);
}
