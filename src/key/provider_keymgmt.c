/* Keys: the public half is one of OpenSSL's own, to which everything but signing is delegated. */
#include "key/provider.h"

#include <openssl/core_names.h>
#include <string.h>

static void *key_new(void *provctx)
{
    (void)provctx;
    return est_alloc(sizeof(est_bridge_key));
}

void est_bridge_key_free(est_bridge_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->public_key);
    est_bridge_signer_free(key->signer);
    est_free(key);
}

static void key_free(void *data)
{
    est_bridge_key_free(data);
}

static bool copy(est_bridge_key *to, const est_bridge_key *from)
{
    if (from->public_key == NULL || EVP_PKEY_up_ref(from->public_key) != 1)
        return false;
    to->public_key = from->public_key;
    to->parameters_only = from->parameters_only;
    to->signer = from->signer;
    if (to->signer != NULL)
        est_bridge_signer_up_ref(to->signer);
    return true;
}

est_bridge_key *est_bridge_key_dup(const est_bridge_key *from)
{
    est_bridge_key *key = est_alloc(sizeof(*key));
    if (key != NULL && !copy(key, from)) {
        est_free(key);
        key = NULL;
    }
    return key;
}

bool est_bridge_key_keep(est_bridge_key **to, const est_bridge_key *from)
{
    est_bridge_key *key = from == NULL ? NULL : est_bridge_key_dup(from);
    if (key == NULL)
        return false;
    est_bridge_key_free(*to);
    *to = key;
    return true;
}

/* CMS makes the originator's key so: the recipient's parameters, then set_params() with the point. */
static est_bridge_key *dup_parameters(const est_bridge_key *from)
{
    est_bridge_key *key = est_alloc(sizeof(*key));
    if (key == NULL)
        return NULL;
    key->parameters_only = true;
    key->public_key = EVP_PKEY_new();
    if (key->public_key != NULL && from->public_key != NULL &&
        EVP_PKEY_copy_parameters(key->public_key, from->public_key) == 1)
        return key;
    est_bridge_key_free(key);
    return NULL;
}

static void *key_dup(const void *data, int selection)
{
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return dup_parameters(data);
    est_bridge_key *key = est_bridge_key_dup(data);
    if (key != NULL && (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0) {
        est_bridge_signer_free(key->signer);
        key->signer = NULL;
    }
    return key;
}

static int key_set_params(void *data, const OSSL_PARAM params[])
{
    est_bridge_key *key = data;
    const void *point = NULL;
    size_t len = 0;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
    if (p == NULL)
        return 1;
    if (!key->parameters_only || OSSL_PARAM_get_octet_string_ptr(p, &point, &len) != 1 ||
        EVP_PKEY_set1_encoded_public_key(key->public_key, point, len) != 1)
        return 0;
    key->parameters_only = false;
    return 1;
}

static const OSSL_PARAM *key_settable_params(void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
                                      OSSL_PARAM_END};
    (void)provctx;
    return list;
}

static int key_has(const void *data, int selection)
{
    const est_bridge_key *key = data;
    if (key == NULL || key->public_key == NULL)
        return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 && key->parameters_only)
        return 0;
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || key->signer != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
    const est_bridge_key *one = a, *other = b;
    if (one->public_key == NULL || other->public_key == NULL)
        return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0)
        return !one->parameters_only && !other->parameters_only &&
               EVP_PKEY_eq(one->public_key, other->public_key) == 1;
    return EVP_PKEY_parameters_eq(one->public_key, other->public_key) == 1;
}

/* OpenSSL imports the public key of a certificate here, to compare it with ours. */
static int import_public(est_bridge_key *key, const char *type, const OSSL_PARAM params[])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, EST_PROVIDER_OTHERS);
    int ok = context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
             EVP_PKEY_fromdata(context, &key->public_key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) == 1;
    EVP_PKEY_CTX_free(context);
    return ok;
}

