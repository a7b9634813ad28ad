/* A token's private key as a signer (K4): what it signs, decrypts and derives. */
#include "key/pkcs11.h"

#include <string.h>

#define RAW_MAX    1056 /* an RSA-8192 signature, and more */
#define SECRET_MAX 128

typedef struct p11_key {
    est_p11_token *token;
    est_p11_name name;
    CK_KEY_TYPE type;
    bool always_authenticate;
    pthread_mutex_t lock;    /* guards the two below */
    CK_OBJECT_HANDLE handle; /* of the connection `generation` */
    unsigned generation;
} p11_key;

static void key_free(void *arg)
{
    p11_key *key = arg;
    if (key == NULL)
        return;
    est_p11_token_free(key->token);
    (void)pthread_mutex_destroy(&key->lock);
    est_free(key);
}

/* After a reset handles mean nothing (or, worse, another object): the key is found again by its name. */
static estuary_status handle_of(p11_key *key, const est_p11_session *session, CK_OBJECT_HANDLE *out,
                                estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    (void)pthread_mutex_lock(&key->lock);
    if (key->generation != session->generation) {
        status = est_p11_find(session, CKO_PRIVATE_KEY, &key->name, &key->handle, err);
        if (status == ESTUARY_OK)
            key->generation = session->generation;
    }
    *out = key->handle;
    (void)pthread_mutex_unlock(&key->lock);
    return status;
}

/* Takes a session and the key's handle in it. */
static estuary_status begin(p11_key *key, est_p11_session *session, CK_OBJECT_HANDLE *handle,
                            estuary_error *err)
{
    estuary_status status = est_p11_session_take(key->token, false, session, err);
    if (status != ESTUARY_OK)
        return status;
    status = handle_of(key, session, handle, err);
    if (status != ESTUARY_OK)
        est_p11_session_give(session, CKR_SESSION_CLOSED);
    return status;
}

typedef struct mechanism {
    CK_MECHANISM value;
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    const uint8_t *bytes; /* what goes in */
    size_t len;
} mechanism;

static bool sign_mechanism(const p11_key *key, const estuary_sign_input *input, mechanism *m)
{
    memset(m, 0, sizeof(*m));
    m->bytes = input->bytes;
    m->len = input->len;
    if (key->type == CKK_EC) {
        m->value.mechanism = CKM_ECDSA;
        return true;
    }
    if (key->type == CKK_EC_EDWARDS) {
        m->value.mechanism = CKM_EDDSA;
        return true;
    }
    if (input->padding == ESTUARY_PADDING_PKCS1) {
        m->value.mechanism = CKM_RSA_PKCS; /* it pads, and wants the DigestInfo (findings C) */
        m->bytes = input->digest_info;
        m->len = input->digest_info_len;
        return m->bytes != NULL;
    }
    CK_MECHANISM_TYPE unused = 0;
    m->pss.sLen = input->salt_len;
    m->value = (CK_MECHANISM){CKM_RSA_PKCS_PSS, &m->pss, sizeof(m->pss)};
    return input->padding == ESTUARY_PADDING_PSS &&
           est_p11_hash(input->digest, &m->pss.hashAlg, &m->pss.mgf) &&
           est_p11_hash(input->mgf1_digest, &unused, &m->pss.mgf);
}

static estuary_status run_sign(const p11_key *key, const est_p11_session *session, CK_OBJECT_HANDLE handle,
                               mechanism *m, uint8_t raw[RAW_MAX], size_t *raw_len, CK_RV *rv,
                               estuary_error *err)
{
    const CK_FUNCTION_LIST *calls = key->token->calls;
    CK_ULONG len = RAW_MAX;
    *rv = calls->C_SignInit(session->handle, &m->value, handle);
    if (*rv != CKR_OK)
        return est_p11_fail(err, *rv, "signing");
    if (key->always_authenticate) {
        estuary_status status = est_p11_session_authenticate(session, err);
        if (status != ESTUARY_OK) {
            *rv = CKR_FUNCTION_CANCELED; /* the begun operation ends with its session */
            return status;
        }
    }
    *rv = calls->C_Sign(session->handle, (CK_BYTE_PTR)m->bytes, m->len, raw, &len);
    if (*rv != CKR_OK)
        return est_p11_fail(err, *rv, "signing");
    if (len > RAW_MAX) {
        *rv = CKR_GENERAL_ERROR;
        return est_fail(err, EST_KEY_TOKEN, "the token gave a signature longer than there was room for");
    }
    *raw_len = len;
    return ESTUARY_OK;
}

