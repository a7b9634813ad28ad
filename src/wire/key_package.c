/* The private key that a server made (E9, RFC 7030 4.4.2): PKCS#8, or an asymmetric key package in CMS. */
#include "wire/wire.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define KEY_PACKAGE  "2.16.840.1.101.2.1.2.78.5" /* RFC 5958 3: id-ct-KP-aKeyPackage */
#define KEY_BITS_MAX 8192 /* the check of a larger RSA key takes longer than anybody waits */
#define TAG_BROKEN   0x80 /* of ASN1_get_object() */

typedef struct tlv {
    const uint8_t *start, *content, *end;
    int tag, class;
} tlv;

/* One element in DER at *at; false when it is broken. */
static bool take(const uint8_t **at, const uint8_t *end, tlv *out)
{
    long len = 0;
    const unsigned char *p = *at;
    if (p >= end)
        return false;
    out->start = p;
    int result = ASN1_get_object(&p, &len, &out->tag, &out->class, end - p);
    if ((result & (TAG_BROKEN | 1)) != 0) /* 1: of indefinite length */
        return false;
    out->content = p;
    out->end = p + len;
    *at = out->end;
    return true;
}

/*
 * RFC 5958 2: OneAsymmetricKey of version 2 ends in [1] publicKey, which OpenSSL 3.0 does not read. Without
 * it and under a header of the same kind it is a PrivateKeyInfo. *out is a copy, freed with
 * est_free_secret().
 */
static bool without_public_key(const uint8_t *der, size_t len, uint8_t **out, size_t *out_len)
{
    tlv whole, part;
    const uint8_t *at = der;
    *out = NULL;
    if (!take(&at, der + len, &whole) || at != der + len)
        return false;
    const uint8_t *end = whole.end;
    for (at = whole.content; at < whole.end;) {
        if (!take(&at, whole.end, &part))
            return false;
        if (part.class == V_ASN1_CONTEXT_SPECIFIC && part.tag == 1 && end == whole.end)
            end = part.start;
    }
    long size = end - whole.content;
    uint8_t *copy = est_alloc((size_t)size + 8);
    if (copy == NULL)
        return false;
    unsigned char *p = copy;
    ASN1_put_object(&p, 1, (int)size, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    memcpy(p, whole.content, (size_t)size);
    *out = copy;
    *out_len = (size_t)(p - copy) + (size_t)size;
    return true;
}

static EVP_PKEY *read_pkcs8(const uint8_t *der, size_t len)
{
    const unsigned char *p = der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
    EVP_PKEY *key = info != NULL && p == der + len ? EVP_PKCS82PKEY_ex(info, NULL, NULL) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info); /* wipes */
    return key;
}

/* An EC key may carry any public half: it is believed only after this. */
static estuary_status check_pair(EVP_PKEY *key, estuary_error *err)
{
    if (EVP_PKEY_get_bits(key) > KEY_BITS_MAX)
        return est_fail(err, EST_PROTOCOL_KEY_FORMAT, "the private key in the server's answer is too large");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (context == NULL)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    bool good = EVP_PKEY_pairwise_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return good ? ESTUARY_OK : est_fail_openssl(err, EST_PROTOCOL_KEY_PAIR, NULL);
}

estuary_status est_pkcs8_parse(const uint8_t *der, size_t len, EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t *plain = NULL;
    size_t plain_len = 0;
    EVP_PKEY *key = NULL;
    *out = NULL;
    ERR_clear_error();
    if (!without_public_key(der, len, &plain, &plain_len) || (key = read_pkcs8(plain, plain_len)) == NULL)
        EST_FAIL_OPENSSL(EST_PROTOCOL_KEY_FORMAT, NULL);
    EST_TRY(check_pair(key, err));
    *out = key;
    key = NULL;

cleanup:
    est_free_secret(plain, plain_len);
    EVP_PKEY_free(key);
    return status;
}

void est_key_package_free(CMS_ContentInfo *signed_data)
{
    ASN1_OCTET_STRING **content = signed_data == NULL ? NULL : CMS_get0_content(signed_data);
    if (content != NULL && *content != NULL && ASN1_STRING_length(*content) > 0)
        OPENSSL_cleanse((void *)ASN1_STRING_get0_data(*content), (size_t)ASN1_STRING_length(*content));
    CMS_ContentInfo_free(signed_data);
}

static CMS_ContentInfo *read_cms(const uint8_t *der, size_t len)
{
    long size = 0;
    const unsigned char *p = der;
    CMS_ContentInfo *cms = est_size_to_long(len, &size) ? d2i_CMS_ContentInfo(NULL, &p, size) : NULL;
    if (cms != NULL && p == der + len)
        return cms;
    est_key_package_free(cms);
    return NULL;
}

