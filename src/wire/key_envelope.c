/*
 * The EnvelopedData or AuthEnvelopedData around a server-generated key (RFC 5652 6, RFC 5083), looked at
 * before it is decrypted: one recipient, the one that was asked for, and algorithms we accept. OpenSSL has no
 * accessors for the content's cipher and for what derives a key from a password, so those are read from the
 * encoding.
 */
#include "wire/wire.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define ITERATIONS_MAX 2000000 /* of PBKDF2: the server chooses, we compute */
#define NAME_SIZE      64
#define GCM_NONCE_LEN  12 /* RFC 5084 3.2 */
#define GCM_TAG_MIN    12
#define GCM_TAG_MAX    16

typedef STACK_OF(ASN1_TYPE) elements;

static void free_elements(elements *list)
{
    sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
}

/* What stands in a SEQUENCE or SET (BER is allowed); NULL when it is none. */
static elements *open_value(const ASN1_TYPE *value, bool set)
{
    if (value == NULL || ASN1_TYPE_get(value) != (set ? V_ASN1_SET : V_ASN1_SEQUENCE))
        return NULL;
    const ASN1_STRING *text = value->value.asn1_string;
    const unsigned char *p = ASN1_STRING_get0_data(text);
    long len = ASN1_STRING_length(text);
    return set ? d2i_ASN1_SET_ANY(NULL, &p, len) : d2i_ASN1_SEQUENCE_ANY(NULL, &p, len);
}

/* [number] IMPLICIT SEQUENCE: the same bytes under a SEQUENCE's tag; est_free(). NULL when it is something
 * else. */
static uint8_t *retagged(const ASN1_TYPE *value, uint8_t number, long *len)
{
    size_t size = 0;
    if (value == NULL || ASN1_TYPE_get(value) != V_ASN1_OTHER)
        return NULL;
    const ASN1_STRING *text = value->value.asn1_string;
    *len = ASN1_STRING_length(text);
    if (!est_int_to_size(*len, &size) || size < 2 || ASN1_STRING_get0_data(text)[0] != (0xa0 | number))
        return NULL;
    uint8_t *copy = est_alloc(size);
    if (copy == NULL)
        return NULL;
    memcpy(copy, ASN1_STRING_get0_data(text), size);
    copy[0] = 0x30;
    return copy;
}

static elements *open_tagged(const ASN1_TYPE *value, uint8_t number)
{
    long len = 0;
    uint8_t *copy = retagged(value, number, &len);
    const unsigned char *p = copy;
    elements *list = copy == NULL ? NULL : d2i_ASN1_SEQUENCE_ANY(NULL, &p, len);
    est_free(copy);
    return list;
}

static X509_ALGOR *read_tagged_algorithm(const ASN1_TYPE *value, uint8_t number)
{
    long len = 0;
    uint8_t *copy = retagged(value, number, &len);
    const unsigned char *p = copy;
    X509_ALGOR *algorithm = copy == NULL ? NULL : d2i_X509_ALGOR(NULL, &p, len);
    est_free(copy);
    return algorithm;
}

static const ASN1_TYPE *element(const elements *list, int index)
{
    return index < sk_ASN1_TYPE_num(list) ? sk_ASN1_TYPE_value(list, index) : NULL;
}

/* ContentInfo, its [0] EXPLICIT content, and the fields inside. */
static elements *open_message(const uint8_t *der, size_t len)
{
    long size = 0, content = 0;
    int tag = 0, class = 0;
    const unsigned char *p = der;
    elements *info = est_size_to_long(len, &size) ? d2i_ASN1_SEQUENCE_ANY(NULL, &p, size) : NULL;
    const ASN1_TYPE *wrapped = element(info, 1);
    elements *fields = NULL;
    if (wrapped != NULL && ASN1_TYPE_get(wrapped) == V_ASN1_OTHER) {
        p = ASN1_STRING_get0_data(wrapped->value.asn1_string);
        size = ASN1_STRING_length(wrapped->value.asn1_string);
        const unsigned char *start = p;
        if ((ASN1_get_object(&p, &content, &tag, &class, size) & 0x80) == 0)
            fields = d2i_ASN1_SEQUENCE_ANY(NULL, &p, size - (p - start));
    }
    free_elements(info);
    return fields;
}

