/* ECDH by a signer, with the key derivation CMS puts after it (RFC 5753 7.2): what opens key agreement. */
#include "key/provider.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <string.h>

#define SECRET_MAX 66 /* P-521 */

typedef struct exchange_context {
    est_bridge_key *key; /* a copy, as is peer: OpenSSL may free its own before the context */
    est_bridge_key *peer;
    bool kdf; /* ANSI X9.63 */
    EVP_MD *kdf_digest;
    size_t kdf_len;
    uint8_t *ukm;
    size_t ukm_len;
} exchange_context;

static void *context_new(void *provctx)
{
    (void)provctx;
    return est_alloc(sizeof(exchange_context));
}

static void context_free(void *data)
{
    exchange_context *x = data;
    if (x == NULL)
        return;
    est_bridge_key_free(x->key);
    est_bridge_key_free(x->peer);
    EVP_MD_free(x->kdf_digest);
    est_free(x->ukm);
    est_free(x);
}

static bool take_kdf(exchange_context *x, const OSSL_PARAM params[])
{
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_TYPE);
    const char *name = NULL;
    if (p != NULL) {
        if (OSSL_PARAM_get_utf8_string_ptr(p, &name) != 1 || name == NULL)
            return false;
        if (*name != '\0' && strcmp(name, OSSL_KDF_NAME_X963KDF) != 0)
            return false;
        x->kdf = *name != '\0';
    }
    p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_OUTLEN);
    if (p != NULL && OSSL_PARAM_get_size_t(p, &x->kdf_len) != 1)
        return false;
    return est_param_digest(params, OSSL_EXCHANGE_PARAM_KDF_DIGEST, &x->kdf_digest);
}

static bool take_ukm(exchange_context *x, const OSSL_PARAM params[])
{
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_UKM);
    const void *bytes = NULL;
    size_t len = 0;
    if (p == NULL)
        return true;
    if (OSSL_PARAM_get_octet_string_ptr(p, &bytes, &len) != 1)
        return false;
    uint8_t *copy = est_alloc(len + 1);
    if (copy == NULL)
        return false;
    if (len > 0)
        memcpy(copy, bytes, len);
    est_free(x->ukm);
    x->ukm = copy;
    x->ukm_len = len;
    return true;
}

static int set_context_params(void *data, const OSSL_PARAM params[])
{
    exchange_context *x = data;
    const OSSL_PARAM *p;
    int cofactor = -1;
    if (params == NULL)
        return 1;
    p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE);
    /* on the curves we take the cofactor is 1: both modes are the same */
    if (p != NULL && (OSSL_PARAM_get_int(p, &cofactor) != 1 || cofactor < -1 || cofactor > 1))
        return 0;
    return take_kdf(x, params) && take_ukm(x, params);
}

static const OSSL_PARAM *settable_params(void *data, void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, NULL),
                                      OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
                                      OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
                                      OSSL_PARAM_octet_string(OSSL_EXCHANGE_PARAM_KDF_UKM, NULL, 0),
                                      OSSL_PARAM_END};
    (void)data, (void)provctx;
    return list;
}

static int init(void *data, void *key, const OSSL_PARAM params[])
{
    exchange_context *x = data;
    if (!est_bridge_key_keep(&x->key, key) || x->key->signer == NULL)
        return 0;
    if (x->key->signer->calls.derive == NULL) {
        est_openssl_raise(EST_KEY_OPERATION, "the key cannot derive a shared secret");
        return 0;
    }
    return set_context_params(x, params);
}

static int set_peer(void *data, void *peer)
{
    exchange_context *x = data;
    const est_bridge_key *other = peer;
    if (other == NULL || x->key == NULL || EVP_PKEY_parameters_eq(x->key->public_key, other->public_key) != 1)
        return 0;
    return est_bridge_key_keep(&x->peer, peer);
}