/* One sentence for whatever goes wrong in here, so that nobody learns where it went wrong. */
static bool decrypt(CMS_ContentInfo *cms, const est_decrypt *how, BIO *out)
{
    size_t len = 0;
    const char *secret = estuary_secret_get0(how->secret, &len);
    int size = 0;
    if (!est_size_to_int(len, &size))
        return false;
    if (how->method == EST_DECRYPT_KEK &&
        CMS_decrypt_set1_key(cms, (unsigned char *)secret, len, how->id, how->id_len) != 1)
        return false;
    if (how->method == EST_DECRYPT_PASSWORD &&
        CMS_decrypt_set1_password(cms, (unsigned char *)secret, size) != 1)
        return false;
    /* with a wrong RSA key this goes on with a random one (RFC 3218): it shows as a padding error, or as
     * garbage */
    return CMS_decrypt(cms, how->key, NULL, NULL, out, CMS_BINARY) == 1;
}

/* OpenSSL's reason ("bad decrypt") would tell where it went wrong; a word of our own (a token's PIN) stays.
 */
static estuary_status undecryptable(estuary_error *err)
{
    estuary_status status = est_fail_openssl(err, EST_PROTOCOL_KEY_DECRYPT, NULL);
    if (status == ESTUARY_E_PROTOCOL)
        est_error_set_detail(err, "%s", "");
    return status;
}

static estuary_status open_envelope(const uint8_t *der, size_t len, const est_decrypt *how, BIO *plain,
                                    estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CMS_ContentInfo *cms = read_cms(der, len);
    int type = cms == NULL ? NID_undef : OBJ_obj2nid(CMS_get0_type(cms));
    if (type != NID_pkcs7_enveloped && type != NID_id_smime_ct_authEnvelopedData)
        EST_FAIL_OPENSSL(EST_PROTOCOL_KEY_ENVELOPE, NULL);
    EST_TRY(est_key_envelope_check(cms, der, len, how, err));
    if (!decrypt(cms, how, plain))
        EST_TRY(undecryptable(err));

cleanup:
    CMS_ContentInfo_free(cms);
    return status;
}

static bool is_key_package(const CMS_ContentInfo *cms)
{
    char oid[64];
    const ASN1_OBJECT *type = CMS_get0_eContentType((CMS_ContentInfo *)cms);
    return type != NULL && OBJ_obj2txt(oid, sizeof(oid), type, 1) > 0 && strcmp(oid, KEY_PACKAGE) == 0;
}

/*
 * RFC 5652 6.1: what is encrypted is the SignedData itself; many wrap it into a ContentInfo all the same.
 * *wrapped is a copy with that ContentInfo, freed with est_free_secret(). false when memory is short.
 */
static bool wrap(const uint8_t *der, size_t len, uint8_t **wrapped, size_t *wrapped_len)
{
    static const uint8_t signed_data[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    int size = 0, body = 0;
    size_t total = 0;
    if (!est_size_to_int(len, &size))
        return false;
    body = (int)sizeof(signed_data) + ASN1_object_size(1, size, 0);
    if (!est_int_to_size(ASN1_object_size(1, body, V_ASN1_SEQUENCE), &total) || total < len)
        return false;
    uint8_t *copy = est_alloc(total);
    if (copy == NULL)
        return false;
    unsigned char *p = copy;
    ASN1_put_object(&p, 1, body, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    memcpy(p, signed_data, sizeof(signed_data));
    p += sizeof(signed_data);
    ASN1_put_object(&p, 1, size, 0, V_ASN1_CONTEXT_SPECIFIC);
    memcpy(p, der, len);
    *wrapped = copy;
    *wrapped_len = total;
    return true;
}

/* The tag of the first element inside of what should be a SEQUENCE; -1 when there is none. */
static int first_tag(const uint8_t *der, size_t len)
{
    long content = 0;
    int tag = 0, class = 0;
    const unsigned char *p = der;
    if ((ASN1_get_object(&p, &content, &tag, &class, (long)len) & TAG_BROKEN) != 0 ||
        tag != V_ASN1_SEQUENCE || p >= der + len)
        return -1;
    return *p & 0x1f;
}

static CMS_ContentInfo *read_wrapped(const uint8_t *der, size_t len)
{
    uint8_t *wrapped = NULL;
    size_t size = 0;
    CMS_ContentInfo *cms = wrap(der, len, &wrapped, &size) ? read_cms(wrapped, size) : NULL;
    est_free_secret(wrapped, size);
    return cms;
}

/* A key, or a package of keys, that nobody signed: worth a sentence of its own. */
static bool is_unsigned_key(const uint8_t *der, size_t len)
{
    tlv whole;
    const uint8_t *at = der;
    EVP_PKEY *key = read_pkcs8(der, len);
    if (key == NULL && take(&at, der + len, &whole))
        key = read_pkcs8(whole.content, (size_t)(whole.end - whole.content));
    bool found = key != NULL;
    EVP_PKEY_free(key);
    return found;
}

static estuary_status read_signed_data(const uint8_t *der, size_t len, CMS_ContentInfo **out,
                                       estuary_error *err)
{
    CMS_ContentInfo *cms =
        first_tag(der, len) == V_ASN1_INTEGER ? read_wrapped(der, len) : read_cms(der, len);
    if (cms == NULL)
        return is_unsigned_key(der, len) ? est_fail_openssl(err, EST_PROTOCOL_KEY_UNSIGNED, NULL)
                                         : undecryptable(err);
    if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed ||
        sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) != 1) {
        est_key_package_free(cms);
        return est_fail_openssl(err, EST_PROTOCOL_KEY_UNSIGNED, NULL);
    }
    *out = cms;
    return ESTUARY_OK;
}

