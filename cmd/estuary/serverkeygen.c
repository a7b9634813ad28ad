/* A private key made by the server (RFC 7030 4.4). */
#include "command.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PASSWORD_ID "password"

static const option_id ways[] = {OPT_DECRYPT_KEY, OPT_DECRYPT_KEK, OPT_DECRYPT_PASSWORD};

/* ID=SRC: the identifier has no '=', a source may. */
static void split(const char *text, const char **id, size_t *id_len, const char **source)
{
    const char *equals = strchr(text, '=');
    *id = NULL;
    *id_len = 0;
    *source = text;
    if (option_is_secret_source(text) || equals == NULL)
        return;
    *id = text;
    *id_len = (size_t)(equals - text);
    *source = equals + 1;
}

/* 32, 48 or 64 hexadecimal digits, or base64 of 16, 24 or 32 bytes; `out` holds 64. 0 when it is neither. */
static size_t decode_kek(const char *text, size_t len, unsigned char *out)
{
    size_t used = 0;
    if ((len == 32 || len == 48 || len == 64) && strspn(text, "0123456789abcdefABCDEF") == len)
        return OPENSSL_hexstr2buf_ex(out, 64, &used, text, '\0') == 1 ? used : 0;
    size_t padding = len - strcspn(text, "=");
    int decoded =
        len == 24 || len == 32 || len == 44 ? EVP_DecodeBlock(out, (const unsigned char *)text, (int)len) : 0;
    return decoded > 0 && padding <= 2 ? (size_t)decoded - padding : 0;
}

static int read_kek(context *ctx, const char *source, estuary_secret **out)
{
    int result = EXIT_DONE;
    unsigned char bytes[64];
    size_t len = 0;
    estuary_secret *text = NULL;
    TRY(check(ctx, estuary_secret_read(source, "Key-encryption key", &text, ctx->err)));
    const char *plain = estuary_secret_get0(text, &len);
    size_t size = decode_kek(plain, len, bytes);
    if (size != 16 && size != 24 && size != 32)
        TRY(fail(ctx, "usage.decrypt", NULL,
                 "a key-encryption key is 16, 24 or 32 bytes, written in hexadecimal or base64"));
    TRY(check(ctx, estuary_secret_new(bytes, size, out, ctx->err)));
cleanup:
    OPENSSL_cleanse(bytes, sizeof(bytes));
    estuary_secret_free(text);
    return result;
}

/* The certificate of the key that decrypts is known when it is our TLS identity's. */
static X509 *certificate_of(const enroll_job *job)
{
    bool same = job->identity.key != NULL && EVP_PKEY_eq(job->identity.key, job->key) == 1;
    return same ? job->identity.certificate : NULL;
}

static int set_way(context *ctx, const enroll_job *job, estuary_request *request)
{
    int result = EXIT_DONE;
    const char *id = NULL, *source = NULL;
    size_t id_len = 0;
    estuary_secret *secret = NULL;
    if (option_given(ctx, OPT_DECRYPT_KEY)) {
        TRY(check(ctx, estuary_request_set_decrypt_key(request, job->key, certificate_of(job), ctx->err)));
    } else if (option_given(ctx, OPT_DECRYPT_KEK)) {
        split(option_text(ctx, OPT_DECRYPT_KEK), &id, &id_len, &source);
        TRY(read_kek(ctx, source, &secret));
        TRY(check(ctx,
                  estuary_request_set_decrypt_kek(request, (const uint8_t *)id, id_len, secret, ctx->err)));
    } else if (option_given(ctx, OPT_DECRYPT_PASSWORD)) {
        split(option_text(ctx, OPT_DECRYPT_PASSWORD), &id, &id_len, &source);
        if (id == NULL) {
            id = option_given(ctx, OPT_USER) ? option_text(ctx, OPT_USER) : DEFAULT_PASSWORD_ID;
            id_len = strlen(id);
        }
        TRY(check(ctx, estuary_secret_read(source, "Password for the private key", &secret, ctx->err)));
        TRY(check(ctx, estuary_request_set_decrypt_password(request, (const uint8_t *)id, id_len, secret,
                                                            ctx->err)));
    }
cleanup:
    estuary_secret_free(secret);
    return result;
}

