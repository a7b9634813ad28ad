/* Secret keys of a token, and encryption with what a token holds (K2). */
#include "key/pkcs11_use.h"

#include <openssl/rand.h>
#include <string.h>

#define NONCE_LEN  12
#define TAG_LEN    16
#define PLAIN_MAX  65536
#define ROOM       (PLAIN_MAX + 2048)
#define ID_LEN     16
#define ATTRIBUTES 13

void est_p11_oaep(est_p11_mechanism *m, CK_MECHANISM_TYPE hash, CK_RSA_PKCS_MGF_TYPE mgf)
{
    m->oaep = (CK_RSA_PKCS_OAEP_PARAMS){.hashAlg = hash, .mgf = mgf, .source = CKZ_DATA_SPECIFIED};
    m->value = (CK_MECHANISM){CKM_RSA_PKCS_OAEP, &m->oaep, sizeof(m->oaep)};
}

/* "Is this name free?": only "there is no such key" is a yes. */
static estuary_status check_free(const est_p11_session *session, CK_OBJECT_CLASS of, const est_p11_name *name,
                                 estuary_error *err)
{
    CK_OBJECT_HANDLE found = 0;
    estuary_error *own = estuary_error_new();
    estuary_status status = own == NULL ? est_fail_memory(err) : est_p11_find(session, of, name, &found, own);
    est_code code = est_error_code_of(own);
    if (status == ESTUARY_OK || code == EST_KEY_AMBIGUOUS)
        status = est_fail(err, EST_KEY_NAME_TAKEN, NULL);
    else if (code == EST_KEY_NOT_FOUND)
        status = ESTUARY_OK;
    else if (own != NULL)
        est_error_copy(err, own);
    estuary_error_free(own);
    return status;
}

estuary_status est_p11_choose_name(const est_p11_session *session, CK_OBJECT_CLASS of, est_p11_name *name,
                                   estuary_error *err)
{
    est_p11_name by_label = *name, by_id = *name;
    if (name->label_len == 0)
        return est_fail(err, EST_USAGE_PKCS11_URI, "the URI of a new key names it with object=");
    by_label.id_len = by_id.label_len = 0;
    estuary_status status = check_free(session, of, &by_label, err);
    if (status == ESTUARY_OK && name->id_len > 0)
        status = check_free(session, of, &by_id, err);
    if (status != ESTUARY_OK || name->id_len > 0)
        return status;
    if (RAND_bytes(name->id, ID_LEN) != 1)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    name->id_len = ID_LEN;
    return ESTUARY_OK;
}

/* What a secret key is for: one that wraps must not decrypt, or it would give away what it wraps. */
typedef struct secret_plan {
    const char *name;
    CK_ULONG len;
    bool wraps;
} secret_plan;

static const secret_plan *secret_plan_of(const char *algorithm)
{
    static const secret_plan rows[] = {{"aes:256", 32, false},     {"aes:128", 16, false},
                                       {"aes:192", 24, false},     {"aes-wrap:128", 16, true},
                                       {"aes-wrap:192", 24, true}, {"aes-wrap:256", 32, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (algorithm == NULL || est_text_equal_nocase(algorithm, rows[i].name))
            return &rows[i];
    }
    return NULL;
}

static CK_RV make_secret(const est_p11_place *at, const secret_plan *p, CK_OBJECT_HANDLE *out)
{
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE, wraps = p->wraps ? CK_TRUE : CK_FALSE,
             encrypts = p->wraps ? CK_FALSE : CK_TRUE;
    CK_ULONG len = p->len;
    CK_MECHANISM m = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ATTRIBUTE list[ATTRIBUTES] = {{CKA_TOKEN, &yes, sizeof(yes)},
                                     {CKA_PRIVATE, &yes, sizeof(yes)},
                                     {CKA_SENSITIVE, &yes, sizeof(yes)},
                                     {CKA_EXTRACTABLE, &no, sizeof(no)},
                                     {CKA_ENCRYPT, &encrypts, sizeof(encrypts)},
                                     {CKA_DECRYPT, &encrypts, sizeof(encrypts)},
                                     {CKA_WRAP, &wraps, sizeof(wraps)},
                                     {CKA_UNWRAP, &wraps, sizeof(wraps)},
                                     {CKA_VALUE_LEN, &len, sizeof(len)},
                                     {CKA_LABEL, (void *)at->name.label, at->name.label_len},
                                     {CKA_ID, (void *)at->name.id, at->name.id_len}};
    return at->token->calls->C_GenerateKey(at->session.handle, &m, list, 11, out);
}

static estuary_status make_checked(const est_p11_place *at, const secret_plan *p, estuary_error *err)
{
    const CK_FUNCTION_LIST *calls = at->token->calls;
    CK_OBJECT_HANDLE key = 0;
    if (calls->C_GenerateKey == NULL || calls->C_DestroyObject == NULL)
        return est_fail(err, EST_KEY_OPERATION, "the token makes no secret keys");
    CK_RV rv = make_secret(at, p, &key);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "making the secret key");
    if (est_p11_flag(&at->session, key, CKA_SENSITIVE, false) &&
        est_p11_flag(&at->session, key, CKA_ALWAYS_SENSITIVE, false) &&
        !est_p11_flag(&at->session, key, CKA_EXTRACTABLE, true) &&
        est_p11_flag(&at->session, key, CKA_NEVER_EXTRACTABLE, false) &&
        !est_p11_flag(&at->session, key, p->wraps ? CKA_DECRYPT : CKA_UNWRAP, true))
        return ESTUARY_OK;
    if (calls->C_DestroyObject(at->session.handle, key) != CKR_OK)
        return est_fail(err, EST_KEY_NOT_PROTECTED,
                        "the token made a key that can be read out, and did not destroy it when told to");
    return est_fail(err, EST_KEY_NOT_PROTECTED, NULL);
}