/* RFC 5958 2: AsymmetricKeyPackage ::= SEQUENCE SIZE (1..MAX) OF OneAsymmetricKey */
static estuary_status read_package(CMS_ContentInfo *cms, EVP_PKEY **key, estuary_error *err)
{
    tlv whole, one;
    ASN1_OCTET_STRING **content = CMS_get0_content(cms);
    if (!is_key_package(cms) || content == NULL || *content == NULL)
        return est_fail_openssl(err, EST_PROTOCOL_KEY_PACKAGE, NULL);
    const uint8_t *at = ASN1_STRING_get0_data(*content);
    const uint8_t *end = at + ASN1_STRING_length(*content);
    bool good = take(&at, end, &whole) && at == end && whole.tag == V_ASN1_SEQUENCE &&
                whole.class == V_ASN1_UNIVERSAL;
    at = good ? whole.content : end;
    if (!good || !take(&at, whole.end, &one) || at != whole.end)
        return est_fail_openssl(err, EST_PROTOCOL_KEY_PACKAGE, NULL);
    return est_pkcs8_parse(one.start, (size_t)(one.end - one.start), key, err);
}

estuary_status est_key_package_open(const uint8_t *der, size_t len, const est_decrypt *how, EVP_PKEY **key,
                                    CMS_ContentInfo **signed_data, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CMS_ContentInfo *cms = NULL;
    char *text = NULL;
    size_t size = 0;
    *key = NULL;
    *signed_data = NULL;
    ERR_clear_error();
    BIO *plain = BIO_new(BIO_s_secmem()); /* wiped when freed */
    if (plain == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(open_envelope(der, len, how, plain, err));
    if (!est_int_to_size(BIO_get_mem_data(plain, &text), &size) || size == 0)
        EST_TRY(undecryptable(err));
    EST_TRY(read_signed_data((const uint8_t *)text, size, &cms, err));
    EST_TRY(read_package(cms, key, err));
    *signed_data = cms;
    cms = NULL;

cleanup:
    est_key_package_free(cms);
    BIO_free(plain);
    return status;
}

/* RFC 5652 11.1: the signed content type must be the content's; and no MD5 or SHA-1. */
static bool is_signer_sound(CMS_ContentInfo *cms, CMS_SignerInfo *signer)
{
    X509_ALGOR *digest = NULL, *signature = NULL;
    const ASN1_OBJECT *algorithm = NULL;
    const ASN1_OBJECT *type =
        CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT);
    CMS_SignerInfo_get0_algs(signer, NULL, NULL, &digest, &signature);
    if (type == NULL || OBJ_cmp(type, CMS_get0_eContentType(cms)) != 0 || digest == NULL)
        return false;
    X509_ALGOR_get0(&algorithm, NULL, NULL, digest);
    return !est_signature_is_weak(OBJ_obj2nid(algorithm));
}

estuary_status est_key_package_verify(CMS_ContentInfo *signed_data, const STACK_OF(X509) *certs,
                                      X509 **signer, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(X509) *signers = NULL;
    CMS_SignerInfo *info = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(signed_data), 0);
    *signer = NULL;
    ERR_clear_error();
    if (!is_signer_sound(signed_data, info))
        EST_FAIL_OPENSSL(
            EST_PROTOCOL_KEY_SIGNATURE,
            "the signature over the private key is made with a weak digest, or of other content");
    /* the signer's chain and authority are for whoever has the anchors (est) */
    if (CMS_verify(signed_data, (STACK_OF(X509) *)certs, NULL, NULL, NULL,
                   CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) != 1)
        EST_FAIL_OPENSSL(EST_PROTOCOL_KEY_SIGNATURE, NULL);
    signers = CMS_get0_signers(signed_data);
    if (sk_X509_num(signers) != 1 || X509_up_ref(sk_X509_value(signers, 0)) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    *signer = sk_X509_value(signers, 0);

cleanup:
    sk_X509_free(signers);
    return status;
}
