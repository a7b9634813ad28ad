/* RSA decryption by a signer: what opens CMS key transport. */
#include "key/provider.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <string.h>

typedef struct cipher_context {
    est_bridge_key *key; /* a copy */
    int padding;
    EVP_MD *digest; /* with OAEP; NULL: SHA-1, RFC 8017's default */
    EVP_MD *mgf1;
    uint8_t *label;
    size_t label_len;
} cipher_context;

static void *context_new(void *provctx)
{
    (void)provctx;
    return est_alloc(sizeof(cipher_context));
}

static void context_free(void *data)
{
    cipher_context *x = data;
    if (x == NULL)
        return;
    est_bridge_key_free(x->key);
    EVP_MD_free(x->digest);
    EVP_MD_free(x->mgf1);
    est_free(x->label);
    est_free(x);
}

static bool take_label(cipher_context *x, const OSSL_PARAM params[])
{
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL);
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
    est_free(x->label);
    x->label = copy;
    x->label_len = len;
    return true;
}

static int set_context_params(void *data, const OSSL_PARAM params[])
{
    cipher_context *x = data;
    if (params == NULL)
        return 1;
    return est_param_padding(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &x->padding) &&
           est_param_digest(params, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, &x->digest) &&
           est_param_digest(params, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, &x->mgf1) && take_label(x, params);
}

static const OSSL_PARAM *settable_params(void *data, void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
                                      OSSL_PARAM_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0),
                                      OSSL_PARAM_END};
    (void)data, (void)provctx;
    return list;
}

static int decrypt_init(void *data, void *key, const OSSL_PARAM params[])
{
    cipher_context *x = data;
    x->padding = RSA_PKCS1_PADDING;
    if (!est_bridge_key_keep(&x->key, key) || x->key->signer == NULL)
        return 0;
    if (x->key->signer->calls.decrypt == NULL) {
        est_openssl_raise(EST_KEY_OPERATION, "the key cannot decrypt");
        return 0;
    }
    return set_context_params(x, params);
}

static estuary_decrypt_input describe(const cipher_context *x, const uint8_t *in, size_t in_len)
{
    estuary_decrypt_input input = {
        .size = sizeof(input), .padding = ESTUARY_PADDING_PKCS1, .bytes = in, .len = in_len};
    if (x->padding == RSA_PKCS1_OAEP_PADDING) {
        input.padding = ESTUARY_PADDING_OAEP;
        input.digest = x->digest == NULL ? "SHA1" : EVP_MD_get0_name(x->digest);
        input.mgf1_digest = x->mgf1 == NULL ? input.digest : EVP_MD_get0_name(x->mgf1);
        input.label = x->label;
        input.label_len = x->label_len;
    }
    return input;
}

static int decrypt(void *data, unsigned char *out, size_t *out_len, size_t room, const unsigned char *in,
                   size_t in_len)
{
    const cipher_context *x = data;
    if (out == NULL)
        return est_int_to_size(EVP_PKEY_get_size(x->key->public_key), out_len) && *out_len > 0;
    if (x->padding != RSA_PKCS1_PADDING && x->padding != RSA_PKCS1_OAEP_PADDING) {
        est_openssl_raise(EST_KEY_OPERATION, NULL);
        return 0;
    }
    estuary_decrypt_input input = describe(x, in, in_len);
    const est_bridge_signer *signer = x->key->signer;
    estuary_error *err = estuary_error_new();
    *out_len = room;
    estuary_status status = signer->calls.decrypt(signer->arg, &input, out, out_len, err);
    if (status == ESTUARY_OK && *out_len > room)
        status = est_fail(err, EST_KEY, "the key gave more bytes than there was room for");
    (void)est_key_audit(EST_KEY_OP_DECRYPT, signer->name, signer->serial, status, err);
    if (status != ESTUARY_OK) {
        OPENSSL_cleanse(out, room);
        est_openssl_raise(err == NULL ? EST_KEY : est_error_code_of(err), estuary_error_message(err));
    }
    estuary_error_free(err);
    return status == ESTUARY_OK;
}

static int get_context_params(void *data, OSSL_PARAM params[])
{
    const cipher_context *x = data;
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);
    if (p == NULL)
        return 1;
    if (p->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_set_int(p, x->padding);
    return OSSL_PARAM_set_utf8_string(p, x->padding == RSA_PKCS1_OAEP_PADDING
                                             ? OSSL_PKEY_RSA_PAD_MODE_OAEP
                                             : OSSL_PKEY_RSA_PAD_MODE_PKCSV15);
}

static const OSSL_PARAM *gettable_params(void *data, void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
                                      OSSL_PARAM_END};
    (void)data, (void)provctx;
    return list;
}

const OSSL_DISPATCH est_asym_cipher[] = {
    {OSSL_FUNC_ASYM_CIPHER_NEWCTX, (void (*)(void))context_new},
    {OSSL_FUNC_ASYM_CIPHER_FREECTX, (void (*)(void))context_free},
    {OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, (void (*)(void))decrypt_init},
    {OSSL_FUNC_ASYM_CIPHER_DECRYPT, (void (*)(void))decrypt},
    {OSSL_FUNC_ASYM_CIPHER_GET_CTX_PARAMS, (void (*)(void))get_context_params},
    {OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_params},
    {OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, (void (*)(void))set_context_params},
    {OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params},
    {0, NULL}};
