/* What a request says about the encryption of the private key that the server makes (E9). */
#include "wire/wire.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pkcs7.h>
#include <string.h>

#define DECRYPT_KEY_ID            "1.2.840.113549.1.9.16.2.37" /* RFC 4108 2.2.5 */
#define ASYMMETRIC_DECRYPT_KEY_ID "1.2.840.113549.1.9.16.2.54" /* RFC 7030 4.4.1.2 */
#define SMIME_CAPABILITIES        "1.2.840.113549.1.9.15"      /* RFC 8551 2.5.2 */

static const char *const names[] = {[EST_DECRYPT_NONE] = "tls",
                                    [EST_DECRYPT_RSA] = "rsa",
                                    [EST_DECRYPT_EC] = "ec",
                                    [EST_DECRYPT_KEK] = "kek",
                                    [EST_DECRYPT_PASSWORD] = "password"};

const char *est_decrypt_method_name(est_decrypt_method method)
{
    return names[method];
}

bool est_decrypt_method_from_name(const char *name, est_decrypt_method *out)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (est_decrypt_method)i;
            return true;
        }
    }
    return false;
}

void est_decrypt_clear(est_decrypt *decrypt)
{
    est_free(decrypt->id);
    EVP_PKEY_free(decrypt->key);
    X509_free(decrypt->certificate);
    estuary_secret_free(decrypt->secret);
    memset(decrypt, 0, sizeof(*decrypt));
}

static bool set_id(est_decrypt *decrypt, const uint8_t *id, size_t len)
{
    decrypt->id = est_alloc(len == 0 ? 1 : len);
    if (decrypt->id == NULL)
        return false;
    if (len > 0)
        memcpy(decrypt->id, id, len);
    decrypt->id_len = len;
    return true;
}

bool est_decrypt_copy(const est_decrypt *from, est_decrypt *to)
{
    memset(to, 0, sizeof(*to));
    bool ok = from->id == NULL || set_id(to, from->id, from->id_len);
    if (ok && from->key != NULL && (ok = EVP_PKEY_up_ref(from->key) == 1))
        to->key = from->key;
    if (ok && from->certificate != NULL && (ok = X509_up_ref(from->certificate) == 1))
        to->certificate = from->certificate;
    to->secret = estuary_secret_up_ref(from->secret);
    to->method = from->method;
    if (!ok)
        est_decrypt_clear(to);
    return ok;
}

bool est_decrypt_same_recipient(const est_decrypt *a, const est_decrypt *b)
{
    return a->method == b->method && a->id_len == b->id_len &&
           (a->id_len == 0 || memcmp(a->id, b->id, a->id_len) == 0);
}

/* RFC 5280 4.2.1.2, method (1): SHA-1 of the subjectPublicKey. As a name it needs no collision resistance. */
static bool key_identifier(EVP_PKEY *key, uint8_t out[EVP_MAX_MD_SIZE], size_t *len)
{
    X509_PUBKEY *info = NULL;
    const unsigned char *bits = NULL;
    int size = 0;
    size_t bytes = 0;
    bool ok = X509_PUBKEY_set(&info, key) == 1 &&
              X509_PUBKEY_get0_param(NULL, &bits, &size, NULL, info) == 1 && est_int_to_size(size, &bytes) &&
              EVP_Q_digest(NULL, "SHA1", NULL, bits, bytes, out, len) == 1;
    X509_PUBKEY_free(info);
    return ok;
}

static bool identify(est_decrypt *decrypt)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t len = 0;
    const ASN1_OCTET_STRING *known =
        decrypt->certificate == NULL ? NULL : X509_get0_subject_key_id(decrypt->certificate);
    if (known != NULL && est_int_to_size(ASN1_STRING_length(known), &len) && len > 0 &&
        len <= EST_DECRYPT_ID_MAX)
        return set_id(decrypt, ASN1_STRING_get0_data(known), len);
    return key_identifier(decrypt->key, digest, &len) && set_id(decrypt, digest, len);
}

/* RFC 7030 4.4.1.2: a key bound to a certificate must be allowed to do this, or be unrestricted. */
static bool certificate_allows(X509 *certificate, est_decrypt_method method)
{
    uint32_t usage = X509_get_key_usage(certificate);
    return (usage & (method == EST_DECRYPT_RSA ? X509v3_KU_KEY_ENCIPHERMENT : X509v3_KU_KEY_AGREEMENT)) != 0;
}

