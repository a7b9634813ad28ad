/* Objects of a token: finding them, and the public half of a key. A token's answers are as hostile as a
 * server's. */
#include "key/pkcs11.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>

#define VALUE_MAX 4096 /* the modulus of a 16384-bit RSA key fits twice */

estuary_status est_p11_name_from_uri(const est_p11_uri *uri, est_p11_name *out, estuary_error *err)
{
    const est_p11_kit *kit = est_p11_kit_get();
    const CK_ATTRIBUTE *id = kit->uri_get_attribute(uri->parsed, CKA_ID);
    const CK_ATTRIBUTE *label = kit->uri_get_attribute(uri->parsed, CKA_LABEL);
    memset(out, 0, sizeof(*out));
    if ((id != NULL && id->ulValueLen > EST_P11_NAME_MAX) ||
        (label != NULL && label->ulValueLen > EST_P11_NAME_MAX))
        return est_fail(err, EST_USAGE_PKCS11_URI,
                        "the id or the object's label in the PKCS#11 URI is too long");
    if (id != NULL && id->ulValueLen > 0) {
        memcpy(out->id, id->pValue, id->ulValueLen);
        out->id_len = id->ulValueLen;
    }
    if (label != NULL && label->ulValueLen > 0) {
        memcpy(out->label, label->pValue, label->ulValueLen);
        out->label_len = label->ulValueLen;
    }
    return ESTUARY_OK;
}

static CK_ULONG fill(CK_ATTRIBUTE attributes[4], CK_OBJECT_CLASS *of, CK_BBOOL *yes, const est_p11_name *name)
{
    CK_ULONG n = 0;
    attributes[n++] = (CK_ATTRIBUTE){CKA_CLASS, of, sizeof(*of)};
    attributes[n++] = (CK_ATTRIBUTE){CKA_TOKEN, yes, sizeof(*yes)};
    if (name->id_len > 0)
        attributes[n++] = (CK_ATTRIBUTE){CKA_ID, (void *)name->id, name->id_len};
    if (name->label_len > 0)
        attributes[n++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)name->label, name->label_len};
    return n;
}

CK_RV est_p11_find_begin(const est_p11_session *session, CK_OBJECT_CLASS of, const est_p11_name *name)
{
    CK_ATTRIBUTE attributes[4];
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG count = fill(attributes, &of, &yes, name);
    return session->token->calls->C_FindObjectsInit(session->handle, attributes, count);
}

estuary_status est_p11_find(const est_p11_session *session, CK_OBJECT_CLASS of, const est_p11_name *name,
                            CK_OBJECT_HANDLE *out, estuary_error *err)
{
    const CK_FUNCTION_LIST *calls = session->token->calls;
    CK_OBJECT_HANDLE found[2] = {0, 0};
    CK_ULONG n = 0;
    CK_RV rv = est_p11_find_begin(session, of, name);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "looking for the key");
    rv = calls->C_FindObjects(session->handle, found, 2, &n);
    CK_RV ended = calls->C_FindObjectsFinal(session->handle);
    if (rv != CKR_OK || ended != CKR_OK)
        return est_p11_fail(err, rv != CKR_OK ? rv : ended, "looking for the key");
    if (n > 2)
        return est_fail(err, EST_KEY_TOKEN, "the token names more keys than it was asked for");
    if (n == 0)
        return est_fail(err, EST_KEY_NOT_FOUND, "the token \"%s\" holds no such key", session->token->label);
    if (n == 2)
        return est_fail(err, EST_KEY_AMBIGUOUS, NULL);
    *out = found[0];
    return ESTUARY_OK;
}

estuary_status est_p11_attribute(const est_p11_session *session, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE_TYPE type, void *out, size_t size, size_t *len,
                                 estuary_error *err)
{
    CK_ATTRIBUTE attribute = {type, out, size};
    *len = 0;
    CK_RV rv = session->token->calls->C_GetAttributeValue(session->handle, object, &attribute, 1);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "reading an attribute of the key");
    if (attribute.ulValueLen > size || attribute.pValue != out)
        return est_fail(err, EST_KEY_TOKEN, "the token gave an attribute of a length that cannot be");
    *len = attribute.ulValueLen;
    return ESTUARY_OK;
}

estuary_status est_p11_name_of(const est_p11_session *session, CK_OBJECT_HANDLE object, est_p11_name *out,
                               estuary_error *err)
{
    memset(out, 0, sizeof(*out));
    estuary_status status =
        est_p11_attribute(session, object, CKA_ID, out->id, sizeof(out->id), &out->id_len, err);
    if (status == ESTUARY_OK)
        status = est_p11_attribute(session, object, CKA_LABEL, out->label, sizeof(out->label),
                                   &out->label_len, err);
    return status;
}

bool est_p11_flag(const est_p11_session *session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                  bool absent)
{
    CK_BBOOL value = CK_FALSE;
    size_t len = 0;
    if (est_p11_attribute(session, object, type, &value, sizeof(value), &len, NULL) != ESTUARY_OK ||
        len != sizeof(value))
        return absent;
    return value != CK_FALSE;
}

static estuary_status no_public(estuary_error *err)
{
    return est_fail_openssl(err, EST_KEY_PUBLIC, NULL);
}

static estuary_status from_params(const char *kind, OSSL_PARAM *params, EVP_PKEY **out, estuary_error *err)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    bool ok = context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
              EVP_PKEY_fromdata(context, out, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(context);
    return ok ? ESTUARY_OK : no_public(err);
}