static int key_import(est_bridge_key *key, const char *type, int selection, const OSSL_PARAM params[])
{
    const OSSL_PARAM *ours = OSSL_PARAM_locate_const(params, EST_PROVIDER_PARAM_KEY);
    const void *from = NULL;
    size_t used = 0;
    if (key == NULL || key->public_key != NULL)
        return 0;
    if (ours != NULL)
        return OSSL_PARAM_get_octet_ptr(ours, &from, &used) == 1 && used == sizeof(est_bridge_key) &&
               copy(key, from);
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 &&
        (OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) != NULL ||
         OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D) != NULL))
        return 0; /* a software key is none of ours */
    return import_public(key, type, params);
}

static int import_ec(void *key, int selection, const OSSL_PARAM params[])
{
    return key_import(key, "EC", selection, params);
}

static int import_rsa(void *key, int selection, const OSSL_PARAM params[])
{
    return key_import(key, "RSA", selection, params);
}

static int import_ed25519(void *key, int selection, const OSSL_PARAM params[])
{
    return key_import(key, "ED25519", selection, params);
}

static int import_ed448(void *key, int selection, const OSSL_PARAM params[])
{
    return key_import(key, "ED448", selection, params);
}

/* Refusing the private half is what makes OpenSSL sign with us instead of moving the key to itself. */
static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *arg)
{
    const est_bridge_key *key = data;
    OSSL_PARAM *params = NULL;
    if (key == NULL || key->public_key == NULL || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
        return 0;
    int ok =
        EVP_PKEY_todata(key->public_key, EVP_PKEY_PUBLIC_KEY, &params) == 1 && callback(params, arg) == 1;
    OSSL_PARAM_free(params);
    return ok;
}

static const OSSL_PARAM *types_ec(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_ptr(EST_PROVIDER_PARAM_KEY, NULL, 0),
                                       OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                       OSSL_PARAM_END};
    (void)selection;
    return types;
}

static const OSSL_PARAM *types_rsa(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_ptr(EST_PROVIDER_PARAM_KEY, NULL, 0),
                                       OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                                       OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0), OSSL_PARAM_END};
    (void)selection;
    return types;
}

static const OSSL_PARAM *types_ed(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_ptr(EST_PROVIDER_PARAM_KEY, NULL, 0),
                                       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                       OSSL_PARAM_END};
    (void)selection;
    return types;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
    const est_bridge_key *key = data;
    if (key == NULL || key->public_key == NULL || EVP_PKEY_get_params(key->public_key, params) != 1)
        return 0;
    OSSL_PARAM *oaep = OSSL_PARAM_locate(params, EST_PROVIDER_PARAM_OAEP);
    return oaep == NULL || key->signer == NULL || OSSL_PARAM_set_int(oaep, key->signer->no_oaep ? 0 : 1) == 1;
}

static const OSSL_PARAM *key_gettable_params(void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                                      OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                                      OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                                      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                      OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
                                      OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                      OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, NULL, 0),
                                      OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, NULL, 0),
                                      OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                                      OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
                                      OSSL_PARAM_END};
    (void)provctx;
    return list;
}

static const char *operation_ec(int operation)
{
    return operation == OSSL_OP_KEYEXCH ? "ECDH" : "ECDSA";
}

static const char *operation_rsa(int operation)
{
    (void)operation;
    return "RSA";
}

static const char *operation_ed25519(int operation)
{
    (void)operation;
    return "ED25519";
}

static const char *operation_ed448(int operation)
{
    (void)operation;
    return "ED448";
}

#define KEYMGMT(name, types)                                                                                 \
    const OSSL_DISPATCH est_keymgmt_##name[] = {                                                             \
        {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new},                                                    \
        {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free},                                                  \
        {OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))key_dup},                                                    \
        {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has},                                                    \
        {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))key_match},                                                \
        {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))import_##name},                                           \
        {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))types},                                             \
        {OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))key_export},                                              \
        {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))types},                                             \
        {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))key_get_params},                                      \
        {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))key_gettable_params},                            \
        {OSSL_FUNC_KEYMGMT_SET_PARAMS, (void (*)(void))key_set_params},                                      \
        {OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (void (*)(void))key_settable_params},                            \
        {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))operation_##name},                          \
        {0, NULL}}

KEYMGMT(ec, types_ec);
KEYMGMT(rsa, types_rsa);
KEYMGMT(ed25519, types_ed);
KEYMGMT(ed448, types_ed);
