/* What a server makes of a private key (RFC 7030 4.4.2), right and wrong. */
#ifndef TEST_SMALL_KEYGEN_H
#define TEST_SMALL_KEYGEN_H

#include "small_ca.h"

#include <openssl/rsa.h>

#define KEY_PACKAGE_OID "2.16.840.1.101.2.1.2.78.5"

typedef struct small_bytes {
    unsigned char *data; /* OPENSSL_free() */
    size_t len;
} small_bytes;

static inline small_bytes small_wrap(int tag, int class, const small_bytes *content)
{
    small_bytes out = {0};
    out.len = (size_t)ASN1_object_size(1, (int)content->len, tag);
    out.data = OPENSSL_malloc(out.len);
    unsigned char *p = out.data;
    ASN1_put_object(&p, 1, (int)content->len, tag, class);
    memcpy(p, content->data, content->len);
    return out;
}

static inline small_bytes small_pkcs8(const EVP_PKEY *key)
{
    small_bytes out = {0};
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &out.data);
    assert_true(len > 0);
    out.len = (size_t)len;
    PKCS8_PRIV_KEY_INFO_free(info);
    return out;
}

/* AsymmetricKeyPackage with so many copies of the key (RFC 5958 2) */
static inline small_bytes small_package(const EVP_PKEY *key, int copies)
{
    small_bytes one = small_pkcs8(key), all = {0};
    all.data = OPENSSL_malloc(one.len * (size_t)(copies + 1));
    for (int i = 0; i < copies; i++) {
        memcpy(all.data + all.len, one.data, one.len);
        all.len += one.len;
    }
    small_bytes out = small_wrap(V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &all);
    OPENSSL_free(one.data);
    OPENSSL_free(all.data);
    return out;
}

typedef struct small_signing {
    X509 *signer;
    EVP_PKEY *key;
    const char *type;   /* of the content; NULL: the right one */
    const EVP_MD *md;   /* NULL: SHA-256 */
    unsigned int flags; /* CMS_NOCERTS */
    bool spoilt;        /* the signature */
    bool bare;          /* without ContentInfo (RFC 5652 6.1) */
} small_signing;

static inline small_bytes small_cms_der(CMS_ContentInfo *cms)
{
    small_bytes out = {0};
    int len = i2d_CMS_ContentInfo(cms, &out.data);
    assert_true(len > 0);
    out.len = (size_t)len;
    CMS_ContentInfo_free(cms);
    return out;
}

/* The SignedData of a ContentInfo: past its header, its OID and its [0]. */
static inline small_bytes small_unwrap(const small_bytes *info)
{
    const unsigned char *p = info->data;
    long len = 0;
    int tag = 0, class = 0;
    (void)ASN1_get_object(&p, &len, &tag, &class, (long)info->len);
    p += 11;
    (void)ASN1_get_object(&p, &len, &tag, &class, (long)info->len - 13);
    small_bytes out = {OPENSSL_memdup(p, (size_t)len), (size_t)len};
    return out;
}

static inline small_bytes small_sign(const small_bytes *content, const small_signing *how)
{
    const unsigned flags = CMS_BINARY | CMS_PARTIAL | how->flags;
    ASN1_OBJECT *type = OBJ_txt2obj(how->type == NULL ? KEY_PACKAGE_OID : how->type, 1);
    BIO *in = BIO_new_mem_buf(content->data, (int)content->len);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, in, flags);
    assert_non_null(cms);
    assert_int_equal(CMS_set1_eContentType(cms, type), 1);
    assert_non_null(
        CMS_add1_signer(cms, how->signer, how->key, how->md == NULL ? EVP_sha256() : how->md, flags));
    assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
    if (how->spoilt) {
        CMS_SignerInfo *info = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
        ASN1_OCTET_STRING *signature = CMS_SignerInfo_get0_signature(info);
        ((unsigned char *)ASN1_STRING_get0_data(signature))[ASN1_STRING_length(signature) - 1] ^= 1;
    }
    BIO_free(in);
    ASN1_OBJECT_free(type);
    small_bytes info = small_cms_der(cms);
    if (!how->bare)
        return info;
    small_bytes out = small_unwrap(&info);
    OPENSSL_free(info.data);
    return out;
}

typedef struct small_recipient {
    X509 *certificate; /* RSA and EC */
    bool by_issuer;    /* and serial number, not by key identifier */
    bool oaep;
    const char *kek, *password, *id; /* strings */
    size_t iterations;               /* 0: 2048 */
} small_recipient;

static inline void small_add_recipient(CMS_ContentInfo *cms, const small_recipient *to)
{
    if (to->certificate != NULL) {
        unsigned flags = (to->by_issuer ? 0 : CMS_USE_KEYID) | (to->oaep ? CMS_KEY_PARAM : 0);
        CMS_RecipientInfo *info = CMS_add1_recipient_cert(cms, to->certificate, flags);
        assert_non_null(info);
        if (to->oaep)
            assert_true(EVP_PKEY_CTX_set_rsa_padding(CMS_RecipientInfo_get0_pkey_ctx(info),
                                                     RSA_PKCS1_OAEP_PADDING) > 0);
    }
    if (to->kek != NULL)
        assert_non_null(CMS_add0_recipient_key(cms, NID_undef, OPENSSL_memdup(to->kek, strlen(to->kek)),
                                               strlen(to->kek), OPENSSL_memdup(to->id, strlen(to->id)),
                                               strlen(to->id), NULL, NULL, NULL));
    if (to->password != NULL)
        assert_non_null(CMS_add0_recipient_password(cms, to->iterations == 0 ? 2048 : (int)to->iterations,
                                                    NID_id_alg_PWRI_KEK, NID_undef,
                                                    (unsigned char *)OPENSSL_strdup(to->password),
                                                    (ossl_ssize_t)strlen(to->password), EVP_aes_256_cbc()));
}

static inline small_bytes small_encrypt(const small_bytes *content, const EVP_CIPHER *cipher,
                                        const small_recipient *to, size_t n)
{
    BIO *in = BIO_new_mem_buf(content->data, (int)content->len);
    CMS_ContentInfo *cms = CMS_encrypt(NULL, in, cipher, CMS_BINARY | CMS_PARTIAL);
    assert_non_null(cms);
    for (size_t i = 0; i < n; i++)
        small_add_recipient(cms, &to[i]);
    assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
    BIO_free(in);
    return small_cms_der(cms);
}

#endif