/* recipientInfos is the first SET; EncryptedContentInfo follows it (RFC 5652 6.1, RFC 5083 2.1). */
static int find_recipients(const elements *fields)
{
    for (int i = 0; i < sk_ASN1_TYPE_num(fields); i++) {
        if (ASN1_TYPE_get(sk_ASN1_TYPE_value(fields, i)) == V_ASN1_SET)
            return i;
    }
    return -1;
}

static X509_ALGOR *read_algorithm(const ASN1_TYPE *value)
{
    if (value == NULL || ASN1_TYPE_get(value) != V_ASN1_SEQUENCE)
        return NULL;
    const unsigned char *p = ASN1_STRING_get0_data(value->value.sequence);
    return d2i_X509_ALGOR(NULL, &p, ASN1_STRING_length(value->value.sequence));
}

static bool is_one_of(int nid, const int *nids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (nids[i] == nid)
            return true;
    }
    return false;
}

static const int aes[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc,
                          NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm};
static const int aes_cbc[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc};
static const int aes_wrap[] = {NID_id_aes128_wrap, NID_id_aes192_wrap, NID_id_aes256_wrap};
static const int aes_gcm[] = {NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm};
/* With SHA-1 is what OpenSSL's CMS sends unless told otherwise; a key derivation needs no collision
 * resistance.
 */
static const int agreements[] = {
    NID_dhSinglePass_stdDH_sha1kdf_scheme, NID_dhSinglePass_stdDH_sha256kdf_scheme,
    NID_dhSinglePass_stdDH_sha384kdf_scheme, NID_dhSinglePass_stdDH_sha512kdf_scheme};
static const int transports[] = {NID_rsaEncryption, NID_rsaesOaep};

/* By name: "what is wrong with des-ede3-cbc" is the next question. */
static estuary_status refuse(const ASN1_OBJECT *algorithm, const char *what, estuary_error *err)
{
    char name[NAME_SIZE] = "", shown[NAME_SIZE];
    if (algorithm == NULL || OBJ_obj2txt(name, sizeof(name), algorithm, 0) <= 0)
        return est_fail(err, EST_PROTOCOL_KEY_CIPHER, NULL);
    est_text_sanitise(name, strlen(name), shown, sizeof(shown));
    return est_fail(err, EST_PROTOCOL_KEY_CIPHER, "%s of the private key uses %s, which is not accepted",
                    what, shown);
}

static estuary_status refuse_envelope(estuary_error *err)
{
    return est_fail_openssl(err, EST_PROTOCOL_KEY_ENVELOPE, NULL);
}

static estuary_status check_algorithm(const X509_ALGOR *algorithm, const int *nids, size_t n,
                                      const char *what, estuary_error *err)
{
    const ASN1_OBJECT *object = NULL;
    if (algorithm == NULL)
        return refuse_envelope(err);
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    return is_one_of(OBJ_obj2nid(object), nids, n) ? ESTUARY_OK : refuse(object, what, err);
}

#define CHECK_ALGORITHM(algorithm, nids, what)                                                               \
    check_algorithm(algorithm, nids, sizeof(nids) / sizeof((nids)[0]), what, err)

/* The AlgorithmIdentifier that is another one's parameter: the KEK's cipher */
static estuary_status check_inner_algorithm(const X509_ALGOR *outer, const int *nids, size_t n,
                                            const char *what, estuary_error *err)
{
    int type = V_ASN1_UNDEF;
    const void *value = NULL;
    X509_ALGOR *inner = NULL;
    if (outer == NULL)
        return refuse_envelope(err);
    X509_ALGOR_get0(NULL, &type, &value, outer);
    if (type == V_ASN1_SEQUENCE) {
        const unsigned char *p = ASN1_STRING_get0_data(value);
        inner = d2i_X509_ALGOR(NULL, &p, ASN1_STRING_length(value));
    }
    estuary_status status = check_algorithm(inner, nids, n, what, err);
    X509_ALGOR_free(inner);
    return status;
}