estuary_status estuary_token_generate_secret(const char *algorithm, const char *uri,
                                             const estuary_secret *pin, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0};
    const secret_plan *p = secret_plan_of(algorithm);
    if (p == NULL)
        EST_FAIL(EST_USAGE_KEY_ALGORITHM,
                 "a token's secret keys are aes:128, aes:192 and aes:256 to encrypt with, and "
                 "aes-wrap:128, aes-wrap:192 and aes-wrap:256 to wrap with");
    EST_TRY(est_p11_place_open(uri, pin, true, &at, err));
    EST_TRY(est_p11_choose_name(&at.session, CKO_SECRET_KEY, &at.name, err));
    EST_TRY(make_checked(&at, p, err));

cleanup:
    (void)est_key_audit(EST_KEY_OP_GENERATE, uri, at.token == NULL ? NULL : at.token->serial, status, err);
    est_p11_place_close(&at, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    return status;
}

/* One encryption or decryption. */
typedef struct job {
    est_p11_place at;
    est_p11_mechanism m;
    CK_OBJECT_HANDLE key;
    uint8_t nonce[NONCE_LEN];
    uint8_t *room; /* of ROOM bytes */
    CK_ULONG len;
} job;

static estuary_status set_up(job *j, estuary_token_cipher how, estuary_error *err)
{
    switch (how) {
    case ESTUARY_CIPHER_AES_GCM:
        j->m.gcm = (CK_GCM_PARAMS){
            .iv_ptr = j->nonce, .iv_len = NONCE_LEN, .iv_bits = 8 * NONCE_LEN, .tag_bits = 8 * TAG_LEN};
        j->m.value = (CK_MECHANISM){CKM_AES_GCM, &j->m.gcm, sizeof(j->m.gcm)};
        break;
    case ESTUARY_CIPHER_RSA_OAEP_SHA1:
        est_p11_oaep(&j->m, CKM_SHA_1, CKG_MGF1_SHA1);
        break;
    case ESTUARY_CIPHER_RSA_OAEP_SHA256:
        est_p11_oaep(&j->m, CKM_SHA256, CKG_MGF1_SHA256);
        break;
    default:
        return est_fail(err, EST_USAGE, "there is no such way to encrypt");
    }
    j->room = est_alloc(ROOM);
    j->len = ROOM;
    return j->room == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

static estuary_status open_job(job *j, const char *uri, const estuary_secret *pin, estuary_token_cipher how,
                               CK_OBJECT_CLASS rsa, estuary_error *err)
{
    bool aes = how == ESTUARY_CIPHER_AES_GCM;
    estuary_status status = est_p11_place_open(uri, pin, false, &j->at, err);
    if (status == ESTUARY_OK)
        status = est_p11_find(&j->at.session, aes ? CKO_SECRET_KEY : rsa, &j->at.name, &j->key, err);
    return status;
}

static void close_job(job *j, estuary_status status)
{
    est_p11_place_close(&j->at, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    est_free_secret(j->room, j->room == NULL ? 0 : ROOM);
}

/* With AES-GCM the nonce in front; nothing else is. */
static estuary_status give(const job *j, const uint8_t *front, size_t front_len, uint8_t **out, size_t *len,
                           estuary_error *err)
{
    *out = est_alloc(front_len + j->len + 1);
    if (*out == NULL)
        return est_fail_memory(err);
    if (front_len > 0)
        memcpy(*out, front, front_len);
    memcpy(*out + front_len, j->room, j->len);
    *len = front_len + j->len;
    return ESTUARY_OK;
}

static estuary_status run_encrypt(job *j, const uint8_t *plain, size_t len, estuary_error *err)
{
    const CK_FUNCTION_LIST *calls = j->at.token->calls;
    if (calls->C_EncryptInit == NULL || calls->C_Encrypt == NULL)
        return est_fail(err, EST_KEY_OPERATION, "the token cannot encrypt");
    CK_RV rv = calls->C_EncryptInit(j->at.session.handle, &j->m.value, j->key);
    if (rv == CKR_OK)
        rv = calls->C_Encrypt(j->at.session.handle, (CK_BYTE_PTR)plain, len, j->room, &j->len);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "encrypting");
    bool wrong = j->m.value.mechanism == CKM_AES_GCM ? j->len != len + TAG_LEN : j->len <= len;
    return j->len > ROOM || wrong
               ? est_fail(err, EST_KEY_TOKEN, "the token gave a ciphertext of a length that cannot be")
               : ESTUARY_OK;
}

estuary_status estuary_token_encrypt(const char *key, estuary_token_cipher how, const estuary_secret *pin,
                                     const uint8_t *plain, size_t plain_len, uint8_t **out, size_t *len,
                                     estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    job j = {0};
    bool aes = how == ESTUARY_CIPHER_AES_GCM;
    *out = NULL;
    *len = 0;
    if (plain == NULL || plain_len > PLAIN_MAX)
        return est_fail(err, EST_USAGE, "at most %d bytes are encrypted at once", PLAIN_MAX);
    EST_TRY(set_up(&j, how, err));
    if (RAND_bytes(j.nonce, NONCE_LEN) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    EST_TRY(open_job(&j, key, pin, how, CKO_PUBLIC_KEY, err));
    EST_TRY(run_encrypt(&j, plain, plain_len, err));
    EST_TRY(give(&j, j.nonce, aes ? NONCE_LEN : 0, out, len, err));

cleanup:
    (void)est_key_audit(EST_KEY_OP_ENCRYPT, key, j.at.token == NULL ? NULL : j.at.token->serial, status, err);
    close_job(&j, status);
    return status;
}

static estuary_status run_decrypt(job *j, const uint8_t *sealed, size_t len, estuary_error *err)
{
    const CK_FUNCTION_LIST *calls = j->at.token->calls;
    if (calls->C_DecryptInit == NULL || calls->C_Decrypt == NULL)
        return est_fail(err, EST_KEY_OPERATION, "the token cannot decrypt");
    bool each_time = est_p11_flag(&j->at.session, j->key, CKA_ALWAYS_AUTHENTICATE, false);
    CK_RV rv = calls->C_DecryptInit(j->at.session.handle, &j->m.value, j->key);
    if (rv == CKR_OK && each_time && est_p11_session_authenticate(&j->at.session, err) != ESTUARY_OK)
        return ESTUARY_E_KEY;
    if (rv == CKR_OK)
        rv = calls->C_Decrypt(j->at.session.handle, (CK_BYTE_PTR)sealed, len, j->room, &j->len);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "decrypting");
    return j->len > ROOM || j->len > len
               ? est_fail(err, EST_KEY_TOKEN, "the token gave a plaintext of a length that cannot be")
               : ESTUARY_OK;
}

estuary_status estuary_token_decrypt(const char *key, estuary_token_cipher how, const estuary_secret *pin,
                                     const uint8_t *sealed, size_t sealed_len, uint8_t **out, size_t *len,
                                     estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    job j = {0};
    size_t front = how == ESTUARY_CIPHER_AES_GCM ? NONCE_LEN : 0;
    *out = NULL;
    *len = 0;
    if (sealed == NULL || sealed_len <= front || sealed_len > ROOM)
        return est_fail(err, EST_USAGE, "what is to be decrypted is too short or too long");
    EST_TRY(set_up(&j, how, err));
    memcpy(j.nonce, sealed, front);
    EST_TRY(open_job(&j, key, pin, how, CKO_PRIVATE_KEY, err));
    EST_TRY(run_decrypt(&j, sealed + front, sealed_len - front, err));
    EST_TRY(give(&j, NULL, 0, out, len, err));

cleanup:
    (void)est_key_audit(EST_KEY_OP_DECRYPT, key, j.at.token == NULL ? NULL : j.at.token->serial, status, err);
    close_job(&j, status);
    return status;
}
