/* A TPM's key as a signer: what it signs, decrypts and derives, in its own library context. */
#include "key/tpm2.h"
#include "key/tpm2_auth.h"

#include <estuary/signer.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

/* The provider gives TPM2 response codes (TPM 2.0 Part 2, 6.6) as text beside reasons of its own. */
static est_code known_cause(void)
{
    static const struct {
        const char *says;
        est_code code;
    } known[] = {{"authorization failure", EST_KEY_PIN},
                 {"authorization HMAC check failed", EST_KEY_PIN},
                 {"DA lockout", EST_KEY_PIN_LOCKED},
                 {"lockout mode", EST_KEY_PIN_LOCKED},
                 {"out of memory for object contexts", EST_KEY_TOKEN_SESSIONS},
                 {"out of memory for session contexts", EST_KEY_TOKEN_SESSIONS}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (est_openssl_says(known[i].says))
            return known[i].code;
    }
    return EST_KEY_TOKEN;
}

estuary_status est_tpm2_fail(estuary_error *err, const char *what)
{
    est_code code = known_cause();
    if (code == EST_KEY_PIN)
        est_key_count("key_pin_failures_total");
    if (code != EST_KEY_TOKEN)
        return est_fail_openssl(err, code, NULL);
    return est_fail_openssl(err, code, "the TPM failed at %s", what);
}

estuary_status est_tpm2_fail_at_parent(estuary_error *err, const char *what)
{
    est_code code = known_cause();
    const char *reason = ERR_reason_error_string(est_openssl_first_error());
    if (code == EST_KEY_PIN_LOCKED)
        return est_tpm2_fail(err, what);
    if (code == EST_KEY_PIN || (reason != NULL && strstr(reason, "authorization failure") != NULL)) {
        if (!est_tpm2_auth_was_refused())
            return est_fail_openssl(err, EST_KEY_TPM_PARENT, NULL);
        est_key_count("key_pin_failures_total");
        return est_fail_openssl(err, EST_KEY_TPM_AUTH, NULL);
    }
    return est_tpm2_fail(err, what);
}

/*
 * The key in the TPM, one at a time: a TPM has as few as three slots, so the last one used stays loaded until
 * another is needed. Guarded by the TPM's lock, as is all that follows.
 */
typedef struct tpm2_key {
    est_tpm2_source source;
} tpm2_key;

static struct {
    const tpm2_key *owner;
    EVP_PKEY *key;
} loaded;

static void unload(void)
{
    EVP_PKEY_free(loaded.key);
    loaded.key = NULL;
    loaded.owner = NULL;
}

void est_tpm2_make_room(void)
{
    unload();
}

static estuary_status load(const tpm2_key *key, EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (loaded.owner != key) {
        unload();
        status = est_tpm2_load(&key->source, &loaded.key, err);
        if (status == ESTUARY_OK)
            loaded.owner = key;
    }
    *out = loaded.key;
    return status;
}

/* After a failure the slot may hold nothing any more (a reset, another program): loaded anew by the next
 * call. */
static void finish(estuary_status status)
{
    if (status != ESTUARY_OK)
        unload();
}

static int rsa_padding(estuary_padding padding)
{
    switch (padding) {
    case ESTUARY_PADDING_PKCS1:
        return RSA_PKCS1_PADDING;
    case ESTUARY_PADDING_PSS:
        return RSA_PKCS1_PSS_PADDING;
    case ESTUARY_PADDING_OAEP:
        return RSA_PKCS1_OAEP_PADDING;
    default:
        return 0;
    }
}

static bool set_up_signing(EVP_PKEY_CTX *context, const estuary_sign_input *input, const EVP_MD *md)
{
    if (EVP_PKEY_sign_init(context) != 1 || EVP_PKEY_CTX_set_signature_md(context, md) != 1)
        return false;
    return input->padding == ESTUARY_PADDING_NONE ||
           EVP_PKEY_CTX_set_rsa_padding(context, rsa_padding(input->padding)) == 1;
}

static estuary_status key_sign(void *arg, const estuary_sign_input *input, uint8_t *out, size_t *len,
                               estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EVP_PKEY_CTX *context = NULL;
    EVP_PKEY *key = NULL;
    EVP_MD *md = input->digest == NULL ? NULL : EVP_MD_fetch(NULL, input->digest, NULL);
    if (md == NULL)
        EST_FAIL(EST_KEY_OPERATION, "the TPM signs digests only");
    /* TPM 2.0 Part 1, B.7: the salt is as long as the digest */
    if (input->padding == ESTUARY_PADDING_PSS && input->salt_len != input->len)
        EST_FAIL(EST_KEY_OPERATION,
                 "the TPM makes RSA-PSS signatures with a salt as long as the digest only");
    est_tpm2_lock();
    status = load(arg, &key, err);
    context =
        status == ESTUARY_OK ? EVP_PKEY_CTX_new_from_pkey(est_tpm2_context(), key, EST_TPM2_ONLY) : NULL;
    if (status == ESTUARY_OK && (context == NULL || !set_up_signing(context, input, md) ||
                                 EVP_PKEY_sign(context, out, len, input->bytes, input->len) != 1))
        status = est_tpm2_fail(err, "signing");
    EVP_PKEY_CTX_free(context);
    finish(status);
    est_tpm2_unlock();

cleanup:
    EVP_MD_free(md);
    return status;
}

