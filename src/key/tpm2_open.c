/* TPM keys by TSS2 PEM file and by persistent handle, and new ones as TSS2 PEM. */
#include "key/next.h"
#include "key/tpm2.h"

#include <openssl/core_names.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX 65536
#define AUTH_MAX 64 /* TPM2B_AUTH is no longer than the largest digest */

static estuary_status absent(estuary_error *err)
{
    return est_fail(err, EST_UNSUPPORTED_TPM2, NULL);
}

static estuary_status check_auth(const estuary_secret *pin, estuary_error *err)
{
    size_t len = 0;
    (void)estuary_secret_get0(pin, &len);
    return len > AUTH_MAX
               ? est_fail(err, EST_KEY_PIN, "the key's authorisation is longer than a TPM's can be")
               : ESTUARY_OK;
}

static estuary_status read_file(const char *path, unsigned flags, est_tpm2_source *out, estuary_error *err)
{
    bool lax = (flags & ESTUARY_KEY_INSECURE_PERMISSIONS) != 0;
    est_file_result result =
        est_file_read(path, FILE_MAX, lax ? EST_FILE_PUBLIC : EST_FILE_PRIVATE, &out->bytes, &out->len);
    if (result != EST_FILE_OK)
        return est_file_fail(err, result, result == EST_FILE_UNSAFE ? EST_KEY_PERMISSIONS : EST_KEY_FILE,
                             "the key file", path);
    if (strstr((const char *)out->bytes, "-----BEGIN TSS2 PRIVATE KEY-----") == NULL)
        return est_fail(err, EST_KEY_FORMAT, "the file holds no TPM key (TSS2 PRIVATE KEY)");
    return ESTUARY_OK;
}

/* handle:0x81…, and nothing else that a store might understand. */
static bool is_handle(const char *uri)
{
    return est_tpm2_is_handle(uri + strlen("handle:"));
}

estuary_status est_tpm2_open(const char *uri, const estuary_secret *pin, unsigned flags, EVP_PKEY **out,
                             estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_tpm2_source source = {0};
    char *path = NULL;
    bool file = strncasecmp(uri, "tpm2:", 5) == 0;
    *out = NULL;
    if (!file && !is_handle(uri))
        return est_fail(err, EST_USAGE, "a TPM key's handle is handle:0x81 and six more hex digits");
    if (est_tpm2_context() == NULL)
        return absent(err);
    EST_TRY(check_auth(pin, err));
    source.pin = estuary_secret_up_ref((estuary_secret *)pin);
    source.unverified = (flags & ESTUARY_KEY_INSECURE_UNVERIFIED) != 0;
    source.uri = est_strdup(uri);
    if (file && source.uri != NULL) {
        EST_TRY(est_tpm2_uri_path(uri, &path, err));
        EST_TRY(read_file(path, flags, &source, err));
    } else if (source.uri == NULL ||
               (source.handle = est_printf("handle:%s", uri + strlen("handle:"))) == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(est_tpm2_key_new(&source, out, err));

cleanup:
    est_free(path);
    est_tpm2_source_clear(&source);
    return status;
}

static bool generate_params(const char *algorithm, const char **kind, OSSL_PARAM *param, size_t *bits)
{
    static const struct {
        const char *algorithm, *kind, *group;
        size_t bits;
    } rows[] = {{"ec:P-256", "EC", "P-256", 0},
                {"ec:P-384", "EC", "P-384", 0},
                {"rsa:2048", "RSA", NULL, 2048},
                {"rsa:3072", "RSA", NULL, 3072}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!est_text_equal_nocase(algorithm == NULL ? "ec:P-256" : algorithm, rows[i].algorithm))
            continue;
        *kind = rows[i].kind;
        *bits = rows[i].bits;
        *param = rows[i].group != NULL
                     ? OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)rows[i].group, 0)
                     : OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_RSA_BITS, bits);
        return true;
    }
    return false;
}

