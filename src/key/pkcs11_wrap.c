/* Keys that leave or enter a token under another key of it (K2): wrap and unwrap. */
#include "key/pkcs11_use.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>
#include <string.h>

#define WRAPPED_MAX    16384
#define ATTRIBUTES_MAX 16

#define ADD(list, n, type, value, len)                                                                       \
    list[n++] = (CK_ATTRIBUTE)                                                                               \
    {                                                                                                        \
        type, (void *)(value), len                                                                           \
    }

static bool is_rsa(estuary_wrapping how)
{
    return how == ESTUARY_WRAP_RSA_OAEP_SHA1 || how == ESTUARY_WRAP_RSA_OAEP_SHA256;
}

static estuary_status mechanism_of(estuary_wrapping how, est_p11_mechanism *m, estuary_error *err)
{
    switch (how) {
    case ESTUARY_WRAP_AES:
        m->value = (CK_MECHANISM){CKM_AES_KEY_WRAP, NULL, 0};
        return ESTUARY_OK;
    case ESTUARY_WRAP_AES_PADDED:
        m->value = (CK_MECHANISM){CKM_AES_KEY_WRAP_PAD, NULL, 0};
        return ESTUARY_OK;
    case ESTUARY_WRAP_RSA_OAEP_SHA1:
        est_p11_oaep(m, CKM_SHA_1, CKG_MGF1_SHA1);
        return ESTUARY_OK;
    case ESTUARY_WRAP_RSA_OAEP_SHA256:
        est_p11_oaep(m, CKM_SHA256, CKG_MGF1_SHA256);
        return ESTUARY_OK;
    }
    return est_fail(err, EST_USAGE, "there is no such way to wrap a key");
}

/* Both keys must be in one token, whose session is at->session. */
static estuary_status find_other(const est_p11_place *at, const char *uri, CK_OBJECT_HANDLE *out,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_uri parsed = {0};
    est_p11_name name;
    est_p11_token *token = NULL;
    EST_TRY(est_p11_uri_parse(uri, &parsed, err));
    EST_TRY(est_p11_name_from_uri(&parsed, &name, err));
    EST_TRY(est_p11_token_open(&parsed, NULL, &token, err));
    if (token != at->token)
        EST_FAIL(EST_USAGE, "a key is wrapped by a key of the same token only");
    /* a private key of this name, else a secret one */
    status = est_p11_find(&at->session, CKO_PRIVATE_KEY, &name, out, err);
    if (status != ESTUARY_OK && est_error_code_of(err) == EST_KEY_NOT_FOUND)
        status = est_p11_find(&at->session, CKO_SECRET_KEY, &name, out, err);

cleanup:
    est_p11_token_free(token);
    est_p11_uri_clear(&parsed);
    return status;
}

static estuary_status wrap(const est_p11_place *at, est_p11_mechanism *m, CK_OBJECT_HANDLE by,
                           CK_OBJECT_HANDLE key, uint8_t **out, size_t *len, estuary_error *err)
{
    const CK_FUNCTION_LIST *calls = at->token->calls;
    CK_ULONG n = WRAPPED_MAX;
    if (calls->C_WrapKey == NULL)
        return est_fail(err, EST_KEY_OPERATION, "the token cannot wrap keys");
    uint8_t *room = est_alloc(WRAPPED_MAX);
    if (room == NULL)
        return est_fail_memory(err);
    CK_RV rv = calls->C_WrapKey(at->session.handle, &m->value, by, key, room, &n);
    estuary_status status = ESTUARY_OK;
    if (rv != CKR_OK)
        status = est_p11_fail(err, rv, "wrapping the key");
    else if (n == 0 || n > WRAPPED_MAX)
        status = est_fail(err, EST_KEY_TOKEN, "the token gave a wrapped key of a length that cannot be");
    if (status == ESTUARY_OK) {
        *out = room;
        *len = n;
    } else {
        est_free_secret(room, WRAPPED_MAX);
    }
    return status;
}