/* RFC 5084 3.2: SEQUENCE { nonce OCTET STRING, ICVlen INTEGER DEFAULT 12 } */
static bool is_gcm_sound(const elements *parameters)
{
    const ASN1_TYPE *nonce = element(parameters, 0), *tag = element(parameters, 1);
    int64_t len = GCM_TAG_MIN;
    if (nonce == NULL || sk_ASN1_TYPE_num(parameters) > 2 || ASN1_TYPE_get(nonce) != V_ASN1_OCTET_STRING ||
        ASN1_STRING_length(nonce->value.octet_string) != GCM_NONCE_LEN)
        return false;
    if (tag != NULL &&
        (ASN1_TYPE_get(tag) != V_ASN1_INTEGER || ASN1_INTEGER_get_int64(&len, tag->value.integer) != 1))
        return false;
    return len >= GCM_TAG_MIN && len <= GCM_TAG_MAX;
}

/* An oversized nonce overran a buffer of older libcrypto (CVE-2025-15467), so it does not get there. */
static estuary_status check_gcm(const X509_ALGOR *algorithm, estuary_error *err)
{
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    elements *parameters = NULL;
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    if (!is_one_of(OBJ_obj2nid(object), aes_gcm, sizeof(aes_gcm) / sizeof(aes_gcm[0])))
        return ESTUARY_OK;
    if (type == V_ASN1_SEQUENCE) {
        const unsigned char *p = ASN1_STRING_get0_data(value);
        parameters = d2i_ASN1_SEQUENCE_ANY(NULL, &p, ASN1_STRING_length(value));
    }
    bool sound = is_gcm_sound(parameters);
    free_elements(parameters);
    return sound
               ? ESTUARY_OK
               : est_fail_openssl(err, EST_PROTOCOL_KEY_CIPHER,
                                  "the nonce or tag of the private key's encryption is not of a size that is "
                                  "accepted (RFC 5084 3.2)");
}

static estuary_status check_content(const elements *fields, int recipients, estuary_error *err)
{
    elements *content = open_value(element(fields, recipients + 1), false);
    X509_ALGOR *algorithm = read_algorithm(element(content, 1));
    estuary_status status = CHECK_ALGORITHM(algorithm, aes, "the encryption");
    if (status == ESTUARY_OK)
        status = check_gcm(algorithm, err);
    X509_ALGOR_free(algorithm);
    free_elements(content);
    return status;
}

/* RFC 8018 A.2; a hostile number of iterations would keep us busy for hours. */
static estuary_status check_pbkdf2(const ASN1_TYPE *value, estuary_error *err)
{
    static const int kdf[] = {NID_id_pbkdf2};
    estuary_status status = ESTUARY_OK;
    int64_t iterations = 0;
    PBKDF2PARAM *parameters = NULL;
    X509_ALGOR *algorithm = read_tagged_algorithm(value, 0);
    int type = V_ASN1_UNDEF;
    const void *inner = NULL;
    EST_TRY(CHECK_ALGORITHM(algorithm, kdf, "the password encryption"));
    X509_ALGOR_get0(NULL, &type, &inner, algorithm);
    if (type == V_ASN1_SEQUENCE) {
        const unsigned char *p = ASN1_STRING_get0_data(inner);
        parameters = d2i_PBKDF2PARAM(NULL, &p, ASN1_STRING_length(inner));
    }
    if (parameters == NULL || ASN1_INTEGER_get_int64(&iterations, parameters->iter) != 1)
        EST_TRY(refuse_envelope(err));
    if (iterations < 1 || iterations > ITERATIONS_MAX)
        EST_FAIL(EST_PROTOCOL_KEY_CIPHER,
                 "the password encryption of the private key asks for more than %d iterations of PBKDF2",
                 ITERATIONS_MAX);

cleanup:
    PBKDF2PARAM_free(parameters);
    X509_ALGOR_free(algorithm);
    return status;
}

