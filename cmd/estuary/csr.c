#include "command.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int inspect(context *ctx)
{
    static const option_id building[] = {OPT_SUBJECT, OPT_SAN,     OPT_KEY_USAGE, OPT_EKU,   OPT_EXTENSION,
                                         OPT_KEY,     OPT_NEW_KEY, OPT_KEY_OUT,   OPT_OUTPUT};
    int result = EXIT_DONE;
    X509_REQ *request = NULL;
    for (size_t i = 0; i < sizeof(building) / sizeof(building[0]); i++)
        TRY(option_exclude(ctx, OPT_INSPECT, building[i]));
    TRY(read_request(ctx, option_text(ctx, OPT_INSPECT), &request));
    TRY(request_report(ctx, request));
cleanup:
    X509_REQ_free(request);
    return result;
}

/* Beside the request: whoever finds the one finds the other. */
static int choose_place(context *ctx)
{
    const char *request = option_text(ctx, OPT_OUTPUT);
    const char *slash = request == NULL ? NULL : strrchr(request, '/');
    int folder = slash == NULL ? 0 : (int)(slash - request) + 1;
    char path[PATH_MAX];
    if (option_given(ctx, OPT_KEY_OUT))
        return EXIT_DONE;
    if (snprintf(path, sizeof(path), "%.*skey.pem", folder, folder == 0 ? "" : request) >= PATH_MAX)
        return fail(ctx, "usage.option", NULL, "the path of -o is too long");
    const char *kept = context_keep(ctx, path);
    return kept == NULL ? fail_memory(ctx) : option_default(ctx, OPT_KEY_OUT, kept);
}

static int get_key(context *ctx, EVP_PKEY **key)
{
    int result = EXIT_DONE;
    const estuary_secret *pin = NULL;
    TRY(option_exclude(ctx, OPT_KEY, OPT_NEW_KEY));
    if (option_given(ctx, OPT_KEY)) {
        if (option_given(ctx, OPT_KEY_OUT))
            TRY(fail(ctx, "usage.option", NULL, "--key-out is for a new key"));
        TRY(key_open(ctx, key));
        goto cleanup;
    }
    if (!option_given(ctx, OPT_NEW_KEY))
        TRY(fail(ctx, "usage.option", NULL, "either --key or --new-key is needed"));
    TRY(choose_place(ctx));
    if (option_given(ctx, OPT_OUTPUT) &&
        strcmp(option_text(ctx, OPT_OUTPUT), option_text(ctx, OPT_KEY_OUT)) == 0)
        TRY(fail(ctx, "usage.option", NULL, "-o and --key-out would be the same file"));
    if (key_is_hardware(option_text(ctx, OPT_KEY_OUT))) {
        TRY(pin_get(ctx, &pin));
        TRY(check(ctx, estuary_key_create(option_text(ctx, OPT_NEW_KEY), option_text(ctx, OPT_KEY_OUT), pin,
                                          key, ctx->err)));
        goto cleanup;
    }
    TRY(check(ctx, estuary_key_generate(option_text(ctx, OPT_NEW_KEY), key, ctx->err)));
cleanup:
    return result;
}

/* A request without its key is of no use, and a key without its request neither. */
static void remove_key(context *ctx, const char *place)
{
    const estuary_secret *pin = NULL;
    if (!key_is_hardware(place))
        (void)unlink(place);
    else if (pin_get(ctx, &pin) != EXIT_DONE || estuary_key_destroy(place, pin, NULL) != ESTUARY_OK)
        warn(ctx, "key.left", "the new key could not be destroyed and is still there");
}

static int build(context *ctx, const estuary_csr *csr, EVP_PKEY *key)
{
    int result = EXIT_DONE;
    X509_REQ *request = NULL;
    char *pem = NULL, *exact = NULL;
    const char *key_path = option_text(ctx, OPT_KEY_OUT);
    bool made = key_path != NULL && key_is_hardware(key_path);
    if (made)
        TRY(key_exact_name(ctx, key_path, &exact));
    TRY(check(ctx, estuary_csr_sign(csr, key, &request, ctx->err)));
    pem = request_to_pem(request);
    if (pem == NULL)
        TRY(fail_memory(ctx));
    /* the key first: a request without it is of no use */
    if (key_path != NULL && !made)
        TRY(check(ctx, estuary_key_write(key, key_path, NULL, ctx->err)));
    made = key_path != NULL;
    TRY(write_output(ctx, "csr_pem", pem));
    made = false; /* it stays */
    key_path = exact != NULL ? exact : key_path;
    put_text(ctx->result, "key", key_path != NULL ? key_path : option_text(ctx, OPT_KEY));
    if (option_given(ctx, OPT_OUTPUT)) {
        say(ctx, "Request written to %s", option_text(ctx, OPT_OUTPUT));
        if (key_path != NULL)
            say_row(ctx, "new key", "%s", key_path);
    }
cleanup:
    if (made)
        remove_key(ctx, option_text(ctx, OPT_KEY_OUT));
    OPENSSL_free(exact);
    X509_REQ_free(request);
    OPENSSL_free(pem);
    return result;
}

int run_csr(context *ctx)
{
    int result = EXIT_DONE;
    EVP_PKEY *key = NULL;
    estuary_csr *csr = NULL;
    if (option_given(ctx, OPT_INSPECT))
        return inspect(ctx);
    if (!request_names_given(ctx))
        TRY(fail(ctx, "usage.option", NULL, "a request needs --subject or --san"));
    TRY(check(ctx, estuary_csr_new(&csr, ctx->err)));
    TRY(request_names(ctx, csr));
    TRY(get_key(ctx, &key));
    TRY(build(ctx, csr, key));
cleanup:
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
    return result;
}