static estuary_status rsa_key(const uint8_t *n, size_t n_len, const uint8_t *e, size_t e_len, EVP_PKEY **out,
                              estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    int n_int = 0, e_int = 0;
    BIGNUM *modulus = NULL, *exponent = NULL;
    if (!est_size_to_int(n_len, &n_int) || !est_size_to_int(e_len, &e_int))
        EST_FAIL(EST_KEY_PUBLIC, NULL);
    modulus = BN_bin2bn(n, n_int, NULL);
    exponent = BN_bin2bn(e, e_int, NULL);
    if (build == NULL || modulus == NULL || exponent == NULL ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) != 1 ||
        (params = OSSL_PARAM_BLD_to_param(build)) == NULL)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    EST_TRY(from_params("RSA", params, out, err));

cleanup:
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return status;
}

/* CKA_EC_POINT is a DER OCTET STRING around the point; some tokens leave the wrapping out. */
static const uint8_t *unwrap(const uint8_t *value, size_t *len)
{
    const unsigned char *p = value;
    long long_len = 0, content = 0;
    int tag = 0, class = 0;
    if (!est_size_to_long(*len, &long_len) || long_len == 0 || value[0] != V_ASN1_OCTET_STRING)
        return value;
    int kind = ASN1_get_object(&p, &content, &tag, &class, long_len);
    ERR_clear_error();
    if ((kind & 0x80) != 0 || content <= 0 || p + content != value + *len)
        return value;
    *len = (size_t)content;
    return p;
}

/* CKA_EC_PARAMS: an OID, or for Edwards curves also a name. */
static int curve_of(const uint8_t *params, size_t len)
{
    const unsigned char *p = params;
    long long_len = 0;
    ASN1_OBJECT *object = est_size_to_long(len, &long_len) ? d2i_ASN1_OBJECT(NULL, &p, long_len) : NULL;
    int nid = object != NULL && p == params + len ? OBJ_obj2nid(object) : NID_undef;
    ASN1_OBJECT_free(object);
    ERR_clear_error();
    if (nid != NID_undef || len < 2 || params[0] != V_ASN1_PRINTABLESTRING || params[1] != len - 2)
        return nid;
    if (len == 14 && memcmp(params + 2, "edwards25519", 12) == 0)
        return NID_ED25519;
    return len == 12 && memcmp(params + 2, "edwards448", 10) == 0 ? NID_ED448 : NID_undef;
}

static estuary_status ec_key(int nid, const uint8_t *point, size_t len, EVP_PKEY **out, estuary_error *err)
{
    const char *group = nid == NID_undef ? NULL : OBJ_nid2sn(nid);
    if (group == NULL)
        return est_fail(err, EST_KEY_PUBLIC, "the token's key is on a curve we do not know");
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)group, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, len),
                           OSSL_PARAM_construct_end()};
    return from_params("EC", params, out, err);
}

static estuary_status read_rsa(const est_p11_session *session, CK_OBJECT_HANDLE object, EVP_PKEY **out,
                               estuary_error *err)
{
    uint8_t n[VALUE_MAX], e[VALUE_MAX];
    size_t n_len = 0, e_len = 0;
    estuary_status status = est_p11_attribute(session, object, CKA_MODULUS, n, sizeof(n), &n_len, err);
    if (status == ESTUARY_OK)
        status = est_p11_attribute(session, object, CKA_PUBLIC_EXPONENT, e, sizeof(e), &e_len, err);
    return status == ESTUARY_OK ? rsa_key(n, n_len, e, e_len, out, err) : status;
}

static estuary_status read_ec(const est_p11_session *session, CK_OBJECT_HANDLE object, EVP_PKEY **out,
                              estuary_error *err)
{
    uint8_t params[VALUE_MAX], value[VALUE_MAX];
    size_t params_len = 0, len = 0;
    estuary_status status =
        est_p11_attribute(session, object, CKA_EC_PARAMS, params, sizeof(params), &params_len, err);
    if (status == ESTUARY_OK)
        status = est_p11_attribute(session, object, CKA_EC_POINT, value, sizeof(value), &len, err);
    if (status != ESTUARY_OK)
        return status;
    const uint8_t *point = unwrap(value, &len);
    int nid = curve_of(params, params_len);
    if (nid != NID_ED25519 && nid != NID_ED448)
        return ec_key(nid, point, len, out, err);
    *out = EVP_PKEY_new_raw_public_key(nid, NULL, point, len);
    return *out == NULL ? no_public(err) : ESTUARY_OK;
}

estuary_status est_p11_public_key(const est_p11_session *session, CK_OBJECT_HANDLE key,
                                  const est_p11_name *name, EVP_PKEY **out, estuary_error *err)
{
    CK_KEY_TYPE type = 0;
    CK_OBJECT_HANDLE public_object = 0;
    size_t len = 0;
    *out = NULL;
    estuary_status status = est_p11_attribute(session, key, CKA_KEY_TYPE, &type, sizeof(type), &len, err);
    if (status != ESTUARY_OK)
        return status;
    if (len != sizeof(type))
        return est_fail(err, EST_KEY_TOKEN, "the token gave an attribute of a length that cannot be");
    /* an RSA private key has both numbers (PKCS#11 2.40 2.1.3), an EC one need not have its point */
    if (type == CKK_RSA && read_rsa(session, key, out, NULL) == ESTUARY_OK)
        return ESTUARY_OK;
    status = est_p11_find(session, CKO_PUBLIC_KEY, name, &public_object, err);
    if (status == ESTUARY_E_KEY && est_error_code_of(err) == EST_KEY_NOT_FOUND)
        return est_fail(err, EST_KEY_PUBLIC, "the token holds no public key object beside the private key");
    if (status != ESTUARY_OK)
        return status;
    if (type == CKK_RSA)
        return read_rsa(session, public_object, out, err);
    if (type == CKK_EC || type == CKK_EC_EDWARDS)
        return read_ec(session, public_object, out, err);
    return est_fail(err, EST_UNSUPPORTED_SIGNER_KEY, NULL);
}
