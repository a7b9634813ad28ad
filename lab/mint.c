#include "lab.h"

#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

EVP_PKEY *new_key(const char *type)
{
    if (strcmp(type, "rsa") == 0)
        return EVP_RSA_gen(2048);
    return EVP_EC_gen("P-256");
}

bool mint_add_extension(struct mint *m, X509_EXTENSION *extension)
{
    if (extension == NULL || m->extension_count == LAB_MAX_EXTENSIONS) {
        X509_EXTENSION_free(extension);
        return false;
    }
    m->extensions[m->extension_count++] = extension;
    return true;
}

void mint_drop_extension(struct mint *m, int nid)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->extension_count; i++) {
        if (OBJ_obj2nid(X509_EXTENSION_get_object(m->extensions[i])) == nid)
            X509_EXTENSION_free(m->extensions[i]);
        else
            m->extensions[kept++] = m->extensions[i];
    }
    m->extension_count = kept;
}

void mint_clear(struct mint *m)
{
    for (size_t i = 0; i < m->extension_count; i++)
        X509_EXTENSION_free(m->extensions[i]);
    m->extension_count = 0;
    X509_free(m->own_issuer);
    EVP_PKEY_free(m->own_signer);
    EVP_PKEY_free(m->own_key);
    X509_NAME_free(m->own_subject);
    m->own_issuer = NULL;
    m->own_signer = NULL;
    m->own_key = NULL;
    m->own_subject = NULL;
}

/* 16 random bytes, positive and never shorter. RFC 5280 4.1.2.2 */
static bool set_serial(X509 *x, bool negative)
{
    unsigned char raw[16];
    bool ok = false;
    BIGNUM *number = NULL;
    if (RAND_bytes(raw, sizeof raw) != 1)
        return false;
    raw[0] = (unsigned char)((raw[0] & 0x3f) | 0x40);
    number = BN_bin2bn(raw, sizeof raw, NULL);
    if (number == NULL)
        return false;
    BN_set_negative(number, negative);
    ok = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_names(X509 *x, const struct mint *m)
{
    X509_NAME *own = NULL;
    const X509_NAME *subject = m->subject;
    bool ok = false;
    if (subject == NULL) {
        own = X509_NAME_new();
        if (own == NULL ||
            X509_NAME_add_entry_by_txt(own, "O", MBSTRING_ASC, (const unsigned char *)"Estuary Lab", -1, -1,
                                       0) != 1 ||
            X509_NAME_add_entry_by_txt(own, "CN", MBSTRING_ASC, (const unsigned char *)m->cn, -1, -1, 0) != 1)
            goto cleanup;
        subject = own;
    }
    ok = X509_set_subject_name(x, subject) == 1 &&
         X509_set_issuer_name(x, m->issuer == NULL ? subject : X509_get_subject_name(m->issuer)) == 1;
cleanup:
    X509_NAME_free(own);
    return ok;
}

static bool add_text_extension(X509 *x, const struct mint *m, int nid, const char *value)
{
    X509V3_CTX ctx;
    if (value == NULL)
        return true;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, m->issuer == NULL ? x : m->issuer, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    bool ok = extension != NULL && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_extensions(X509 *x, const struct mint *m)
{
    bool ok =
        add_text_extension(x, m, NID_basic_constraints, m->basic) &&
        add_text_extension(x, m, NID_key_usage, m->key_usage) &&
        add_text_extension(x, m, NID_ext_key_usage, m->eku) &&
        add_text_extension(x, m, NID_subject_alt_name, m->san) &&
        add_text_extension(x, m, NID_name_constraints, m->constraints) &&
        add_text_extension(x, m, NID_info_access, m->aia) &&
        add_text_extension(x, m, NID_crl_distribution_points, m->cdp) &&
        add_text_extension(x, m, NID_subject_key_identifier, "hash") &&
        add_text_extension(x, m, NID_authority_key_identifier, m->issuer == NULL ? NULL : "keyid:always");
    for (size_t i = 0; ok && i < m->extension_count; i++)
        ok = X509_add_ext(x, m->extensions[i], -1) == 1;
    return ok;
}

/* The last byte of the encoding belongs to the signature. */
static X509 *corrupt(X509 *x)
{
    unsigned char *der = NULL;
    int len = i2d_X509(x, &der);
    X509 *broken = NULL;
    if (len > 0) {
        const unsigned char *p = der;
        der[len - 1] ^= 1;
        broken = d2i_X509(NULL, &p, len);
    }
    OPENSSL_free(der);
    X509_free(x);
    return broken;
}

X509 *mint_certificate(const struct mint *m)
{
    X509 *x = X509_new();
    if (x == NULL)
        return NULL;
    if (X509_set_version(x, X509_VERSION_3) != 1 || !set_serial(x, m->negative_serial) || !set_names(x, m))
        goto failed;
    if (ASN1_TIME_adj(X509_getm_notBefore(x), m->not_before, 0, 0) == NULL ||
        ASN1_TIME_adj(X509_getm_notAfter(x), m->not_after, 0, 0) == NULL)
        goto failed;
    if (X509_set_pubkey(x, m->key) != 1 || !add_extensions(x, m))
        goto failed;
    if (X509_sign(x, m->signer, m->digest == NULL ? EVP_sha256() : m->digest) <= 0)
        goto failed;
    return m->corrupt_signature ? corrupt(x) : x;
failed:
    X509_free(x);
    return NULL;
}
