#include "key_request.h"

#include <openssl/crypto.h>
#include <openssl/rsa.h>
#include <string.h>

static const char decrypt_key_id[] = "1.2.840.113549.1.9.16.2.37";    /* RFC 4108 2.2.5 */
static const char asymmetric_key_id[] = "1.2.840.113549.1.9.16.2.54"; /* RFC 7030 4.4.1.2 */

void key_request_clear(struct key_request *r)
{
    OPENSSL_cleanse(r->secret.data, r->secret.len);
    bytes_clear(&r->secret);
    bytes_clear(&r->id);
    *r = (struct key_request){0};
}

/* The attribute's only value, if it has this type. */
static const ASN1_STRING *attribute_value(const X509_REQ *csr, const char *oid, int type)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    const int at = object == NULL ? -1 : X509_REQ_get_attr_by_OBJ(csr, object, -1);
    X509_ATTRIBUTE *attribute = at < 0 ? NULL : X509_REQ_get_attr(csr, at);
    const ASN1_TYPE *value =
        X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : NULL;
    ASN1_OBJECT_free(object);
    return value == NULL || ASN1_TYPE_get(value) != type ? NULL : value->value.asn1_string;
}

static bool has_attribute(const X509_REQ *csr, const char *oid)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    const bool found = object != NULL && X509_REQ_get_attr_by_OBJ(csr, object, -1) >= 0;
    ASN1_OBJECT_free(object);
    return found;
}

/* ---- which key ---- */

static bool hex_decode(const char *text, struct bytes *out)
{
    long len = 0;
    unsigned char *raw = strchr(text, ':') != NULL ? NULL : OPENSSL_hexstr2buf(text, &len);
    const bool ok = raw != NULL && bytes_append(out, raw, (size_t)len);
    OPENSSL_clear_free(raw, (size_t)len);
    return ok;
}

bool kek_octets(const char *secret, struct bytes *out)
{
    const size_t digits = strlen(secret);
    const bool hex = (digits == 32 || digits == 48 || digits == 64) && hex_decode(secret, out);
    if (!hex && !base64_decode(secret, digits, out))
        return false;
    return out->len == 16 || out->len == 24 || out->len == 32;
}

static const struct kek *find_kek(const struct lab *lab, const ASN1_STRING *id)
{
    for (size_t i = 0; i < lab->options.kek_count; i++) {
        const struct kek *kek = &lab->options.keks[i];
        if (strlen(kek->id) == (size_t)ASN1_STRING_length(id) &&
            memcmp(kek->id, ASN1_STRING_get0_data(id), strlen(kek->id)) == 0)
            return kek;
    }
    return NULL;
}

/* RFC 7030 4.4.1.1: without a matching key the request MUST be refused. */
static const char *read_shared(const struct lab *lab, const X509_REQ *csr, struct key_request *r)
{
    const ASN1_STRING *id = attribute_value(csr, decrypt_key_id, V_ASN1_OCTET_STRING);
    if (id == NULL)
        return "the DecryptKeyIdentifier is not one OCTET STRING";
    const struct kek *kek = find_kek(lab, id);
    if (kek == NULL)
        return "the server has no secret key with this DecryptKeyIdentifier";
    r->protection = kek->password ? KEY_PASSWORD : KEY_KEK;
    if (!bytes_text(&r->id, kek->id) ||
        !(kek->password ? bytes_text(&r->secret, kek->secret) : kek_octets(kek->secret, &r->secret)))
        return "the server's secret key with this DecryptKeyIdentifier cannot be used";
    return NULL;
}

/* SHA-1 of the SubjectPublicKeyInfo, or of the BIT STRING in it as RFC 5280 4.2.1.2 (1) has it. */
static bool identifies(const ASN1_STRING *id, X509_REQ *csr)
{
    unsigned char whole[EVP_MAX_MD_SIZE];
    unsigned char bits[EVP_MAX_MD_SIZE];
    unsigned char *spki = NULL;
    const unsigned char *raw = NULL;
    int raw_len = 0;
    const unsigned char *said = ASN1_STRING_get0_data(id);
    const int len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(csr), &spki);
    bool found = len > 0 && ASN1_STRING_length(id) == 20 &&
                 X509_PUBKEY_get0_param(NULL, &raw, &raw_len, NULL, X509_REQ_get_X509_PUBKEY(csr)) == 1 &&
                 EVP_Digest(spki, (size_t)len, whole, NULL, EVP_sha1(), NULL) == 1 &&
                 EVP_Digest(raw, (size_t)raw_len, bits, NULL, EVP_sha1(), NULL) == 1 &&
                 (memcmp(said, whole, 20) == 0 || memcmp(said, bits, 20) == 0);
    OPENSSL_free(spki);
    return found;
}

/* The recipient is the key that signed the request: its possession is proved at once. RFC 7030 4.4.1.2 */
static const char *read_asymmetric(X509_REQ *csr, struct key_request *r)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(csr);
    const ASN1_STRING *id = attribute_value(csr, asymmetric_key_id, V_ASN1_OCTET_STRING);
    if (id == NULL)
        return "the AsymmetricDecryptKeyIdentifier is not one OCTET STRING";
    if (key == NULL || !identifies(id, csr))
        return "the server has no public key with this AsymmetricDecryptKeyIdentifier: it must be the SHA-1 "
               "of the request's own public key";
    if (X509_REQ_verify(csr, key) != 1)
        return "the request is not signed with the key that the new private key shall be encrypted to";
    if (EVP_PKEY_is_a(key, "RSA") != 1 && EVP_PKEY_is_a(key, "EC") != 1)
        return "nothing can be encrypted to the request's public key";
    r->protection = KEY_RECIPIENT;
    return bytes_append(&r->id, ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id)) ? NULL
                                                                                           : "out of memory";
}

