/* A public key object in a token. */
#include "key/pkcs11_use.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

#define VALUE_MAX 2048

typedef struct parts {
    uint8_t one[VALUE_MAX], other[VALUE_MAX]; /* modulus and exponent, or parameters and point */
    size_t one_len, other_len;
} parts;

static bool take_number(const EVP_PKEY *key, const char *name, uint8_t out[VALUE_MAX], size_t *len)
{
    BIGNUM *number = NULL;
    bool done = EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_num_bytes(number) <= VALUE_MAX &&
                est_int_to_size(BN_bn2bin(number, out), len);
    BN_free(number);
    return done;
}

/* CKA_EC_POINT is an OCTET STRING around the point; CKA_EC_PARAMS the curve's OID. */
static bool take_point(const EVP_PKEY *key, parts *out)
{
    char group[64];
    uint8_t point[VALUE_MAX / 2];
    size_t len = 0, used = 0;
    unsigned char *p = out->one;
    if (EVP_PKEY_get_group_name(key, group, sizeof(group), &used) != 1 ||
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1)
        return false;
    ASN1_OBJECT *object = OBJ_nid2obj(OBJ_txt2nid(group));
    if (object == NULL || !est_int_to_size(i2d_ASN1_OBJECT(object, NULL), &out->one_len) ||
        out->one_len > VALUE_MAX || i2d_ASN1_OBJECT(object, &p) <= 0)
        return false;
    ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();
    int size = 0;
    p = out->other;
    bool done = string != NULL && est_size_to_int(len, &size) &&
                ASN1_OCTET_STRING_set(string, point, size) == 1 &&
                est_int_to_size(i2d_ASN1_OCTET_STRING(string, &p), &out->other_len);
    ASN1_OCTET_STRING_free(string);
    return done && out->other_len > 0;
}

estuary_status est_p11_put_public(const est_p11_session *session, const EVP_PKEY *key,
                                  const est_p11_name *name, CK_OBJECT_HANDLE *out, estuary_error *err)
{
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_CLASS of = CKO_PUBLIC_KEY;
    parts values;
    bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
    CK_KEY_TYPE type = rsa ? CKK_RSA : CKK_EC;
    memset(&values, 0, sizeof(values));
    bool taken = rsa ? take_number(key, OSSL_PKEY_PARAM_RSA_N, values.one, &values.one_len) &&
                           take_number(key, OSSL_PKEY_PARAM_RSA_E, values.other, &values.other_len)
                     : EVP_PKEY_is_a(key, "EC") == 1 && take_point(key, &values);
    if (!taken)
        return est_fail_openssl(err, EST_UNSUPPORTED_SIGNER_KEY,
                                "only RSA and EC keys are unwrapped into a token");
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &of, sizeof(of)},
                           {CKA_KEY_TYPE, &type, sizeof(type)},
                           {CKA_TOKEN, &yes, sizeof(yes)},
                           {CKA_VERIFY, &yes, sizeof(yes)},
                           {CKA_LABEL, (void *)name->label, name->label_len},
                           {CKA_ID, (void *)name->id, name->id_len},
                           {rsa ? CKA_MODULUS : CKA_EC_PARAMS, values.one, values.one_len},
                           {rsa ? CKA_PUBLIC_EXPONENT : CKA_EC_POINT, values.other, values.other_len}};
    CK_RV rv =
        session->token->calls->C_CreateObject(session->handle, list, sizeof(list) / sizeof(list[0]), out);
    return rv == CKR_OK ? ESTUARY_OK : est_p11_fail(err, rv, "storing the public key");
}
