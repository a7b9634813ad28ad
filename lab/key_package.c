/* RFC 5958 in RFC 5652: AsymmetricKeyPackage in SignedData in EnvelopedData or AuthEnvelopedData. */
#include "key_package.h"

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>

#define PWRI_ITERATIONS 10000

int key_package_type(void)
{
    static const char oid[] = "2.16.840.1.101.2.1.2.78.5";
    const int nid = OBJ_txt2nid(oid);
    return nid != NID_undef ? nid : OBJ_create(oid, "id-ct-KP-aKeyPackage", "AsymmetricKeyPackage");
}

static EVP_PKEY *another(EVP_PKEY *key)
{
    return key != NULL && EVP_PKEY_up_ref(key) == 1 ? key : NULL;
}

bool key_package_take_signer(struct key_package *p, X509 *signer, EVP_PKEY *key)
{
    X509_free(p->signer);
    EVP_PKEY_free(p->signer_key);
    p->signer = signer;
    p->signer_key = key;
    return signer != NULL && key != NULL;
}

/* Takes over what how holds. The issuing CA made the key and says so. */
bool key_package_describe(struct exchange *ex, struct key_request *how, EVP_PKEY *key, struct key_package *p)
{
    const struct ca *ca = &ex->lab->ca;
    *p = (struct key_package){.how = *how,
                              .key = another(key),
                              .copies = 1,
                              .recipient = another(X509_REQ_get0_pubkey(ex->csr)),
                              .digest = EVP_sha256(),
                              .content_type = key_package_type()};
    *how = (struct key_request){0};
    return p->key != NULL && p->content_type != NID_undef &&
           (p->how.protection != KEY_RECIPIENT || p->recipient != NULL) && X509_up_ref(ca->issuing) == 1 &&
           key_package_take_signer(p, ca->issuing, another(ca->issuing_key));
}

void key_package_clear(struct key_package *p)
{
    key_request_clear(&p->how);
    EVP_PKEY_free(p->key);
    EVP_PKEY_free(p->recipient);
    EVP_PKEY_free(p->second);
    X509_free(p->signer);
    EVP_PKEY_free(p->signer_key);
    bytes_clear(&p->raw);
    *p = (struct key_package){0};
}

/* ---- inside ---- */

static bool private_key_info(const struct key_package *p, struct bytes *out)
{
    PKCS8_PRIV_KEY_INFO *info = p->raw.len > 0 ? NULL : EVP_PKEY2PKCS8(p->key);
    unsigned char *der = NULL;
    const int len = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    const bool ok = p->raw.len > 0 ? bytes_append(out, p->raw.data, p->raw.len)
                                   : len > 0 && bytes_append(out, der, (size_t)len);
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    return ok;
}

/* AsymmetricKeyPackage ::= SEQUENCE SIZE (1..MAX) OF OneAsymmetricKey. RFC 5958 2 */
static bool asymmetric_key_package(const struct key_package *p, struct bytes *out)
{
    struct bytes keys = {0};
    bool ok = true;
    for (int i = 0; ok && i < p->copies; i++)
        ok = private_key_info(p, &keys);
    ok = ok && der_wrap(0x30, &keys, out);
    bytes_clear(&keys);
    return ok;
}

static bool encode_cms(CMS_ContentInfo *cms, bool indefinite, struct bytes *out)
{
    char *data = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    /* CMS_final left the content in place: CMS_STREAM here only chooses BER lengths. */
    bool ok =
        bio != NULL && (indefinite ? i2d_CMS_bio_stream(bio, cms, NULL, 0) : i2d_CMS_bio(bio, cms)) == 1;
    const long len = ok ? BIO_get_mem_data(bio, &data) : 0;
    ok = len > 0 && bytes_append(out, data, (size_t)len);
    BIO_free(bio);
    return ok;
}

static bool sign(const struct key_package *p, const struct bytes *content, struct bytes *out)
{
    const unsigned flags = CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP | (p->no_certificates ? CMS_NOCERTS : 0);
    BIO *in = BIO_new_mem_buf(content->data, (int)content->len);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    bool ok = in != NULL && cms != NULL && CMS_set_detached(cms, 0) == 1 &&
              CMS_set1_eContentType(cms, OBJ_nid2obj(p->content_type)) == 1 &&
              CMS_add1_signer(cms, p->signer, p->signer_key, p->digest, flags) != NULL &&
              CMS_final(cms, in, NULL, CMS_BINARY) == 1 && encode_cms(cms, false, out);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    if (ok && p->spoil_signature) /* the signature is the last thing in a SignedData */
        out->data[out->len - 1] ^= 1;
    return ok;
}