static estuary_status key_sign(void *arg, const estuary_sign_input *input, uint8_t *out, size_t *len,
                               estuary_error *err)
{
    p11_key *key = arg;
    est_p11_session session;
    CK_OBJECT_HANDLE handle = 0;
    mechanism m;
    uint8_t raw[RAW_MAX];
    size_t raw_len = 0;
    CK_RV rv = CKR_OK;
    if (!sign_mechanism(key, input, &m))
        return est_fail(err, EST_KEY_OPERATION, "the token has no mechanism for this digest and padding");
    estuary_status status = begin(key, &session, &handle, err);
    if (status != ESTUARY_OK)
        return status;
    status = run_sign(key, &session, handle, &m, raw, &raw_len, &rv, err);
    est_p11_session_give(&session, rv);
    if (status != ESTUARY_OK)
        return status;
    if (key->type == CKK_EC)
        return estuary_signature_from_raw(raw, raw_len, out, len, err);
    if (raw_len > *len)
        return est_fail(err, EST_KEY_TOKEN, "the token gave a signature longer than there was room for");
    memcpy(out, raw, raw_len);
    *len = raw_len;
    return ESTUARY_OK;
}

static bool decrypt_mechanism(const estuary_decrypt_input *input, mechanism *m)
{
    memset(m, 0, sizeof(*m));
    m->bytes = input->bytes;
    m->len = input->len;
    if (input->padding == ESTUARY_PADDING_PKCS1) {
        m->value.mechanism = CKM_RSA_PKCS;
        return true;
    }
    CK_MECHANISM_TYPE unused = 0;
    m->oaep.source = CKZ_DATA_SPECIFIED;
    m->oaep.pSourceData = (void *)input->label;
    m->oaep.ulSourceDataLen = input->label_len;
    m->value = (CK_MECHANISM){CKM_RSA_PKCS_OAEP, &m->oaep, sizeof(m->oaep)};
    return est_p11_hash(input->digest, &m->oaep.hashAlg, &m->oaep.mgf) &&
           est_p11_hash(input->mgf1_digest, &unused, &m->oaep.mgf);
}

static estuary_status key_decrypt(void *arg, const estuary_decrypt_input *input, uint8_t *out, size_t *len,
                                  estuary_error *err)
{
    p11_key *key = arg;
    est_p11_session session;
    CK_OBJECT_HANDLE handle = 0;
    mechanism m;
    CK_ULONG got = *len;
    const CK_FUNCTION_LIST *calls = key->token->calls;
    if (calls->C_DecryptInit == NULL || calls->C_Decrypt == NULL || !decrypt_mechanism(input, &m))
        return est_fail(err, EST_KEY_OPERATION, "the token has no mechanism for this padding");
    estuary_status status = begin(key, &session, &handle, err);
    if (status != ESTUARY_OK)
        return status;
    CK_RV rv = calls->C_DecryptInit(session.handle, &m.value, handle);
    if (rv == CKR_OK && key->always_authenticate) {
        status = est_p11_session_authenticate(&session, err);
        rv = status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_CANCELED;
    }
    if (rv == CKR_OK)
        rv = calls->C_Decrypt(session.handle, (CK_BYTE_PTR)m.bytes, m.len, out, &got);
    if (rv != CKR_OK && status == ESTUARY_OK)
        status = est_p11_fail(err, rv, "decrypting");
    est_p11_session_give(&session, rv);
    if (status == ESTUARY_OK && got > *len)
        return est_fail(err, EST_KEY_TOKEN, "the token gave more bytes than there was room for");
    *len = got;
    return status;
}

/* The shared secret as an object of the session, read and destroyed at once. */
static estuary_status read_secret(const est_p11_session *session, CK_OBJECT_HANDLE secret, uint8_t *out,
                                  size_t *len, estuary_error *err)
{
    size_t room = *len;
    estuary_status status = est_p11_attribute(session, secret, CKA_VALUE, out, room, len, err);
    CK_RV rv = session->token->calls->C_DestroyObject(session->handle, secret);
    if (status == ESTUARY_OK && rv != CKR_OK)
        status = est_p11_fail(err, rv, "destroying the shared secret");
    return status;
}

static CK_RV derive(const p11_key *key, const est_p11_session *session, CK_OBJECT_HANDLE handle,
                    const uint8_t *point, size_t point_len, CK_ULONG value_len, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS of = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE attributes[] = {
        {CKA_CLASS, &of, sizeof(of)},         {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &no, sizeof(no)},         {CKA_SENSITIVE, &no, sizeof(no)},
        {CKA_EXTRACTABLE, &yes, sizeof(yes)}, {CKA_VALUE_LEN, &value_len, sizeof(value_len)}};
    CK_ECDH1_DERIVE_PARAMS params = {
        .kdf = CKD_NULL, .pPublicData = (CK_BYTE_PTR)point, .ulPublicDataLen = point_len};
    CK_MECHANISM m = {CKM_ECDH1_DERIVE, &params, sizeof(params)};
    return key->token->calls->C_DeriveKey(session->handle, &m, handle, attributes,
                                          sizeof(attributes) / sizeof(attributes[0]), out);
}

