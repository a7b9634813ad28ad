/* New keys in tokens and TPMs: made before the request, named in DIR.pending and DIR, destroyed when refused.
 */
#include "command.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has_scheme(const char *uri, const char *scheme)
{
    return uri != NULL && strncasecmp(uri, scheme, strlen(scheme)) == 0;
}

bool key_is_hardware(const char *uri)
{
    return has_scheme(uri, "pkcs11:") || has_scheme(uri, "tpm2:") || has_scheme(uri, "handle:");
}

int pin_get(context *ctx, const estuary_secret **out)
{
    int result = EXIT_DONE;
    if (ctx->pin == NULL && option_given(ctx, OPT_PIN))
        result = check(ctx, estuary_secret_read(option_text(ctx, OPT_PIN), "PIN or passphrase of the key",
                                                &ctx->pin, ctx->err));
    *out = ctx->pin;
    return result;
}

/* The folder made absolute, whatever becomes of the file; malloc. */
char *absolute_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char *folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    char *real = folder == NULL ? NULL : realpath(folder, NULL);
    char *whole = NULL;
    size_t size = real == NULL ? 0 : strlen(real) + strlen(name) + 2;
    if (size > 0)
        whole = malloc(size);
    if (whole != NULL)
        snprintf(whole, size, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name);
    free(folder);
    free(real);
    return whole;
}

static int name_tpm2(context *ctx, const char *uri, char **out)
{
    int result = EXIT_DONE;
    const char *start = uri + strlen("tpm2:");
    char *path = OPENSSL_strndup(start, strcspn(start, "?")), *whole = NULL;
    if (path == NULL)
        TRY(fail_memory(ctx));
    whole = absolute_path(path);
    if (whole == NULL)
        TRY(fail(ctx, "io.failed", NULL, "the folder of %s cannot be found", path));
    size_t size = strlen(whole) + sizeof("tpm2:");
    *out = OPENSSL_malloc(size);
    if (*out == NULL)
        TRY(fail_memory(ctx));
    snprintf(*out, size, "tpm2:%s", whole);
cleanup:
    OPENSSL_free(path);
    free(whole);
    return result;
}

int key_exact_name(context *ctx, const char *uri, char **out)
{
    int result = EXIT_DONE;
    const estuary_secret *pin = NULL;
    *out = NULL;
    if (has_scheme(uri, "tpm2:"))
        return name_tpm2(ctx, uri, out);
    TRY(pin_get(ctx, &pin));
    if (has_scheme(uri, "pkcs11:"))
        return check(ctx, estuary_token_key_name(uri, pin, out, ctx->err));
    *out = OPENSSL_strdup(uri);
    if (*out == NULL)
        result = fail_memory(ctx);
cleanup:
    return result;
}

int new_key_place(context *ctx, enroll_job *job)
{
    const char *place = option_text(ctx, OPT_KEY_OUT);
    bool renews =
        place == NULL && ctx->command->mask == IN_REENROLL && key_is_hardware(option_text(ctx, OPT_KEY));
    if (renews)
        place = option_text(ctx, OPT_KEY);
    if (!key_is_hardware(place))
        return EXIT_DONE;
    if (has_scheme(place, "handle:"))
        return fail(ctx, "usage.option",
                    renews ? "use --key-out tpm2:PATH, or --same-key" : "use --key-out tpm2:PATH",
                    "a TPM makes no new key at a persistent handle, but wrapped in a file");
    job->in_hardware = true;
    job->beside = renews;
    job->place = place;
    return EXIT_DONE;
}

/* DIR is replaced as a whole, and what else there is in it is refused. */
int key_out_is_outside(context *ctx)
{
    const char *place = option_text(ctx, OPT_KEY_OUT);
    if (place == NULL || has_scheme(place, "pkcs11:"))
        return EXIT_DONE;
    char *path = absolute_path(has_scheme(place, "tpm2:") ? place + strlen("tpm2:") : place);
    char *dir = realpath(option_text(ctx, OPT_OUT), NULL);
    size_t len = dir == NULL ? 0 : strlen(dir);
    bool inside = path != NULL && len > 0 && strncmp(path, dir, len) == 0 && path[len] == '/';
    free(path);
    free(dir);
    return inside ? fail(ctx, "usage.option", NULL, "--key-out must not be inside of --out") : EXIT_DONE;
}