int job_keygen_secret(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    bool encrypted = false;
    if (job->operation != ESTUARY_OP_SERVERKEYGEN)
        return EXIT_DONE;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        encrypted = encrypted || option_given(ctx, ways[i]);
    if (!encrypted)
        warn(ctx, "serverkeygen.tls-only",
             "the private key will be protected by the TLS session alone (RFC 7030 4.4.1 strongly recommends "
             "encryption of its own: --decrypt-key, --decrypt-kek or --decrypt-password)");
    TRY(check(ctx, estuary_request_new(&job->decryption, ctx->err)));
    TRY(set_way(ctx, job, job->decryption));
    if (job->enrollment != NULL) /* resumed: key and secret are not in its state */
        TRY(check(ctx, estuary_enrollment_set_decryption(job->enrollment, job->decryption, ctx->err)));
cleanup:
    return result;
}

int job_keygen_request(context *ctx, enroll_job *job, estuary_request **request)
{
    if (job->operation != ESTUARY_OP_SERVERKEYGEN)
        return check(ctx, estuary_request_new(request, ctx->err));
    *request = job->decryption; /* it says already how to encrypt */
    job->decryption = NULL;
    return EXIT_DONE;
}

int job_keygen_take_key(context *ctx, enroll_job *job)
{
    EVP_PKEY *generated = estuary_enrollment_get0_generated_key(job->enrollment);
    if (job->operation != ESTUARY_OP_SERVERKEYGEN)
        return EXIT_DONE;
    if (generated == NULL || EVP_PKEY_up_ref(generated) != 1)
        return fail_memory(ctx);
    EVP_PKEY_free(job->key);
    job->key = generated;
    job->make_key = true;
    return EXIT_DONE;
}

/* --pin is the passphrase of --key; without --key, that of --decrypt-key. */
static int open_decrypt_key(context *ctx, EVP_PKEY **out)
{
    int result = EXIT_DONE;
    const estuary_secret *pin = NULL;
    unsigned flags = option_given(ctx, OPT_INSECURE_KEY_PERMISSIONS) ? ESTUARY_KEY_INSECURE_PERMISSIONS : 0;
    if (!option_given(ctx, OPT_KEY))
        TRY(pin_get(ctx, &pin));
    TRY(check(ctx, estuary_key_open(option_text(ctx, OPT_DECRYPT_KEY), pin, flags, out, ctx->err)));
cleanup:
    return result;
}

static int check_options(context *ctx)
{
    int result = EXIT_DONE;
    const char *id = NULL, *source = NULL, *kek = option_text(ctx, OPT_DECRYPT_KEK);
    size_t id_len = 0;
    TRY(option_need(ctx, OPT_OUT, ""));
    if (!request_names_given(ctx) && !option_given(ctx, OPT_CSRATTRS))
        TRY(fail(ctx, "usage.option", NULL, "--subject or --san is needed"));
    if (option_given(ctx, OPT_KEY) && !option_given(ctx, OPT_CERT))
        TRY(fail(ctx, "usage.option", "--decrypt-key names the key that decrypts",
                 "--key is for the key of --cert: here the server makes the key to certify"));
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        TRY(option_exclude(ctx, ways[i], ways[(i + 1) % 3]));
    /* the server takes the kind of the new key from the request, which the key that decrypts signs */
    TRY(option_exclude(ctx, OPT_DECRYPT_KEY, OPT_NEW_KEY));
    if (kek != NULL)
        split(kek, &id, &id_len, &source);
    if (kek != NULL && id_len == 0)
        TRY(fail(ctx, "usage.option", NULL, "--decrypt-kek wants ID=SRC: the server finds the key by ID"));
cleanup:
    return result;
}

static int prepare(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    TRY(check_options(ctx));
    TRY(identity_open(ctx, &job->identity));
    if (option_given(ctx, OPT_DECRYPT_KEY)) {
        TRY(open_decrypt_key(ctx, &job->key));
    } else {
        job->make_key = true;
        job->algorithm_given = option_given(ctx, OPT_NEW_KEY);
        snprintf(job->algorithm, sizeof(job->algorithm), "%s",
                 job->algorithm_given ? option_text(ctx, OPT_NEW_KEY) : "ec:P-256");
    }
    TRY(check(ctx, estuary_csr_new(&job->csr, ctx->err)));
    TRY(request_names(ctx, job->csr));
cleanup:
    return result;
}

int run_serverkeygen(context *ctx)
{
    enroll_job job = {.operation = ESTUARY_OP_SERVERKEYGEN};
    int result = prepare(ctx, &job);
    if (result == EXIT_DONE)
        result = job_run(ctx, &job);
    job_free(&job);
    return result;
}
