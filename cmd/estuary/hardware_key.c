/* New keys in tokens and TPMs: made before the request, named in DIR.pending and DIR, destroyed when refused.
 */
#include "command.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

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

static bool names_tpm_key(const context *ctx)
{
    const char *const uris[] = {option_text(ctx, OPT_KEY), option_text(ctx, OPT_KEY_OUT),
                                option_text(ctx, OPT_DECRYPT_KEY), ctx->more[0], ctx->more[1]};
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        if (has_scheme(uris[i], "tpm2:") || has_scheme(uris[i], "handle:"))
            return true;
    }
    return false;
}

static int read_auth(context *ctx, option_id id, const char *what, estuary_secret **out)
{
    return option_given(ctx, id) ? check(ctx, estuary_secret_read(option_text(ctx, id), what, out, ctx->err))
                                 : EXIT_DONE;
}

int tpm_auth_set(context *ctx)
{
    int result = EXIT_DONE;
    estuary_secret *owner = NULL, *parent = NULL;
    if (!names_tpm_key(ctx)) /* a configuration file may give them to every command */
        return EXIT_DONE;
    TRY(read_auth(ctx, OPT_TPM_OWNER_AUTH, "authorisation of the TPM's owner hierarchy", &owner));
    TRY(read_auth(ctx, OPT_TPM_PARENT_AUTH, "authorisation of the TPM key's parent", &parent));
    if (owner != NULL || parent != NULL)
        TRY(check(ctx, estuary_process_set_tpm_auth(owner, parent, ctx->err)));
cleanup:
    estuary_secret_free(owner);
    estuary_secret_free(parent);
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
    bool inside = path_is_in_out(ctx, has_scheme(place, "tpm2:") ? place + strlen("tpm2:") : place);
    return inside ? fail(ctx, "usage.option", NULL, "--key-out must not be inside of --out") : EXIT_DONE;
}

/* A planned URI does not repeat where the PIN comes from; OPENSSL_free(*out). */
static int with_pin_source(context *ctx, const char *exact, const char *place, char **out)
{
    const char *query = has_scheme(exact, "pkcs11:") && place != NULL ? strchr(place, '?') : NULL;
    const char *source = query == NULL ? NULL : strstr(query, "pin-source=");
    size_t len = source == NULL ? 0 : strcspn(source, "&");
    size_t size = strlen(exact) + len + 2;
    *out = OPENSSL_malloc(size);
    if (*out == NULL)
        return fail_memory(ctx);
    snprintf(*out, size, "%s%s%.*s", exact,
             len == 0                     ? ""
             : strchr(exact, '?') == NULL ? "?"
                                          : "&",
             (int)len, len == 0 ? "" : source);
    return EXIT_DONE;
}

/* Written down before it is there: a process killed at any time leaves no key that nobody knows. */
static int make_in_hardware(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    const estuary_secret *pin = NULL;
    char *planned = NULL, *full = NULL;
    TRY(pin_get(ctx, &pin));
    TRY(check(ctx, job->beside ? estuary_key_plan_next(job->place, pin, &planned, ctx->err)
                               : estuary_key_plan(job->place, pin, &planned, ctx->err)));
    if (has_scheme(planned, "tpm2:"))
        TRY(name_tpm2(ctx, planned, &job->key_uri));
    else if ((job->key_uri = OPENSSL_strdup(planned)) == NULL)
        TRY(fail_memory(ctx));
    TRY(with_pin_source(ctx, planned, job->place, &full));
    TRY(check(ctx, estuary_store_save_key_intent(job->store, job->key_uri, ctx->err)));
    result = check(ctx, estuary_key_create(job->algorithm, full, pin, &job->key, ctx->err));
    if (result != EXIT_DONE) /* nothing was made, or it was destroyed again */
        (void)estuary_store_remove_pending(job->store, NULL);
cleanup:
    OPENSSL_free(planned);
    OPENSSL_free(full);
    return result;
}

/* A token shows its private keys to nobody without a PIN: they only seem to be gone then. */
static bool is_gone(const context *ctx, const char *uri, const estuary_secret *pin, const char *source)
{
    if (has_scheme(uri, "tpm2:"))
        return access(uri + strlen("tpm2:"), F_OK) != 0 && errno == ENOENT;
    return strcmp(estuary_error_code(ctx->err), "key.not-found") == 0 && (pin != NULL || source != NULL);
}

static bool same_key(const EVP_PKEY *a, const EVP_PKEY *b)
{
    return a != NULL && b != NULL && EVP_PKEY_eq(a, b) == 1;
}

/* What a killed run left and the user names now is no orphan any more. */
static estuary_status find_use(const context *ctx, const enroll_job *job, const char *uri,
                               const estuary_secret *pin, bool *used)
{
    EVP_PKEY *found = NULL;
    *used = false;
    if (!option_given(ctx, OPT_KEY) || !key_is_hardware(option_text(ctx, OPT_KEY)))
        return ESTUARY_OK;
    estuary_status status = estuary_key_open(uri, pin, 0, &found, ctx->err);
    *used = same_key(found, job->key) || same_key(found, job->identity.key);
    EVP_PKEY_free(found);
    return status;
}

int job_end_intent(context *ctx, const enroll_job *job)
{
    int result = EXIT_DONE;
    bool used = false;
    char *uri = NULL, *full = NULL;
    const estuary_secret *pin = NULL;
    const char *place = job->place != NULL ? job->place : option_text(ctx, OPT_KEY);
    TRY(check(ctx, estuary_store_key_intent(job->store, &uri, ctx->err)));
    if (uri == NULL)
        goto cleanup;
    TRY(pin_get(ctx, &pin));
    TRY(with_pin_source(ctx, uri, place, &full));
    estuary_status status = find_use(ctx, job, full, pin, &used);
    /* also when the private half is gone: a public one may be left */
    if (!used && (status == ESTUARY_OK || is_gone(ctx, uri, pin, strstr(full, "pin-source="))))
        status = estuary_key_destroy(full, pin, ctx->err);
    if (status != ESTUARY_OK && !is_gone(ctx, uri, pin, strstr(full, "pin-source="))) {
        result = check(ctx, status);
        failure_add_hint(
            ctx, "a run that was ended left a key that DIR.pending/key.uri names: destroy it, and remove "
                 "DIR.pending, or give its --pin");
        goto cleanup;
    }
    TRY(check(ctx, estuary_store_remove_pending(job->store, ctx->err)));
cleanup:
    OPENSSL_free(uri);
    OPENSSL_free(full);
    return result;
}

int job_make_key(context *ctx, enroll_job *job)
{
    if (job->in_hardware)
        return make_in_hardware(ctx, job);
    return check(ctx, estuary_key_generate(job->algorithm, &job->key, ctx->err));
}

/* Written down, destroyed, forgotten, in this order; the failure that led here is told, not this one. */
bool job_destroy_key(context *ctx, enroll_job *job)
{
    char text[1024];
    const estuary_secret *pin = NULL;
    estuary_error *own = estuary_error_new();
    bool done = false;
    if (!job->in_hardware || job->key == NULL || job->key_uri == NULL) {
        done = true;
    } else if (pin_get(ctx, &pin) == EXIT_DONE &&
               estuary_store_save_key_intent(job->store, job->key_uri, own) == ESTUARY_OK) {
        done = estuary_key_destroy(job->key_uri, pin, own) == ESTUARY_OK;
    }
    estuary_error_free(own);
    if (done)
        return true;
    snprintf(text, sizeof(text), "the new key could not be destroyed and is still at %s", job->key_uri);
    warn(ctx, "key.left", text);
    return false;
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