static int make_in_hardware(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    const estuary_secret *pin = NULL;
    TRY(pin_get(ctx, &pin));
    if (job->beside)
        TRY(check(ctx, estuary_key_create_next(job->algorithm, job->place, pin, &job->key_uri, &job->key,
                                               ctx->err)));
    else
        TRY(check(ctx, estuary_key_create(job->algorithm, job->place, pin, &job->key, ctx->err)));
    if (job->beside && has_scheme(job->key_uri, "tpm2:")) {
        char *exact = NULL;
        TRY(key_exact_name(ctx, job->key_uri, &exact));
        OPENSSL_free(job->key_uri);
        job->key_uri = exact;
    } else if (!job->beside) {
        TRY(key_exact_name(ctx, job->place, &job->key_uri));
    }
    TRY(check(ctx, estuary_store_set_key_uri(job->store, job->key_uri, ctx->err)));
cleanup:
    return result;
}

int job_make_key(context *ctx, enroll_job *job)
{
    if (job->in_hardware)
        return make_in_hardware(ctx, job);
    return check(ctx, estuary_key_generate(job->algorithm, &job->key, ctx->err));
}

void job_destroy_key(context *ctx, enroll_job *job)
{
    char text[1024];
    const char *uri = job->key_uri != NULL ? job->key_uri : job->place;
    const estuary_secret *pin = NULL;
    estuary_error *own = estuary_error_new(); /* the failure that led here is told, not this one */
    if (!job->in_hardware || job->key == NULL || (job->key_uri == NULL && job->beside) ||
        pin_get(ctx, &pin) != EXIT_DONE)
        goto cleanup;
    if (estuary_key_destroy(uri, pin, own) == ESTUARY_OK)
        goto cleanup;
    snprintf(text, sizeof(text), "the new key could not be destroyed and is still at %s", uri);
    warn(ctx, "key.left", text);
cleanup:
    estuary_error_free(own);
}

static int refers_to_place(context *ctx, const enroll_job *job, const char *uri, bool *same)
{
    char *exact = NULL;
    *same = job->beside;
    if (job->beside)
        return EXIT_DONE;
    int result = key_exact_name(ctx, job->place, &exact);
    *same = result == EXIT_DONE && strcmp(exact, uri) == 0;
    OPENSSL_free(exact);
    return result;
}

int job_pending_key(context *ctx, enroll_job *job, EVP_PKEY **own, bool *other)
{
    int result = EXIT_DONE;
    char *uri = NULL;
    bool same = false;
    const estuary_secret *pin = NULL;
    unsigned flags = option_given(ctx, OPT_INSECURE_KEY_PERMISSIONS) ? ESTUARY_KEY_INSECURE_PERMISSIONS : 0;
    *other = false;
    TRY(check(ctx, estuary_store_pending_key_uri(job->store, &uri, ctx->err)));
    if (uri == NULL) {
        *other = job->in_hardware;
        goto cleanup;
    }
    if (job->in_hardware)
        TRY(refers_to_place(ctx, job, uri, &same));
    if (!same) {
        *other = true;
        goto cleanup;
    }
    TRY(pin_get(ctx, &pin));
    /* --key-out may name a PIN's source, which its exact name does not repeat */
    TRY(check(ctx, estuary_key_open(job->beside ? uri : job->place, pin, flags, own, ctx->err)));
    TRY(check(ctx, estuary_store_set_key_uri(job->store, uri, ctx->err)));
    job->key_uri = uri;
    uri = NULL;
cleanup:
    if (result != EXIT_DONE && uri != NULL)
        failure_add_hint(ctx,
                         "the pending request's key is needed; remove the .pending folder to give it up");
    OPENSSL_free(uri);
    return result;
}