/* RFC 5652 6.1: under contentType id-signedData stands the SignedData itself, without its ContentInfo. */
static bool unwrap(struct bytes *content_info)
{
    size_t at = 0;
    size_t header = 0;
    size_t total = 0;
    struct bytes inner = {0};
    if (!der_element(content_info->data, content_info->len, &header, &total))
        return false;
    at = header;
    if (!der_element(content_info->data + at, content_info->len - at, &header, &total))
        return false;
    at += total; /* the content type */
    if (!der_element(content_info->data + at, content_info->len - at, &header, &total) ||
        !bytes_append(&inner, content_info->data + at + header, total - header))
        return false;
    bytes_clear(content_info);
    *content_info = inner;
    return true;
}

/* A SignedData that nobody signed, which OpenSSL makes only without content: signerInfos comes last. */
static bool drop_signers(struct bytes *signed_data)
{
    struct bytes fields = {0};
    struct bytes whole = {0};
    size_t header = 0;
    size_t total = 0;
    size_t last = 0;
    bool ok = der_element(signed_data->data, signed_data->len, &header, &total);
    for (size_t at = header; ok && at < signed_data->len; at += total) {
        last = at;
        ok = der_element(signed_data->data + at, signed_data->len - at, &header, &total);
    }
    ok = ok && der_element(signed_data->data, signed_data->len, &header, &total) &&
         bytes_append(&fields, signed_data->data + header, last - header) &&
         bytes_append(&fields, "\x31", 2) && der_wrap(0x30, &fields, &whole);
    bytes_clear(&fields);
    bytes_clear(signed_data);
    *signed_data = whole;
    return ok;
}

static bool inside(const struct key_package *p, struct bytes *out, int *type)
{
    struct bytes package = {0};
    bool ok = asymmetric_key_package(p, &package);
    switch (p->inside) {
    case INSIDE_SIGNED:
        *type = NID_pkcs7_signed;
        ok = ok && sign(p, &package, out) && unwrap(out) && (!p->no_signer || drop_signers(out));
        break;
    case INSIDE_CONTENT_INFO:
        *type = NID_pkcs7_data;
        ok = ok && sign(p, &package, out);
        break;
    case INSIDE_UNSIGNED:
        *type = key_package_type();
        ok = ok && bytes_append(out, package.data, package.len);
        break;
    case INSIDE_PKCS8:
        *type = NID_pkcs7_data;
        ok = ok && private_key_info(p, out);
        break;
    }
    bytes_clear(&package);
    return ok;
}

/* ---- outside ---- */

/* CMS wants a certificate; this one lives as long as the call and lends key and key identifier. */
static X509 *stand_in(EVP_PKEY *key, const struct bytes *id, EVP_PKEY *signer)
{
    X509 *x = X509_new();
    ASN1_OCTET_STRING *ski = ASN1_OCTET_STRING_new();
    bool ok = x != NULL && ski != NULL && ASN1_OCTET_STRING_set(ski, id->data, (int)id->len) == 1 &&
              X509_set_version(x, X509_VERSION_3) == 1 && X509_set_pubkey(x, key) == 1 &&
              X509_add1_ext_i2d(x, NID_subject_key_identifier, ski, 0, X509V3_ADD_DEFAULT) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(x), LAB_DAY) != NULL &&
              X509_sign(x, signer, EVP_sha256()) > 0;
    ASN1_OCTET_STRING_free(ski);
    if (!ok) {
        X509_free(x);
        x = NULL;
    }
    return x;
}