static estuary_status generate(const char *algorithm, uint32_t parent, const estuary_secret *pin,
                               EVP_PKEY **out, estuary_error *err)
{
    const char *kind = NULL;
    size_t bits = 0, n = 1;
    OSSL_PARAM params[4];
    if (!generate_params(algorithm, &kind, &params[0], &bits))
        return est_fail(err, EST_USAGE_KEY_ALGORITHM,
                        "a TPM makes ec:P-256, ec:P-384, rsa:2048 and rsa:3072");
    if (pin != NULL)
        params[n++] =
            OSSL_PARAM_construct_utf8_string("user-auth", (char *)estuary_secret_get0(pin, NULL), 0);
    if (parent != 0)
        params[n++] = OSSL_PARAM_construct_uint32("parent", &parent);
    params[n] = OSSL_PARAM_construct_end();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(est_tpm2_context(), kind, EST_TPM2_ONLY);
    estuary_status status = ESTUARY_OK;
    if (context == NULL || EVP_PKEY_keygen_init(context) != 1 ||
        EVP_PKEY_CTX_set_params(context, params) != 1 || EVP_PKEY_generate(context, out) != 1)
        status = est_tpm2_fail_at_parent(err, "making the key");
    EVP_PKEY_CTX_free(context);
    return status;
}

static estuary_status encode(EVP_PKEY *key, estuary_secret **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    unsigned char *pem = NULL;
    size_t len = 0;
    OSSL_ENCODER_CTX *encoder =
        OSSL_ENCODER_CTX_new_for_pkey(key, EVP_PKEY_KEYPAIR, "PEM", "PrivateKeyInfo", EST_TPM2_ONLY);
    if (encoder == NULL || OSSL_ENCODER_to_data(encoder, &pem, &len) != 1)
        status = est_tpm2_fail(err, "writing down the key");
    else
        status = estuary_secret_new(pem, len, out, err);
    OPENSSL_clear_free(pem, len);
    OSSL_ENCODER_CTX_free(encoder);
    return status;
}

/* Loaded again from what was written: the key as made does not carry its authorisation. */
static estuary_status bridge_pem(const char *uri, const estuary_secret *pem, const estuary_secret *pin,
                                 EVP_PKEY **out, estuary_error *err)
{
    est_tpm2_source source = {0};
    const char *text = estuary_secret_get0(pem, &source.len);
    source.bytes = (uint8_t *)est_strndup(text, source.len);
    source.uri = est_strdup(uri);
    source.pin = estuary_secret_up_ref((estuary_secret *)pin);
    estuary_status status = source.bytes == NULL || source.uri == NULL ? est_fail_memory(err)
                                                                       : est_tpm2_key_new(&source, out, err);
    est_tpm2_source_clear(&source);
    return status;
}

/* In the TPM, and as the PEM of what only this TPM can load. */
static estuary_status make(const char *algorithm, uint32_t parent, const estuary_secret *pin,
                           estuary_secret **pem, estuary_error *err)
{
    EVP_PKEY *key = NULL;
    est_tpm2_lock();
    est_tpm2_make_room();
    estuary_status status = generate(algorithm, parent, pin, &key, err);
    if (status == ESTUARY_OK)
        status = encode(key, pem, err);
    EVP_PKEY_free(key);
    est_tpm2_unlock();
    return status;
}

estuary_status est_tpm2_generate(const char *algorithm, const char *uri, const estuary_secret *pin,
                                 EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_secret *pem = NULL;
    char *path = NULL;
    uint32_t parent = 0;
    *out = NULL;
    if (est_tpm2_context() == NULL)
        return absent(err);
    if (strncasecmp(uri, "tpm2:", 5) != 0)
        return est_fail(err, EST_USAGE, "a new TPM key is written to a file: tpm2:PATH");
    EST_TRY(check_auth(pin, err));
    EST_TRY(est_tpm2_uri_parse(uri, &path, &parent, err));
    EST_TRY(make(algorithm, parent, pin, &pem, err));
    /* loaded before it is written: a key that this TPM does not load again is of no use to anybody */
    EST_TRY(bridge_pem(uri, pem, pin, out, err));
    EST_TRY(est_key_write_pem(path, pem, err));

cleanup:
    if (status != ESTUARY_OK) {
        EVP_PKEY_free(*out);
        *out = NULL;
    }
    estuary_secret_free(pem);
    est_free(path);
    return status;
}
