#include "wire/wire.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>

#define RSA_MIN_BITS      2048
#define EC_MIN_BITS       224
#define MAX_CURVES        256
#define SECURITY_MIN_BITS 112 /* NIST SP 800-57: what RSA 2048 and EC 224 give */

static void set_weak(est_key_info *info, const char *why)
{
    if (info->weak)
        return;
    info->weak = true;
    snprintf(info->why, sizeof(info->why), "%s", why);
}

/* NULL when the key does not show the number (a key in hardware may not). */
static BIGNUM *number_of(const EVP_PKEY *key, const char *name)
{
    BIGNUM *number = NULL;
    ERR_set_mark();
    if (EVP_PKEY_get_bn_param(key, name, &number) != 1)
        number = NULL;
    ERR_pop_to_mark();
    return number;
}

static void look_at_rsa(const EVP_PKEY *key, const char *family, est_key_info *info)
{
    snprintf(info->name, sizeof(info->name), "%s:%d", family, info->bits);
    if (info->bits < RSA_MIN_BITS) {
        info->weak = true;
        snprintf(info->why, sizeof(info->why), "RSA keys need at least %d bits, this one has %d",
                 RSA_MIN_BITS, info->bits);
    }
    BIGNUM *e = number_of(key, OSSL_PKEY_PARAM_RSA_E);
    BIGNUM *n = number_of(key, OSSL_PKEY_PARAM_RSA_N);
    if (e != NULL && (BN_is_zero(e) || BN_is_one(e)))
        set_weak(info, "the RSA exponent is smaller than 3");
    if (e != NULL && !BN_is_odd(e))
        set_weak(info, "the RSA exponent is even");
    if (n != NULL && !BN_is_odd(n))
        set_weak(info, "the RSA modulus is even");
    BN_free(e);
    BN_free(n);
}

/* "P-256" for "prime256v1", else OpenSSL's short name. */
static bool curve_name(const EVP_PKEY *key, char *out, size_t size)
{
    char group[64];
    size_t len = 0;
    if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1)
        return false;
    int nid = EC_curve_nist2nid(group);
    if (nid == NID_undef)
        nid = OBJ_txt2nid(group);
    const char *name = EC_curve_nid2nist(nid);
    int used = snprintf(out, size, "%s", name == NULL ? group : name);
    return used > 0 && (size_t)used < size;
}

bool est_curve_is_known(int nid)
{
    EC_builtin_curve curves[MAX_CURVES];
    size_t count = EC_get_builtin_curves(curves, MAX_CURVES);
    for (size_t i = 0; i < count && i < MAX_CURVES; i++)
        if (curves[i].nid == nid)
            return true;
    return false;
}

/* On a curve of prime order (the NIST P curves) a point on the curve is in the group: no multiplication
 * needed. */
static bool has_prime_order(const char *curve)
{
    return strncmp(curve, "P-", 2) == 0;
}

static bool point_is_good(const EVP_PKEY *key, const char *curve)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, (EVP_PKEY *)key, NULL);
    int result = 0;
    /* below 0: the provider has no such check */
    if (context != NULL)
        result =
            has_prime_order(curve) ? EVP_PKEY_public_check_quick(context) : EVP_PKEY_public_check(context);
    EVP_PKEY_CTX_free(context);
    return result != 0;
}

static void look_at_ec(const EVP_PKEY *key, est_key_info *info)
{
    char curve[48] = "?";
    int explicit_curve = 0;
    ERR_set_mark();
    bool named = curve_name(key, curve, sizeof(curve));
    /* RFC 5480 2.1.1: specifiedCurve MUST NOT be used */
    if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_curve) != 1)
        explicit_curve = 0;
    snprintf(info->name, sizeof(info->name), "ec:%s", named ? curve : "?");
    if (!named || explicit_curve != 0)
        set_weak(info, "the curve is not a named one");
    if (info->bits < EC_MIN_BITS && !info->weak) {
        info->weak = true;
        snprintf(info->why, sizeof(info->why), "EC keys need at least %d bits, this one has %d", EC_MIN_BITS,
                 info->bits);
    }
    if (!info->weak && !point_is_good(key, curve))
        set_weak(info, "the public key is not a good point of its curve");
    ERR_pop_to_mark();
}

static void look_at_other(const EVP_PKEY *key, const char *type, est_key_info *info)
{
    snprintf(info->name, sizeof(info->name), "%s", type);
    if (EVP_PKEY_get_security_bits(key) < SECURITY_MIN_BITS)
        set_weak(info, "the key gives less than 112 bits of security");
}

bool est_key_info_get(const EVP_PKEY *key, est_key_info *out)
{
    memset(out, 0, sizeof(*out));
    const char *type = key == NULL ? NULL : EVP_PKEY_get0_type_name(key);
    if (type == NULL || (out->bits = EVP_PKEY_get_bits(key)) <= 0)
        return false;
    if (EVP_PKEY_is_a(key, "RSA"))
        look_at_rsa(key, "rsa", out);
    else if (EVP_PKEY_is_a(key, "RSA-PSS"))
        look_at_rsa(key, "rsa-pss", out);
    else if (EVP_PKEY_is_a(key, "EC"))
        look_at_ec(key, out);
    else if (EVP_PKEY_is_a(key, "ED25519"))
        look_at_other(key, "ed25519", out);
    else if (EVP_PKEY_is_a(key, "ED448"))
        look_at_other(key, "ed448", out);
    else
        look_at_other(key, type, out);
    if (EVP_PKEY_is_a(key, "DSA"))
        set_weak(out, "DSA keys are no longer accepted"); /* FIPS 186-5 */
    return true;
}

bool est_signature_is_weak(int signature_nid)
{
    int digest = NID_undef, key = NID_undef;
    if (OBJ_find_sigid_algs(signature_nid, &digest, &key) != 1)
        digest = signature_nid; /* a digest by itself */
    else if (digest == NID_undef)
        return key != NID_ED25519 && key != NID_ED448; /* RSASSA-PSS: its parameters would tell */
    switch (digest) {
    case NID_sha224:
    case NID_sha256:
    case NID_sha384:
    case NID_sha512:
    case NID_sha512_224:
    case NID_sha512_256:
    case NID_sha3_224:
    case NID_sha3_256:
    case NID_sha3_384:
    case NID_sha3_512:
    case NID_sm3:
    case NID_id_GostR3411_2012_256:
    case NID_id_GostR3411_2012_512:
        return false;
    default:
        return true; /* MD2, MD4, MD5, SHA-1, and what we do not know */
    }
}