estuary_status est_decrypt_set_key(est_decrypt *decrypt, EVP_PKEY *key, X509 *certificate, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_decrypt made = {.method = EVP_PKEY_is_a(key, "RSA")  ? EST_DECRYPT_RSA
                                  : EVP_PKEY_is_a(key, "EC") ? EST_DECRYPT_EC
                                                             : EST_DECRYPT_NONE};
    if (made.method == EST_DECRYPT_NONE)
        EST_FAIL(EST_USAGE_DECRYPT, "a key that decrypts must be an RSA or EC key");
    if (certificate != NULL && EVP_PKEY_eq(X509_get0_pubkey(certificate), key) != 1)
        EST_FAIL_OPENSSL(EST_USAGE_DECRYPT, "the certificate is not of the key that decrypts");
    if (certificate != NULL && !certificate_allows(certificate, made.method))
        EST_FAIL(EST_USAGE_DECRYPT,
                 "the certificate's keyUsage does not allow its key to decrypt (RFC 7030 4.4.1.2)");
    if (EVP_PKEY_up_ref(key) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    made.key = key;
    if (certificate != NULL && X509_up_ref(certificate) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    made.certificate = certificate;
    if (!identify(&made))
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    est_decrypt_clear(decrypt);
    *decrypt = made;
    memset(&made, 0, sizeof(made));

cleanup:
    est_decrypt_clear(&made);
    return status;
}

estuary_status est_decrypt_set_secret(est_decrypt *decrypt, est_decrypt_method method, const uint8_t *id,
                                      size_t id_len, const estuary_secret *secret, estuary_error *err)
{
    est_decrypt made = {.method = method};
    size_t len = 0;
    (void)estuary_secret_get0(secret, &len);
    if (id == NULL || id_len == 0 || id_len > EST_DECRYPT_ID_MAX)
        return est_fail(err, EST_USAGE_DECRYPT, "the identifier of a decryption key has 1 to %d bytes",
                        EST_DECRYPT_ID_MAX);
    if (method == EST_DECRYPT_KEK && len != 16 && len != 24 && len != 32)
        return est_fail(err, EST_USAGE_DECRYPT, "a key-encryption key has 16, 24 or 32 bytes");
    if (len == 0)
        return est_fail(err, EST_USAGE_DECRYPT, "a password to decrypt with must not be empty");
    if (!set_id(&made, id, id_len))
        return est_fail_memory(err);
    made.secret = estuary_secret_up_ref((estuary_secret *)secret);
    est_decrypt_clear(decrypt);
    *decrypt = made;
    return ESTUARY_OK;
}

/* ---- SMIMECapabilities ---- */

static const int contents[] = {NID_aes_256_gcm, NID_aes_192_gcm, NID_aes_128_gcm,
                               NID_aes_256_cbc, NID_aes_192_cbc, NID_aes_128_cbc};
static const int transports[] = {NID_rsaesOaep, NID_rsaEncryption};
static const int agreements[] = {NID_dhSinglePass_stdDH_sha256kdf_scheme,
                                 NID_dhSinglePass_stdDH_sha384kdf_scheme, NID_id_aes256_wrap,
                                 NID_id_aes192_wrap, NID_id_aes128_wrap};
static const int passwords[] = {NID_id_alg_PWRI_KEK, NID_id_pbkdf2};

static bool add_all(STACK_OF(X509_ALGOR) *list, const int *nids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (PKCS7_simple_smimecap(list, nids[i], -1) != 1)
            return false;
    }
    return true;
}

/* RFC 3560 4: OAEP with SHA-1 is an empty SEQUENCE */
static bool add_oaep_with_sha1(STACK_OF(X509_ALGOR) *list)
{
    static const uint8_t none[] = {0x30, 0x00};
    X509_ALGOR *algorithm = X509_ALGOR_new();
    ASN1_STRING *params = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
    if (algorithm == NULL || params == NULL || ASN1_STRING_set(params, none, sizeof(none)) != 1 ||
        X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_rsaesOaep), V_ASN1_SEQUENCE, params) != 1) {
        ASN1_STRING_free(params);
        X509_ALGOR_free(algorithm);
        return false;
    }
    if (sk_X509_ALGOR_push(list, algorithm) > 0)
        return true;
    X509_ALGOR_free(algorithm);
    return false;
}

/*
 * A key behind callbacks (a token, a TPM) says whether it has OAEP at all; left to itself a server takes
 * SHA-256 for that, which a token need not have.
 */