/* RFC 5652 6.2.4, RFC 3211 */
static estuary_status check_password(const elements *fields, int recipients, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    elements *all = open_value(element(fields, recipients), true);
    elements *recipient = open_tagged(element(all, 0), 3);
    X509_ALGOR *algorithm = read_algorithm(element(recipient, 2));
    if (recipient == NULL || element(recipient, 1) == NULL)
        EST_TRY(refuse_envelope(err));
    EST_TRY(check_pbkdf2(element(recipient, 1), err));
    EST_TRY(check_inner_algorithm(algorithm, aes_cbc, sizeof(aes_cbc) / sizeof(aes_cbc[0]),
                                  "the password encryption", err));

cleanup:
    X509_ALGOR_free(algorithm);
    free_elements(recipient);
    free_elements(all);
    return status;
}

static bool same_bytes(const ASN1_OCTET_STRING *id, const est_decrypt *decrypt)
{
    size_t len = 0;
    return est_int_to_size(ASN1_STRING_length(id), &len) && len == decrypt->id_len &&
           (len == 0 || memcmp(ASN1_STRING_get0_data(id), decrypt->id, len) == 0);
}

/*
 * RFC 7030 4.4.2: the identifier of the request, or issuer and serial number that the server found for it.
 * The latter can only be compared when the key's certificate is known; that the key decrypts is shown either
 * way.
 */
static estuary_status check_identity(const ASN1_OCTET_STRING *key_id, const X509_NAME *issuer,
                                     const ASN1_INTEGER *serial, const est_decrypt *decrypt,
                                     estuary_error *err)
{
    const X509 *known = decrypt->certificate;
    bool same = key_id != NULL ? same_bytes(key_id, decrypt) : issuer != NULL && serial != NULL;
    if (key_id == NULL && same && known != NULL)
        same = X509_NAME_cmp(issuer, X509_get_issuer_name(known)) == 0 &&
               ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(known)) == 0;
    return same ? ESTUARY_OK : est_fail(err, EST_PROTOCOL_KEY_RECIPIENT, NULL);
}

static estuary_status check_transport(CMS_RecipientInfo *recipient, const est_decrypt *decrypt,
                                      estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    ASN1_OCTET_STRING *key_id = NULL;
    X509_NAME *issuer = NULL;
    ASN1_INTEGER *serial = NULL;
    X509_ALGOR *algorithm = NULL;
    if (CMS_RecipientInfo_ktri_get0_signer_id(recipient, &key_id, &issuer, &serial) != 1 ||
        CMS_RecipientInfo_ktri_get0_algs(recipient, NULL, NULL, &algorithm) != 1)
        EST_TRY(refuse_envelope(err));
    EST_TRY(CHECK_ALGORITHM(algorithm, transports, "the key transport"));
    EST_TRY(check_identity(key_id, issuer, serial, decrypt, err));

cleanup:
    return status;
}

static estuary_status check_agreement(CMS_RecipientInfo *recipient, const est_decrypt *decrypt,
                                      estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    ASN1_OCTET_STRING *key_id = NULL;
    X509_NAME *issuer = NULL;
    ASN1_INTEGER *serial = NULL;
    X509_ALGOR *algorithm = NULL;
    STACK_OF(CMS_RecipientEncryptedKey) *keys = CMS_RecipientInfo_kari_get0_reks(recipient);
    if (sk_CMS_RecipientEncryptedKey_num(keys) != 1 ||
        CMS_RecipientEncryptedKey_get0_id(sk_CMS_RecipientEncryptedKey_value(keys, 0), &key_id, NULL, NULL,
                                          &issuer, &serial) != 1 ||
        CMS_RecipientInfo_kari_get0_alg(recipient, &algorithm, NULL) != 1)
        EST_TRY(refuse_envelope(err));
    EST_TRY(CHECK_ALGORITHM(algorithm, agreements, "the key agreement"));
    EST_TRY(check_inner_algorithm(algorithm, aes_wrap, sizeof(aes_wrap) / sizeof(aes_wrap[0]),
                                  "the key agreement", err));
    EST_TRY(check_identity(key_id, issuer, serial, decrypt, err));

cleanup:
    return status;
}

