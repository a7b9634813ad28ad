#include "wire/csr_parts.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <string.h>

/* RFC 5280 4.2.1.6: without a subject the subjectAltName is critical */
static estuary_status mark_san(const estuary_csr *csr, X509_EXTENSIONS *extensions, estuary_error *err)
{
    int at = X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1);
    if (at < 0 || X509_NAME_entry_count(csr->subject) > 0)
        return ESTUARY_OK;
    if (X509_EXTENSION_set_critical(sk_X509_EXTENSION_value(extensions, at), 1) != 1)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    return ESTUARY_OK;
}

static estuary_status add_extensions(const estuary_csr *csr, X509_REQ *request, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (sk_X509_EXTENSION_num(csr->extensions) <= 0)
        return ESTUARY_OK;
    X509_EXTENSIONS *copy =
        sk_X509_EXTENSION_deep_copy(csr->extensions, X509_EXTENSION_dup, X509_EXTENSION_free);
    if (copy == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(mark_san(csr, copy, err));
    if (X509_REQ_add_extensions(request, copy) != 1)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
cleanup:
    sk_X509_EXTENSION_pop_free(copy, X509_EXTENSION_free);
    return status;
}

/* RFC 2985 5.4.1, RFC 7030 3.5: PrintableString where it fits (base64 does), else UTF8String */
static estuary_status add_challenge(const estuary_csr *csr, X509_REQ *request, estuary_error *err)
{
    int len = 0;
    if (csr->challenge == NULL)
        return ESTUARY_OK;
    const uint8_t *text = (const uint8_t *)csr->challenge;
    if (!est_size_to_int(csr->challenge_len, &len))
        return est_fail(err, EST_USAGE, NULL);
    bool printable = ASN1_PRINTABLE_type(text, len) == V_ASN1_PRINTABLESTRING;
    if (X509_REQ_add1_attr_by_NID(request, NID_pkcs9_challengePassword,
                                  printable ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING, text, len) != 1)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    return ESTUARY_OK;
}

static bool text_is(const EVP_PKEY *key, const char *parameter, const char *expected)
{
    char text[32] = "";
    return EVP_PKEY_get_utf8_string_param(key, parameter, text, sizeof(text), NULL) == 1 &&
           strcmp(text, expected) == 0;
}

/* The curve of a key of OpenSSL's own providers whose encoding has no choices; else NID_undef. */
static int plain_curve(const EVP_PKEY *key)
{
    char group[64] = "";
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get0_provider(key) == NULL)
        return NID_undef;
    const char *provider = OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key));
    if (provider == NULL || (strcmp(provider, "default") != 0 && strcmp(provider, "fips") != 0) ||
        EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) != 1 ||
        !text_is(key, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP) ||
        !text_is(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                 OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED))
        return NID_undef;
    return OBJ_sn2nid(group);
}

/*
 * RFC 5480 2: the point as it stands. X509_REQ_set_pubkey() encodes the key and reads it again, which is two
 * million instructions of OpenSSL 3.0's encoders and decoders. false: that is the way.
 */
static bool put_point(EVP_PKEY *key, X509_REQ *request)
{
    int len = 0, curve = plain_curve(key);
    unsigned char *point = NULL;
    if (curve == NID_undef || OBJ_nid2obj(curve) == NULL)
        return false;
    size_t size = EVP_PKEY_get1_encoded_public_key(key, &point);
    if (size > 1 && point[0] == POINT_CONVERSION_UNCOMPRESSED && est_size_to_int(size, &len) &&
        X509_PUBKEY_set0_param(X509_REQ_get_X509_PUBKEY(request), OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
                               V_ASN1_OBJECT, OBJ_nid2obj(curve), point, len) == 1)
        return true;
    OPENSSL_free(point);
    return false;
}

static bool put_key(EVP_PKEY *key, X509_REQ *request, bool *unread)
{
    if (unread != NULL) {
        ERR_set_mark();
        *unread = put_point(key, request);
        ERR_pop_to_mark();
        if (*unread)
            return true;
    }
    return X509_REQ_set_pubkey(request, key) == 1;
}

static estuary_status fill(const estuary_csr *csr, EVP_PKEY *key, X509_REQ *request, bool *unread,
                           estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_subject_name(request, csr->subject) != 1)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (!put_key(key, request, unread))
        EST_FAIL_OPENSSL(EST_KEY, "the key's public half cannot be put into a request");
    EST_TRY(add_extensions(csr, request, err));
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(csr->attributes); i++)
        if (X509_REQ_add1_attr(request, sk_X509_ATTRIBUTE_value(csr->attributes, i)) != 1)
            EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(add_challenge(csr, request, err));
cleanup:
    return status;
}

/* false: the key signs without a separate digest (Ed25519, Ed448). */
static bool digest_for(const estuary_csr *csr, const EVP_PKEY *key, char *name, size_t size)
{
    int bits = EVP_PKEY_get_bits(key);
    bool rsa = EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS");
    const char *wanted = NULL;
    if (EVP_PKEY_get_default_digest_name((EVP_PKEY *)key, name, size) == 2) /* 2: no other one will do */
        return strcmp(name, "UNDEF") != 0 && *name != '\0';
    if (csr->digest != NID_undef)
        wanted = OBJ_nid2sn(csr->digest);
    else if (EVP_PKEY_is_a(key, "EC"))
        wanted = bits > 384   ? "SHA512"
                 : bits > 256 ? "SHA384"
                              : "SHA256"; /* RFC 5753 and NIST pair them so */
    else if (rsa)
        wanted = "SHA256";
    else
        return EVP_PKEY_get_default_digest_name((EVP_PKEY *)key, name, size) > 0 && *name != '\0' &&
               strcmp(name, "UNDEF") != 0;
    return OPENSSL_strlcpy(name, wanted, size) < size;
}

static bool use_pss(const estuary_csr *csr, const EVP_PKEY *key, EVP_PKEY_CTX *context)
{
    if (!csr->pss || !EVP_PKEY_is_a(key, "RSA"))
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

static estuary_status sign(const estuary_csr *csr, EVP_PKEY *key, X509_REQ *request, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char digest[64] = "";
    EVP_PKEY_CTX *key_context = NULL; /* owned by context */
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    const char *name = digest_for(csr, key, digest, sizeof(digest)) ? digest : NULL;
    if (EVP_DigestSignInit_ex(context, &key_context, name, NULL, NULL, key, NULL) != 1 ||
        !use_pss(csr, key, key_context) || X509_REQ_sign_ctx(request, context) <= 0)
        EST_FAIL_OPENSSL(EST_KEY, "the key cannot sign the request");
    /* a key whose halves do not belong together signs, but nobody will believe it */
    if (X509_REQ_verify(request, key) != 1)
        EST_FAIL_OPENSSL(EST_KEY, "the key's signature does not verify with its own public half");
cleanup:
    EVP_MD_CTX_free(context);
    return status;
}

estuary_status est_csr_sign(const estuary_csr *csr, EVP_PKEY *key, X509_REQ **out, bool *unread,
                            estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    if (key == NULL)
        return est_fail(err, EST_USAGE, "a request needs a key");
    X509_REQ *request = X509_REQ_new();
    if (request == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(fill(csr, key, request, unread, err));
    EST_TRY(sign(csr, key, request, err));
    *out = request;
    request = NULL;
cleanup:
    X509_REQ_free(request);
    return status;
}

estuary_status estuary_csr_sign(const estuary_csr *csr, EVP_PKEY *key, X509_REQ **out, estuary_error *err)
{
    return est_csr_sign(csr, key, out, NULL, err);
}