static bool add_transports(STACK_OF(X509_ALGOR) *list, const EVP_PKEY *key)
{
    int oaep = 0;
    if (EVP_PKEY_get_int_param(key, "estuary-oaep", &oaep) != 1)
        return add_all(list, transports, 2);
    return (oaep == 0 || add_oaep_with_sha1(list)) && add_all(list, transports + 1, 1);
}

#define ADD_ALL(list, nids) add_all(list, nids, sizeof(nids) / sizeof((nids)[0]))

/* RFC 7030 4.4.1: first how the key may be wrapped, then what the content may be encrypted with */
static bool add_capabilities(STACK_OF(X509_ALGOR) *list, const est_decrypt *decrypt)
{
    size_t len = 0;
    int wrap = NID_undef;
    bool ok = false;
    switch (decrypt->method) {
    case EST_DECRYPT_RSA:
        ok = add_transports(list, decrypt->key);
        break;
    case EST_DECRYPT_EC:
        ok = ADD_ALL(list, agreements);
        break;
    case EST_DECRYPT_KEK:
        (void)estuary_secret_get0(decrypt->secret, &len);
        wrap = len == 32 ? NID_id_aes256_wrap : len == 24 ? NID_id_aes192_wrap : NID_id_aes128_wrap;
        ok = add_all(list, &wrap, 1);
        break;
    case EST_DECRYPT_PASSWORD:
        ok = ADD_ALL(list, passwords);
        break;
    case EST_DECRYPT_NONE:
        break;
    }
    return ok && ADD_ALL(list, contents);
}

static estuary_status put_capabilities(const est_decrypt *decrypt, estuary_csr *csr, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    unsigned char *der = NULL;
    size_t size = 0;
    STACK_OF(X509_ALGOR) *list = sk_X509_ALGOR_new_null();
    if (list == NULL || !add_capabilities(list, decrypt))
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    int len = i2d_X509_ALGORS(list, &der);
    if (len <= 0 || !est_int_to_size(len, &size))
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    EST_TRY(est_csr_put_attribute(csr, SMIME_CAPABILITIES, V_ASN1_SEQUENCE, der, size, err));

cleanup:
    OPENSSL_free(der);
    sk_X509_ALGOR_pop_free(list, X509_ALGOR_free);
    return status;
}

/* RFC 7030 4.4.1.1, 4.4.1.2 */
static const char *identifier_oid(const est_decrypt *decrypt)
{
    bool asymmetric = decrypt->method == EST_DECRYPT_RSA || decrypt->method == EST_DECRYPT_EC;
    return asymmetric ? ASYMMETRIC_DECRYPT_KEY_ID : DECRYPT_KEY_ID;
}

estuary_status est_decrypt_add_attributes(const est_decrypt *decrypt, estuary_csr *csr, estuary_error *err)
{
    if (decrypt->method == EST_DECRYPT_NONE)
        return ESTUARY_OK;
    estuary_status status = est_csr_put_attribute(csr, identifier_oid(decrypt), V_ASN1_OCTET_STRING,
                                                  decrypt->id, decrypt->id_len, err);
    return status == ESTUARY_OK ? put_capabilities(decrypt, csr, err) : status;
}

static bool names_the_recipient(X509_ATTRIBUTE *attribute, const est_decrypt *decrypt)
{
    const ASN1_TYPE *value =
        X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : NULL;
    size_t len = 0;
    if (value == NULL || ASN1_TYPE_get(value) != V_ASN1_OCTET_STRING ||
        !est_int_to_size(ASN1_STRING_length(value->value.octet_string), &len) || len != decrypt->id_len)
        return false;
    return len == 0 || memcmp(ASN1_STRING_get0_data(value->value.octet_string), decrypt->id, len) == 0;
}

bool est_decrypt_is_asked_for(const est_decrypt *decrypt, const X509_REQ *request)
{
    bool found = false;
    for (int i = 0; i < X509_REQ_get_attr_count(request); i++) {
        char oid[64] = "";
        X509_ATTRIBUTE *attribute = X509_REQ_get_attr(request, i);
        (void)OBJ_obj2txt(oid, sizeof(oid), X509_ATTRIBUTE_get0_object(attribute), 1);
        if (strcmp(oid, DECRYPT_KEY_ID) != 0 && strcmp(oid, ASYMMETRIC_DECRYPT_KEY_ID) != 0)
            continue;
        if (found || decrypt->method == EST_DECRYPT_NONE || strcmp(oid, identifier_oid(decrypt)) != 0 ||
            !names_the_recipient(attribute, decrypt))
            return false;
        found = true;
    }
    return found == (decrypt->method != EST_DECRYPT_NONE);
}