static estuary_status check_kek(CMS_RecipientInfo *recipient, const est_decrypt *decrypt, estuary_error *err)
{
    ASN1_OCTET_STRING *key_id = NULL;
    X509_ALGOR *algorithm = NULL;
    size_t len = 0;
    if (CMS_RecipientInfo_kekri_get0_id(recipient, &algorithm, &key_id, NULL, NULL, NULL) != 1 ||
        key_id == NULL)
        return refuse_envelope(err);
    (void)estuary_secret_get0(decrypt->secret, &len);
    int wanted = len == 32 ? NID_id_aes256_wrap : len == 24 ? NID_id_aes192_wrap : NID_id_aes128_wrap;
    estuary_status status = check_algorithm(algorithm, &wanted, 1, "the key wrap", err);
    if (status == ESTUARY_OK && !same_bytes(key_id, decrypt))
        status = est_fail(err, EST_PROTOCOL_KEY_RECIPIENT, NULL);
    return status;
}

static const struct {
    int type;
    est_decrypt_method method;
    const char *words;
} techniques[] = {
    {CMS_RECIPINFO_TRANS, EST_DECRYPT_RSA, "RSA key transport"},
    {CMS_RECIPINFO_AGREE, EST_DECRYPT_EC, "key agreement"},
    {CMS_RECIPINFO_KEK, EST_DECRYPT_KEK, "a key-encryption key"},
    {CMS_RECIPINFO_PASS, EST_DECRYPT_PASSWORD, "a password"},
};

static estuary_status check_technique(int type, est_decrypt_method method, estuary_error *err)
{
    const char *got = "an unknown technique", *wanted = "none";
    for (size_t i = 0; i < sizeof(techniques) / sizeof(techniques[0]); i++) {
        bool same = techniques[i].method == method;
        if (techniques[i].type == type && same)
            return ESTUARY_OK;
        if (techniques[i].type == type)
            got = techniques[i].words;
        if (same)
            wanted = techniques[i].words;
    }
    return est_fail(err, EST_PROTOCOL_KEY_METHOD,
                    "the server encrypted the private key with %s, asked for was %s", got, wanted);
}

estuary_status est_key_envelope_check(CMS_ContentInfo *cms, const uint8_t *der, size_t len,
                                      const est_decrypt *decrypt, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(CMS_RecipientInfo) *recipients = CMS_get0_RecipientInfos(cms);
    elements *fields = open_message(der, len);
    int at = find_recipients(fields);
    if (at < 0 || sk_CMS_RecipientInfo_num(recipients) != 1)
        EST_TRY(refuse_envelope(err));
    CMS_RecipientInfo *recipient = sk_CMS_RecipientInfo_value(recipients, 0);
    EST_TRY(check_technique(CMS_RecipientInfo_type(recipient), decrypt->method, err));
    EST_TRY(check_content(fields, at, err));
    if (decrypt->method == EST_DECRYPT_RSA)
        EST_TRY(check_transport(recipient, decrypt, err));
    else if (decrypt->method == EST_DECRYPT_EC)
        EST_TRY(check_agreement(recipient, decrypt, err));
    else if (decrypt->method == EST_DECRYPT_KEK)
        EST_TRY(check_kek(recipient, decrypt, err));
    else
        EST_TRY(check_password(fields, at, err));

cleanup:
    free_elements(fields);
    return status;
}