estuary_status estuary_token_wrap(const char *wrapping_key, estuary_wrapping how, const char *key,
                                  const estuary_secret *pin, uint8_t **out, size_t *len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0};
    est_p11_mechanism m = {0};
    CK_OBJECT_HANDLE by = 0, what = 0;
    estuary_error *own = err == NULL ? estuary_error_new() : err; /* its code is looked at */
    *out = NULL;
    *len = 0;
    EST_TRY(mechanism_of(how, &m, own));
    EST_TRY(est_p11_place_open(wrapping_key, pin, false, &at, own));
    EST_TRY(est_p11_find(&at.session, is_rsa(how) ? CKO_PUBLIC_KEY : CKO_SECRET_KEY, &at.name, &by, own));
    EST_TRY(find_other(&at, key, &what, own));
    EST_TRY(wrap(&at, &m, by, what, out, len, own));

cleanup:
    (void)est_key_audit(EST_KEY_OP_WRAP, key, at.token == NULL ? NULL : at.token->serial, status, own);
    est_p11_place_close(&at, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    if (own != err)
        estuary_error_free(own);
    return status;
}

static CK_KEY_TYPE type_of(const EVP_PKEY *public_key)
{
    if (public_key == NULL)
        return CKK_AES;
    if (EVP_PKEY_is_a(public_key, "RSA"))
        return CKK_RSA;
    return EVP_PKEY_is_a(public_key, "EC") ? CKK_EC : CKK_EC_EDWARDS;
}

static CK_RV unwrap(const est_p11_place *at, est_p11_mechanism *m, CK_OBJECT_HANDLE by,
                    const uint8_t *wrapped, size_t len, const est_p11_name *name, CK_KEY_TYPE type,
                    CK_OBJECT_HANDLE *out)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_OBJECT_CLASS of = type == CKK_AES ? CKO_SECRET_KEY : CKO_PRIVATE_KEY;
    CK_ATTRIBUTE list[ATTRIBUTES_MAX];
    CK_ULONG n = 0;
    ADD(list, n, CKA_CLASS, &of, sizeof(of));
    ADD(list, n, CKA_KEY_TYPE, &type, sizeof(type));
    ADD(list, n, CKA_TOKEN, &yes, sizeof(yes));
    ADD(list, n, CKA_PRIVATE, &yes, sizeof(yes));
    ADD(list, n, CKA_SENSITIVE, &yes, sizeof(yes));
    ADD(list, n, CKA_EXTRACTABLE, &no, sizeof(no));
    ADD(list, n, CKA_LABEL, name->label, name->label_len);
    ADD(list, n, CKA_ID, name->id, name->id_len);
    if (type == CKK_AES) { /* it was outside: no key to wrap others with, let alone one that decrypts, too */
        ADD(list, n, CKA_ENCRYPT, &yes, sizeof(yes));
        ADD(list, n, CKA_DECRYPT, &yes, sizeof(yes));
        ADD(list, n, CKA_WRAP, &no, sizeof(no));
        ADD(list, n, CKA_UNWRAP, &no, sizeof(no));
    } else {
        ADD(list, n, CKA_SIGN, &yes, sizeof(yes));
    }
    if (type == CKK_RSA)
        ADD(list, n, CKA_DECRYPT, &yes, sizeof(yes));
    if (type == CKK_EC)
        ADD(list, n, CKA_DERIVE, &yes, sizeof(yes));
    return at->token->calls->C_UnwrapKey(at->session.handle, &m->value, by, (CK_BYTE_PTR)wrapped, len, list,
                                         n, out);
}

/* It was outside, so it cannot have been sensitive always; but it is from here on. */
static bool is_closed(const est_p11_session *session, CK_OBJECT_HANDLE key)
{
    return est_p11_flag(session, key, CKA_SENSITIVE, false) &&
           !est_p11_flag(session, key, CKA_EXTRACTABLE, true);
}

