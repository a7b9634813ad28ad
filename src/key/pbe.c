/* How a private key is encrypted, looked at before the passphrase is put to work (RFC 8018, RFC 7914, RFC
 * 7292). */
#include "key/key.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

/* A few seconds of one core. What the file asks for beyond that would look like a hang. */
#define ITERATIONS_MAX  10000000
#define SCRYPT_WORK_MAX ((int64_t)1 << 30) /* bytes mixed: 128 * N * r * p */

bool est_cipher_is_fetchable(const char *name)
{
    EVP_CIPHER *cipher = name == NULL ? NULL : EVP_CIPHER_fetch(NULL, name, NULL);
    bool there = cipher != NULL;
    EVP_CIPHER_free(cipher);
    return there;
}

estuary_status est_key_no_cipher(estuary_error *err)
{
    return est_fail_openssl(err, EST_KEY_FORMAT,
                            "the key is encrypted in a way that the loaded providers cannot undo");
}

static estuary_status unreadable(estuary_error *err)
{
    return est_fail_openssl(err, EST_KEY_FORMAT, "the parameters of the key's encryption cannot be read");
}

static bool in_range(const ASN1_INTEGER *number, int64_t max, int64_t *value)
{
    return ASN1_INTEGER_get_int64(value, number) == 1 && *value <= max;
}

static estuary_status check_iterations(const ASN1_INTEGER *number, const char *what, estuary_error *err)
{
    int64_t count = 0;
    if (!in_range(number, ITERATIONS_MAX, &count)) {
        ERR_clear_error();
        return est_fail(err, EST_KEY_TOO_EXPENSIVE,
                        "the key is encrypted with more than %d iterations of %s, which is refused",
                        ITERATIONS_MAX, what);
    }
    return count < 1 ? unreadable(err) : ESTUARY_OK;
}

/* RFC 8018 A.2 */
static estuary_status check_pbkdf2(const ASN1_STRING *der, estuary_error *err)
{
    PBKDF2PARAM *params = ASN1_item_unpack(der, ASN1_ITEM_rptr(PBKDF2PARAM));
    estuary_status status = params == NULL ? unreadable(err) : check_iterations(params->iter, "PBKDF2", err);
    PBKDF2PARAM_free(params);
    return status;
}

/* RFC 7914 7.1; OpenSSL bounds the memory by itself, but not the time that p asks for */
static estuary_status check_scrypt(const ASN1_STRING *der, estuary_error *err)
{
    static const int64_t max = SCRYPT_WORK_MAX / 128;
    int64_t n = 0, r = 0, p = 0;
    estuary_status status = ESTUARY_OK;
    SCRYPT_PARAMS *params = ASN1_item_unpack(der, ASN1_ITEM_rptr(SCRYPT_PARAMS));
    if (params == NULL) {
        status = unreadable(err);
    } else if (!in_range(params->costParameter, max, &n) || !in_range(params->blockSize, max, &r) ||
               !in_range(params->parallelizationParameter, max, &p)) {
        ERR_clear_error();
        status = est_fail(err, EST_KEY_TOO_EXPENSIVE, NULL);
    } else if (n < 1 || r < 1 || p < 1) {
        status = unreadable(err);
    } else if (n > max / r || n * r > max / p) {
        status = est_fail(err, EST_KEY_TOO_EXPENSIVE,
                          "the key is encrypted with scrypt at a cost (N=%" PRId64 ", r=%" PRId64
                          ", p=%" PRId64 ") that is refused",
                          n, r, p);
    }
    SCRYPT_PARAMS_free(params);
    return status;
}

static estuary_status check_pbes2(const ASN1_STRING *der, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const ASN1_OBJECT *oid = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    PBE2PARAM *params = ASN1_item_unpack(der, ASN1_ITEM_rptr(PBE2PARAM));
    if (params == NULL) {
        status = unreadable(err);
        goto cleanup;
    }
    int cipher = OBJ_obj2nid(params->encryption->algorithm);
    if (cipher == NID_undef || !est_cipher_is_fetchable(OBJ_nid2sn(cipher)))
        EST_TRY(est_key_no_cipher(err));
    X509_ALGOR_get0(&oid, &type, &value, params->keyfunc);
    int kdf = OBJ_obj2nid(oid);
    if (type != V_ASN1_SEQUENCE || (kdf != NID_id_pbkdf2 && kdf != NID_id_scrypt))
        EST_TRY(est_key_no_cipher(err));
    EST_TRY(kdf == NID_id_scrypt ? check_scrypt(value, err) : check_pbkdf2(value, err));
cleanup:
    PBE2PARAM_free(params);
    return status;
}

/* The PBEParameter of PKCS#5 1.5 and the pkcs-12PbeParams of RFC 7292 C have one form. */
static estuary_status check_pbe1(int nid, int type, const void *value, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    PBEPARAM *params = NULL;
    int cipher = NID_undef;
    if (EVP_PBE_find(EVP_PBE_TYPE_OUTER, nid, &cipher, NULL, NULL) != 1 || cipher == NID_undef ||
        !est_cipher_is_fetchable(OBJ_nid2sn(cipher)))
        EST_TRY(est_key_no_cipher(err));
    if (type == V_ASN1_SEQUENCE)
        params = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM));
    if (params == NULL) {
        status = unreadable(err);
        goto cleanup;
    }
    EST_TRY(check_iterations(params->iter, "its key derivation", err));
cleanup:
    PBEPARAM_free(params);
    return status;
}

estuary_status est_key_check_encryption(const X509_SIG *encrypted, estuary_error *err)
{
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *oid = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    X509_SIG_get0(encrypted, &algorithm, NULL);
    X509_ALGOR_get0(&oid, &type, &value, algorithm);
    int nid = OBJ_obj2nid(oid);
    if (nid == NID_pbes2 && type == V_ASN1_SEQUENCE)
        return check_pbes2(value, err);
    return check_pbe1(nid, type, value, err);
}