/* ---- which algorithms: the first of the client's that the lab knows ---- */

static X509_ALGORS *read_capabilities(const X509_REQ *csr)
{
    const ASN1_STRING *value = attribute_value(csr, "1.2.840.113549.1.9.15", V_ASN1_SEQUENCE);
    if (value == NULL)
        return NULL;
    const unsigned char *p = ASN1_STRING_get0_data(value);
    return d2i_X509_ALGORS(NULL, &p, ASN1_STRING_length(value));
}

static const X509_ALGOR *first_of(const X509_ALGORS *capabilities, const int *known, size_t count)
{
    for (int i = 0; i < sk_X509_ALGOR_num(capabilities); i++) {
        const X509_ALGOR *one = sk_X509_ALGOR_value(capabilities, i);
        for (size_t k = 0; k < count; k++) {
            if (OBJ_obj2nid(one->algorithm) == known[k])
                return one;
        }
    }
    return NULL;
}

static int nid_of(const X509_ALGOR *algorithm)
{
    return algorithm == NULL ? NID_undef : OBJ_obj2nid(algorithm->algorithm);
}

static const EVP_CIPHER *choose_cipher(const X509_ALGORS *capabilities)
{
    static const int known[] = {NID_aes_256_gcm, NID_aes_192_gcm, NID_aes_128_gcm,
                                NID_aes_256_cbc, NID_aes_192_cbc, NID_aes_128_cbc};
    return EVP_get_cipherbynid(nid_of(first_of(capabilities, known, sizeof known / sizeof *known)));
}

/* id-RSAES-OAEP without parameters leaves the hash to us; an empty SEQUENCE is SHA-1. RFC 4055 4.1 */
static const EVP_MD *oaep_digest(const X509_ALGOR *algorithm)
{
    const ASN1_TYPE *given = algorithm->parameter;
    const EVP_MD *md = EVP_sha256();
    if (given == NULL || ASN1_TYPE_get(given) != V_ASN1_SEQUENCE)
        return md;
    const unsigned char *p = ASN1_STRING_get0_data(given->value.sequence);
    RSA_OAEP_PARAMS *params = d2i_RSA_OAEP_PARAMS(NULL, &p, ASN1_STRING_length(given->value.sequence));
    if (params != NULL)
        md = params->hashFunc == NULL ? EVP_sha1() : EVP_get_digestbyobj(params->hashFunc->algorithm);
    RSA_OAEP_PARAMS_free(params);
    return md;
}

static const EVP_CIPHER *wrap_cipher(int nid)
{
    switch (nid) {
    case NID_id_aes128_wrap:
        return EVP_aes_128_wrap();
    case NID_id_aes192_wrap:
        return EVP_aes_192_wrap();
    case NID_id_aes256_wrap:
        return EVP_aes_256_wrap();
    default:
        return NULL;
    }
}

static const EVP_MD *kdf_digest(int nid)
{
    switch (nid) {
    case NID_dhSinglePass_stdDH_sha1kdf_scheme:
        return EVP_sha1();
    case NID_dhSinglePass_stdDH_sha384kdf_scheme:
        return EVP_sha384();
    default:
        return EVP_sha256();
    }
}

static const char *choose(const X509_ALGORS *capabilities, struct key_request *r)
{
    static const int transports[] = {NID_rsaesOaep, NID_rsaEncryption};
    static const int wraps[] = {NID_id_aes128_wrap, NID_id_aes192_wrap, NID_id_aes256_wrap};
    static const int schemes[] = {NID_dhSinglePass_stdDH_sha1kdf_scheme,
                                  NID_dhSinglePass_stdDH_sha256kdf_scheme,
                                  NID_dhSinglePass_stdDH_sha384kdf_scheme};
    const X509_ALGOR *transport = first_of(capabilities, transports, 2);
    r->cipher = choose_cipher(capabilities);
    r->wrap = wrap_cipher(nid_of(first_of(capabilities, wraps, 3)));
    r->kdf = kdf_digest(nid_of(first_of(capabilities, schemes, 3)));
    r->oaep = nid_of(transport) == NID_rsaesOaep ? oaep_digest(transport) : NULL;
    if (r->cipher == NULL)
        return "the SMIMECapabilities name no content encryption this server has";
    const int needed[] = {r->secret.len == 16   ? NID_id_aes128_wrap
                          : r->secret.len == 24 ? NID_id_aes192_wrap
                                                : NID_id_aes256_wrap};
    if (r->protection == KEY_KEK && r->wrap != NULL && first_of(capabilities, needed, 1) == NULL)
        return "the SMIMECapabilities do not name the key wrap that the shared key is for";
    return NULL;
}

const char *key_request_read(const struct lab *lab, X509_REQ *csr, struct key_request *r)
{
    const bool shared = has_attribute(csr, decrypt_key_id);
    const bool asymmetric = has_attribute(csr, asymmetric_key_id);
    *r = (struct key_request){.cipher = EVP_aes_256_cbc(), .kdf = EVP_sha256()};
    if (!shared && !asymmetric)
        return NULL;
    if (shared && asymmetric)
        return "the request names two keys to encrypt the private key with";
    const char *why = shared ? read_shared(lab, csr, r) : read_asymmetric(csr, r);
    if (why != NULL)
        return why;
    /* RFC 7030 4.4.1: the client MUST say what it can decrypt. */
    X509_ALGORS *capabilities = read_capabilities(csr);
    why = capabilities == NULL ? "the request asks for encryption without SMIMECapabilities"
                               : choose(capabilities, r);
    sk_X509_ALGOR_pop_free(capabilities, X509_ALGOR_free);
    return why;
}