/* A private key that came in must be the one of this public key, which one signature shows. */
static estuary_status try_key(const est_p11_place *at, const est_p11_name *name, const EVP_PKEY *public_key,
                              estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EVP_PKEY *key = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char *uri = NULL;
    uint8_t signature[2048];
    size_t len = sizeof(signature);
    static const uint8_t text[] = "estuary: is this the key?";
    bool hashed = type_of(public_key) != CKK_EC_EDWARDS;
    EST_TRY(est_p11_uri_format(at->token, name, est_p11_place_module_path(at), &uri, err));
    EST_TRY(est_p11_key_open(uri, NULL, EST_KEY_UNRECORDED, &key, err));
    if (context == NULL ||
        EVP_DigestSignInit_ex(context, NULL, hashed ? "SHA256" : NULL, NULL, NULL, key, NULL) != 1 ||
        EVP_DigestSign(context, signature, &len, text, sizeof(text)) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);

cleanup:
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    est_free(uri);
    if (status != ESTUARY_OK && est_error_code_of(err) == EST_KEY_SIGNATURE)
        status = est_fail(err, EST_KEY_WRAPPED, "the unwrapped key is not the one of the public key");
    return status;
}

static estuary_status take_in(const est_p11_place *at, est_p11_mechanism *m, CK_OBJECT_HANDLE by,
                              const uint8_t *wrapped, size_t len, const est_p11_name *name,
                              const EVP_PKEY *public_key, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const CK_FUNCTION_LIST *calls = at->token->calls;
    CK_OBJECT_HANDLE key = 0, half = 0;
    bool made = false, shown = false;
    if (calls->C_UnwrapKey == NULL || calls->C_CreateObject == NULL || calls->C_DestroyObject == NULL)
        return est_fail(err, EST_KEY_OPERATION, "the token cannot unwrap keys");
    CK_RV rv = unwrap(at, m, by, wrapped, len, name, type_of(public_key), &key);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "unwrapping the key");
    made = true;
    if (!is_closed(&at->session, key))
        EST_FAIL(EST_KEY_NOT_PROTECTED, NULL);
    if (public_key != NULL) {
        EST_TRY(est_p11_put_public(&at->session, public_key, name, &half, err));
        shown = true;
        EST_TRY(try_key(at, name, public_key, err));
    }

cleanup:
    if (status != ESTUARY_OK && made && calls->C_DestroyObject(at->session.handle, key) != CKR_OK)
        status = est_fail(err, EST_KEY_NOT_PROTECTED,
                          "the key that came in was refused, and the token did not destroy it when told to");
    if (status != ESTUARY_OK && shown)
        (void)calls->C_DestroyObject(at->session.handle, half);
    return status;
}

estuary_status estuary_token_unwrap(const char *unwrapping_key, estuary_wrapping how, const uint8_t *wrapped,
                                    size_t len, const char *uri, const EVP_PKEY *public_key,
                                    const estuary_secret *pin, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0}, to = {0};
    est_p11_mechanism m = {0};
    CK_OBJECT_HANDLE by = 0;
    EST_TRY(mechanism_of(how, &m, err));
    if (wrapped == NULL || len == 0 || len > WRAPPED_MAX)
        EST_FAIL(EST_USAGE, "a wrapped key has 1 to %d bytes", WRAPPED_MAX);
    EST_TRY(est_p11_place_open(unwrapping_key, pin, false, &at, err));
    EST_TRY(est_p11_place_open(uri, pin, true, &to, err));
    if (to.token != at.token)
        EST_FAIL(EST_USAGE, "a key is unwrapped by a key of the same token only");
    EST_TRY(est_p11_find(&to.session, is_rsa(how) ? CKO_PRIVATE_KEY : CKO_SECRET_KEY, &at.name, &by, err));
    EST_TRY(est_p11_choose_name(&to.session, public_key == NULL ? CKO_SECRET_KEY : CKO_PRIVATE_KEY, &to.name,
                                err));
    EST_TRY(take_in(&to, &m, by, wrapped, len, &to.name, public_key, err));

cleanup:
    (void)est_key_audit(EST_KEY_OP_UNWRAP, uri, to.token == NULL ? NULL : to.token->serial, status, err);
    est_p11_place_close(&to, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    est_p11_place_close(&at, CKR_OK);
    return status;
}