static estuary_status key_derive(void *arg, const EVP_PKEY *peer, uint8_t *out, size_t *len,
                                 estuary_error *err)
{
    p11_key *key = arg;
    est_p11_session session;
    CK_OBJECT_HANDLE handle = 0, secret = 0;
    unsigned char *point = NULL;
    const CK_FUNCTION_LIST *calls = key->token->calls;
    size_t point_len = EVP_PKEY_get1_encoded_public_key((EVP_PKEY *)peer, &point);
    size_t field = ((size_t)EVP_PKEY_get_bits(peer) + 7) / 8;
    if (point_len == 0 || calls->C_DeriveKey == NULL || calls->C_DestroyObject == NULL || field > *len) {
        OPENSSL_free(point);
        return est_fail_openssl(err, EST_KEY_OPERATION, "the token cannot derive a shared secret");
    }
    estuary_status status = begin(key, &session, &handle, err);
    if (status == ESTUARY_OK) {
        CK_RV rv = derive(key, &session, handle, point, point_len, field, &secret);
        status = rv == CKR_OK ? read_secret(&session, secret, out, len, err)
                              : est_p11_fail(err, rv, "deriving a shared secret");
        est_p11_session_give(&session, rv != CKR_OK || status == ESTUARY_OK ? rv : CKR_FUNCTION_FAILED);
    }
    OPENSSL_free(point);
    return status;
}

static const estuary_signer signer = {.size = sizeof(estuary_signer),
                                      .sign = key_sign,
                                      .decrypt = key_decrypt,
                                      .derive = key_derive,
                                      .free = key_free};

static estuary_status look_up(const est_p11_session *session, const est_p11_name *wanted, p11_key *key,
                              EVP_PKEY **public_key, estuary_error *err)
{
    size_t len = 0;
    estuary_status status = est_p11_find(session, CKO_PRIVATE_KEY, wanted, &key->handle, err);
    if (status == ESTUARY_OK)
        status =
            est_p11_attribute(session, key->handle, CKA_KEY_TYPE, &key->type, sizeof(key->type), &len, err);
    if (status == ESTUARY_OK)
        status = est_p11_name_of(session, key->handle, &key->name, err);
    if (status == ESTUARY_OK)
        status = est_p11_public_key(session, key->handle, &key->name, public_key, err);
    key->generation = session->generation;
    key->always_authenticate = est_p11_flag(session, key->handle, CKA_ALWAYS_AUTHENTICATE, false);
    return status;
}

/* Under its full name, whatever the URI said. */
static estuary_status give_out(p11_key *key, const EVP_PKEY *public_key, unsigned flags, char **name,
                               EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = est_p11_uri_format(key->token, &key->name, NULL, name, err);
    est_signer_about about = {.name = *name,
                              .serial = key->token->serial,
                              .unverified = (flags & ESTUARY_KEY_INSECURE_UNVERIFIED) != 0};
    return status == ESTUARY_OK ? est_key_from_signer(public_key, &signer, key, &about, out, err) : status;
}

static p11_key *key_new(est_p11_token *token)
{
    p11_key *key = est_alloc(sizeof(*key));
    if (key == NULL)
        return NULL;
    if (pthread_mutex_init(&key->lock, NULL) != 0) {
        est_free(key);
        return NULL;
    }
    key->token = est_p11_token_up_ref(token);
    return key;
}

estuary_status est_p11_key_open(const char *text, const estuary_secret *pin, unsigned flags, EVP_PKEY **out,
                                estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_uri uri = {0};
    est_p11_name wanted;
    est_p11_token *token = NULL;
    est_p11_session session = {0};
    EVP_PKEY *public_key = NULL;
    p11_key *key = NULL;
    char *name = NULL;
    *out = NULL;
    EST_TRY(est_p11_uri_parse(text, &uri, err));
    EST_TRY(est_p11_name_from_uri(&uri, &wanted, err));
    EST_TRY(est_p11_token_open(&uri, pin, &token, err));
    key = key_new(token);
    if (key == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(est_p11_session_take(token, false, &session, err));
    status = look_up(&session, &wanted, key, &public_key, err);
    est_p11_session_give(&session, status == ESTUARY_OK ? CKR_OK : CKR_SESSION_CLOSED);
    if (status != ESTUARY_OK)
        goto cleanup;
    EST_TRY(give_out(key, public_key, flags, &name, out, err));
    key = NULL;

cleanup:
    if ((flags & EST_KEY_UNRECORDED) == 0)
        (void)est_key_audit(EST_KEY_OP_OPEN, name == NULL ? text : name, token == NULL ? NULL : token->serial,
                            status, err);
    est_free(name);
    key_free(key);
    EVP_PKEY_free(public_key);
    est_p11_token_free(token);
    est_p11_uri_clear(&uri);
    return status;
}
