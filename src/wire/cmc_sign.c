/* The SignedData around PKIData (RFC 5272 3.2), by OpenSSL's CMS. */
#include "wire/csr_parts.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#define PKI_DATA       "1.3.6.1.5.5.7.12.2" /* id-cct-PKIData */
#define KEY_IDENTIFIER "2.5.29.14"

static estuary_status finish(CMS_ContentInfo *cms, const uint8_t *content, size_t content_len, uint8_t **out,
                             size_t *len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int size = 0;
    unsigned char *der = NULL;
    BIO *in = est_size_to_int(content_len, &size) ? BIO_new_mem_buf(content, size) : NULL;
    if (in == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (CMS_final(cms, in, NULL, CMS_BINARY) != 1)
        EST_FAIL_OPENSSL(EST_KEY, "the key cannot sign the CMC request");
    size = i2d_CMS_ContentInfo(cms, &der);
    if (size <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    *out = der;
    *len = (size_t)size;
cleanup:
    BIO_free(in);
    return status;
}

/* flags: CMS_USE_KEYID and CMS_NOCERTS when the certificate only stands in for a key */
static estuary_status sign(const uint8_t *content, size_t content_len, const est_cmc_signer *signer,
                           unsigned flags, uint8_t **out, size_t *len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CMS_ContentInfo *cms = NULL;
    ASN1_OBJECT *type = NULL;
    *out = NULL;
    *len = 0;
    if (!EVP_PKEY_is_a(signer->key, "EC") && !EVP_PKEY_is_a(signer->key, "RSA") &&
        !EVP_PKEY_is_a(signer->key, "RSA-PSS"))
        EST_FAIL(EST_UNSUPPORTED, "CMS messages can be signed with RSA and EC keys only");
    type = OBJ_txt2obj(PKI_DATA, 1);
    cms = CMS_sign(NULL, NULL, (STACK_OF(X509) *)signer->chain, NULL, CMS_PARTIAL | CMS_BINARY);
    if (type == NULL || cms == NULL || CMS_set1_eContentType(cms, type) != 1)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (CMS_add1_signer(cms, signer->certificate, signer->key, EVP_sha256(), flags | CMS_NOSMIMECAP) == NULL)
        EST_FAIL_OPENSSL(EST_KEY, "the CMC request cannot be signed with this certificate and key");
    EST_TRY(finish(cms, content, content_len, out, len, err));
cleanup:
    ASN1_OBJECT_free(type);
    CMS_ContentInfo_free(cms);
    return status;
}

estuary_status est_cmc_sign(const uint8_t *content, size_t content_len, const est_cmc_signer *signer,
                            uint8_t **out, size_t *len, estuary_error *err)
{
    return sign(content, content_len, signer, 0, out, len, err);
}

/* The extension a request asks for; NULL without one. Owned by *extensions. */
static X509_EXTENSION *key_identifier(const X509_REQ *request, X509_EXTENSIONS **extensions)
{
    *extensions = NULL;
    if (!est_request_extensions(request, extensions))
        return NULL;
    int at = X509v3_get_ext_by_NID(*extensions, NID_subject_key_identifier, -1);
    return at < 0 ? NULL : sk_X509_EXTENSION_value(*extensions, at);
}

/* OpenSSL names a signer only through a certificate: this one never leaves the house. */
static estuary_status stand_in(const X509_REQ *request, EVP_PKEY *key, X509 **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    X509_EXTENSIONS *extensions = NULL;
    X509 *certificate = NULL;
    X509_EXTENSION *identifier = key_identifier(request, &extensions);
    if (identifier == NULL)
        EST_FAIL(EST_USAGE, "a CMC request signed with its own key needs a subjectKeyIdentifier in the CSR "
                            "(RFC 5272 3.2); a client certificate would do, too");
    certificate = X509_new();
    if (certificate == NULL || X509_set_version(certificate, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), 1) != 1 ||
        ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20000101000000Z") != 1 ||
        ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20000101000000Z") != 1 ||
        X509_set_pubkey(certificate, key) != 1 || X509_add_ext(certificate, identifier, -1) != 1)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    *out = certificate;
    certificate = NULL;
cleanup:
    X509_free(certificate);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return status;
}

estuary_status est_cmc_sign_with_request_key(const uint8_t *content, size_t content_len,
                                             const X509_REQ *request, EVP_PKEY *key, uint8_t **out,
                                             size_t *len, estuary_error *err)
{
    est_cmc_signer signer = {.key = key};
    *out = NULL;
    *len = 0;
    estuary_status status = stand_in(request, key, &signer.certificate, err);
    if (status == ESTUARY_OK)
        status = sign(content, content_len, &signer, CMS_USE_KEYID | CMS_NOCERTS, out, len, err);
    X509_free(signer.certificate);
    return status;
}

/* RFC 5280 4.2.1.2 (1): SHA-1 of the key's bits; a name, not a protection */
static estuary_status identifier_of(const EVP_PKEY *key, uint8_t out[SHA_DIGEST_LENGTH], estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    X509_PUBKEY *public_key = NULL;
    const unsigned char *bits = NULL;
    int len = 0;
    size_t size = 0, bits_len = 0;
    if (X509_PUBKEY_set(&public_key, (EVP_PKEY *)key) != 1 ||
        X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, public_key) != 1 || !est_int_to_size(len, &bits_len))
        EST_FAIL_OPENSSL(EST_KEY, "the key's public half cannot be put into a request");
    if (EVP_Q_digest(NULL, "SHA1", NULL, bits, bits_len, out, &size) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
cleanup:
    X509_PUBKEY_free(public_key);
    return status;
}

estuary_status est_cmc_add_key_identifier(estuary_csr *csr, const EVP_PKEY *key, estuary_error *err)
{
    uint8_t der[2 + SHA_DIGEST_LENGTH] = {V_ASN1_OCTET_STRING, SHA_DIGEST_LENGTH};
    if (X509v3_get_ext_by_NID(csr->extensions, NID_subject_key_identifier, -1) >= 0)
        return ESTUARY_OK;
    estuary_status status = identifier_of(key, der + 2, err);
    return status == ESTUARY_OK ? estuary_csr_add_extension(csr, KEY_IDENTIFIER, false, der, sizeof(der), err)
                                : status;
}