/* RFC 5753 7.1.4 (kari), RFC 3560 (ktri) */
static bool set_algorithms(const struct key_request *how, CMS_RecipientInfo *ri)
{
    EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(ri);
    if (ctx == NULL)
        return false;
    if (CMS_RecipientInfo_type(ri) == CMS_RECIPINFO_AGREE)
        return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, how->kdf) == 1 &&
               (how->wrap == NULL ||
                EVP_EncryptInit_ex(CMS_RecipientInfo_kari_get0_ctx(ri), how->wrap, NULL, NULL, NULL) == 1);
    return how->oaep == NULL || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                                 EVP_PKEY_CTX_set_rsa_oaep_md(ctx, how->oaep) == 1 &&
                                 EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, how->oaep) == 1);
}

static bool add_public(const struct key_package *p, EVP_PKEY *key, const struct bytes *id,
                       CMS_ContentInfo *cms)
{
    X509 *x = stand_in(key, id, p->signer_key);
    CMS_RecipientInfo *ri = x == NULL ? NULL : CMS_add1_recipient_cert(cms, x, CMS_USE_KEYID | CMS_KEY_PARAM);
    const bool ok = ri != NULL && set_algorithms(&p->how, ri);
    X509_free(x);
    return ok;
}

/* kekid is the DecryptKeyIdentifier, the wrap that of the key's size. RFC 7030 4.4.2 */
static bool add_kek(const struct key_request *how, CMS_ContentInfo *cms)
{
    unsigned char *key = OPENSSL_memdup(how->secret.data, how->secret.len);
    unsigned char *id = OPENSSL_memdup(how->id.data, how->id.len);
    if (key != NULL && id != NULL &&
        CMS_add0_recipient_key(cms, NID_undef, key, how->secret.len, id, how->id.len, NULL, NULL, NULL) !=
            NULL)
        return true;
    OPENSSL_clear_free(key, how->secret.len);
    OPENSSL_free(id);
    return false;
}

static bool add_password(const struct key_request *how, CMS_ContentInfo *cms)
{
    unsigned char *password = OPENSSL_memdup(how->secret.data, how->secret.len);
    if (password != NULL &&
        CMS_add0_recipient_password(cms, PWRI_ITERATIONS, NID_id_alg_PWRI_KEK, NID_undef, password,
                                    (ossl_ssize_t)how->secret.len, EVP_aes_256_cbc()) != NULL)
        return true;
    OPENSSL_clear_free(password, how->secret.len);
    return false;
}

static bool add_recipients(const struct key_package *p, CMS_ContentInfo *cms)
{
    unsigned char raw[20] = "somebody else's key";
    const struct bytes other = {.data = raw, .len = sizeof raw};
    if (p->second != NULL && !add_public(p, p->second, &other, cms))
        return false;
    switch (p->how.protection) {
    case KEY_KEK:
        return add_kek(&p->how, cms);
    case KEY_PASSWORD:
        return add_password(&p->how, cms);
    case KEY_RECIPIENT:
        return add_public(p, p->recipient, &p->how.id, cms);
    case KEY_PLAIN:
        break;
    }
    return false;
}

static bool seal(const struct key_package *p, const struct bytes *content, int type, struct bytes *out)
{
    const bool aead = (EVP_CIPHER_get_flags(p->how.cipher) & EVP_CIPH_FLAG_AEAD_CIPHER) != 0;
    BIO *in = BIO_new_mem_buf(content->data, (int)content->len);
    CMS_ContentInfo *cms =
        aead ? CMS_AuthEnvelopedData_create(p->how.cipher) : CMS_EnvelopedData_create(p->how.cipher);
    bool ok = in != NULL && cms != NULL && CMS_set_detached(cms, 0) == 1 &&
              CMS_set1_eContentType(cms, OBJ_nid2obj(type)) == 1 && add_recipients(p, cms) &&
              CMS_final(cms, in, NULL, CMS_BINARY) == 1 && encode_cms(cms, p->indefinite, out);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return ok;
}

bool key_package_encode(const struct key_package *p, struct bytes *der)
{
    struct bytes content = {0};
    int type = NID_undef;
    const bool ok = p->how.protection == KEY_PLAIN
                        ? private_key_info(p, der)
                        : inside(p, &content, &type) && seal(p, &content, type, der);
    bytes_clear(&content);
    if (ok && p->spoil_end)
        der->data[der->len - 1] ^= 1;
    if (ok && p->cut > 0)
        der->len -= der->len < p->cut ? der->len : p->cut;
    return ok;
}