static bool apply_kdf(const exchange_context *x, const uint8_t *secret, size_t secret_len, uint8_t *out)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_X963KDF, NULL);
    EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[4], *p = params;
    const char *digest = x->kdf_digest == NULL ? "SHA1" : EVP_MD_get0_name(x->kdf_digest);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len);
    if (x->ukm != NULL)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, x->ukm, x->ukm_len);
    *p = OSSL_PARAM_construct_end();
    bool ok = context != NULL && EVP_KDF_derive(context, out, x->kdf_len, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return ok;
}

static bool agree(const exchange_context *x, uint8_t secret[SECRET_MAX], size_t wanted)
{
    const est_bridge_signer *signer = x->key->signer;
    estuary_error *err = estuary_error_new();
    size_t len = SECRET_MAX;
    estuary_status status = signer->calls.derive(signer->arg, x->peer->public_key, secret, &len, err);
    if (status == ESTUARY_OK && len != wanted)
        status = est_fail(err, EST_KEY, "the shared secret the key derived has the wrong length");
    (void)est_key_audit(EST_KEY_OP_DERIVE, signer->name, signer->serial, status, err);
    if (status != ESTUARY_OK)
        est_openssl_raise(err == NULL ? EST_KEY : est_error_code_of(err), estuary_error_message(err));
    estuary_error_free(err);
    return status == ESTUARY_OK;
}

static int derive(void *data, unsigned char *out, size_t *out_len, size_t room)
{
    const exchange_context *x = data;
    uint8_t secret[SECRET_MAX];
    if (x->key == NULL || x->peer == NULL)
        return 0;
    size_t field = ((size_t)EVP_PKEY_get_bits(x->key->public_key) + 7) / 8;
    size_t wanted = x->kdf ? x->kdf_len : field;
    *out_len = wanted;
    if (out == NULL)
        return 1;
    if (field > sizeof(secret) || wanted > room || wanted == 0)
        return 0;
    bool ok = agree(x, secret, field);
    if (ok && x->kdf)
        ok = apply_kdf(x, secret, field, out);
    else if (ok)
        memcpy(out, secret, field);
    OPENSSL_cleanse(secret, sizeof(secret));
    return ok;
}

static int get_context_params(void *data, OSSL_PARAM params[])
{
    const exchange_context *x = data;
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_TYPE);
    if (p != NULL && OSSL_PARAM_set_utf8_string(p, x->kdf ? OSSL_KDF_NAME_X963KDF : "") != 1)
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_DIGEST);
    if (p != NULL &&
        OSSL_PARAM_set_utf8_string(p, x->kdf_digest == NULL ? "" : EVP_MD_get0_name(x->kdf_digest)) != 1)
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_OUTLEN);
    return p == NULL || OSSL_PARAM_set_size_t(p, x->kdf_len) == 1;
}

static const OSSL_PARAM *gettable_params(void *data, void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
                                      OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
                                      OSSL_PARAM_END};
    (void)data, (void)provctx;
    return list;
}

const OSSL_DISPATCH est_keyexch[] = {{OSSL_FUNC_KEYEXCH_NEWCTX, (void (*)(void))context_new},
                                     {OSSL_FUNC_KEYEXCH_FREECTX, (void (*)(void))context_free},
                                     {OSSL_FUNC_KEYEXCH_INIT, (void (*)(void))init},
                                     {OSSL_FUNC_KEYEXCH_SET_PEER, (void (*)(void))set_peer},
                                     {OSSL_FUNC_KEYEXCH_DERIVE, (void (*)(void))derive},
                                     {OSSL_FUNC_KEYEXCH_GET_CTX_PARAMS, (void (*)(void))get_context_params},
                                     {OSSL_FUNC_KEYEXCH_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_params},
                                     {OSSL_FUNC_KEYEXCH_SET_CTX_PARAMS, (void (*)(void))set_context_params},
                                     {OSSL_FUNC_KEYEXCH_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params},
                                     {0, NULL}};