static estuary_status key_decrypt(void *arg, const estuary_decrypt_input *input, uint8_t *out, size_t *len,
                                  estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EVP_PKEY *key = NULL;
    bool oaep = input->padding == ESTUARY_PADDING_OAEP;
    EVP_MD *md = oaep ? EVP_MD_fetch(NULL, input->digest, NULL) : NULL;
    if (input->label_len > 0 || (oaep && md == NULL))
        EST_FAIL(EST_KEY_OPERATION, "the TPM decrypts without a label only");
    est_tpm2_lock();
    status = load(arg, &key, err);
    EVP_PKEY_CTX *context =
        status == ESTUARY_OK ? EVP_PKEY_CTX_new_from_pkey(est_tpm2_context(), key, EST_TPM2_ONLY) : NULL;
    if (status == ESTUARY_OK && (context == NULL || EVP_PKEY_decrypt_init(context) != 1 ||
                                 EVP_PKEY_CTX_set_rsa_padding(context, rsa_padding(input->padding)) != 1 ||
                                 (oaep && EVP_PKEY_CTX_set_rsa_oaep_md(context, md) != 1) ||
                                 EVP_PKEY_decrypt(context, out, len, input->bytes, input->len) != 1))
        status = est_tpm2_fail(err, "decrypting");
    EVP_PKEY_CTX_free(context);
    finish(status);
    est_tpm2_unlock();

cleanup:
    EVP_MD_free(md);
    return status;
}

/* A key of another context, through its encoding. */
static EVP_PKEY *move_public(const EVP_PKEY *key, OSSL_LIB_CTX *to, const char *query)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *copy = len <= 0 ? NULL : d2i_PUBKEY_ex(NULL, &p, len, to, query);
    OPENSSL_free(der);
    return copy;
}

static estuary_status key_derive(void *arg, const EVP_PKEY *peer, uint8_t *out, size_t *len,
                                 estuary_error *err)
{
    EVP_PKEY *key = NULL;
    est_tpm2_lock();
    estuary_status status = load(arg, &key, err);
    EVP_PKEY *moved = move_public(peer, est_tpm2_context(), EST_TPM2_QUERY);
    EVP_PKEY_CTX *context =
        status == ESTUARY_OK ? EVP_PKEY_CTX_new_from_pkey(est_tpm2_context(), key, EST_TPM2_ONLY) : NULL;
    if (status == ESTUARY_OK &&
        (moved == NULL || context == NULL || EVP_PKEY_derive_init(context) != 1 ||
         EVP_PKEY_derive_set_peer(context, moved) != 1 || EVP_PKEY_derive(context, out, len) != 1))
        status = est_tpm2_fail(err, "deriving a shared secret");
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(moved);
    finish(status);
    est_tpm2_unlock();
    return status;
}

static void key_free(void *arg)
{
    tpm2_key *key = arg;
    est_tpm2_lock();
    if (loaded.owner == key)
        unload();
    est_tpm2_unlock();
    est_tpm2_source_clear(&key->source);
    est_free(key);
}

static EVP_PKEY *public_half(const tpm2_key *key, estuary_error *err)
{
    EVP_PKEY *in_tpm = NULL, *half = NULL;
    est_tpm2_lock();
    if (load(key, &in_tpm, err) == ESTUARY_OK) {
        half = move_public(in_tpm, NULL, NULL);
        if (half == NULL)
            (void)est_fail_openssl(err, EST_KEY_PUBLIC, "the TPM does not give the key's public half");
    }
    est_tpm2_unlock();
    return half;
}

/* tpm2-openssl 1.1 decrypts with PKCS#1 v1.5 only. */
static estuary_status give_out(tpm2_key *key, const EVP_PKEY *half, const estuary_signer *signer,
                               EVP_PKEY **out, estuary_error *err)
{
    est_signer_about about = {.name = key->source.uri, .unverified = key->source.unverified, .no_oaep = true};
    return est_key_from_signer(half, signer, key, &about, out, err);
}

estuary_status est_tpm2_key_new(est_tpm2_source *source, EVP_PKEY **out, estuary_error *err)
{
    static const estuary_signer signer = {.size = sizeof(estuary_signer),
                                          .sign = key_sign,
                                          .decrypt = key_decrypt,
                                          .derive = key_derive,
                                          .free = key_free};
    estuary_error *own = err == NULL ? estuary_error_new() : err; /* its category is the result */
    tpm2_key *key = est_alloc(sizeof(*key));
    EVP_PKEY *half = NULL;
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    if (key == NULL || own == NULL) {
        status = est_fail_memory(err);
    } else {
        key->source = *source;
        memset(source, 0, sizeof(*source));
        half = public_half(key, own);
        status = half == NULL ? estuary_error_category(own) : give_out(key, half, &signer, out, own);
    }
    EVP_PKEY_free(half);
    if (status != ESTUARY_OK && key != NULL)
        key_free(key);
    if (own != err)
        estuary_error_free(own);
    return status;
}
