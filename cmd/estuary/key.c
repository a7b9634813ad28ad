#include "command.h"

#include <estuary/token.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_token(const char *uri)
{
    return strncasecmp(uri, "pkcs11:", 7) == 0;
}

/* SHA-256 of the SubjectPublicKeyInfo: what tells two keys apart, wherever they live. */
static int say_public(context *ctx, const EVP_PKEY *key, json_t *to)
{
    char algorithm[64], hex[2 * SHA256_DIGEST_LENGTH + 1];
    unsigned char digest[SHA256_DIGEST_LENGTH] = {0}, *der = NULL;
    int result = EXIT_DONE;
    int len = i2d_PUBKEY(key, &der);
    TRY(check(ctx, estuary_key_algorithm(key, algorithm, sizeof(algorithm), ctx->err)));
    if (len <= 0 || EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) != 1)
        TRY(fail(ctx, "key.failed", NULL, "the key's public half cannot be encoded"));
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    say_row(ctx, "algorithm", "%s", algorithm);
    say_row(ctx, "public key", "SHA-256 %s", hex);
    put_text(to, "algorithm", algorithm);
    put_text(to, "public_key_sha256", hex);
cleanup:
    OPENSSL_free(der);
    return result;
}

static int run_generate(context *ctx, const char *algorithm, const char *uri)
{
    int result = EXIT_DONE;
    EVP_PKEY *key = NULL;
    const estuary_secret *pin = NULL;
    char *exact = NULL;
    TRY(pin_get(ctx, &pin));
    TRY(check(ctx, estuary_key_create(algorithm, uri, pin, &key, ctx->err)));
    if (key_is_hardware(uri))
        TRY(key_exact_name(ctx, uri, &exact));
    say(ctx, "Made a key: %s", exact == NULL ? uri : exact);
    put_text(ctx->result, "uri", exact == NULL ? uri : exact);
    TRY(say_public(ctx, key, ctx->result));
cleanup:
    OPENSSL_free(exact);
    EVP_PKEY_free(key);
    return result;
}

static void say_token(const context *ctx, const estuary_token *token)
{
    json_t *to = json_object();
    const struct {
        const char *words, *name, *text;
    } rows[] = {{"token", "label", estuary_token_label(token)},
                {"serial", "serial", estuary_token_serial(token)},
                {"manufacturer", "manufacturer", estuary_token_manufacturer(token)},
                {"model", "model", estuary_token_model(token)},
                {"firmware", "firmware", estuary_token_firmware(token)},
                {"PIN", "pin", estuary_token_pin_state(token)}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        say_row(ctx, rows[i].words, "%s", rows[i].text);
        if (to != NULL)
            put_text(to, rows[i].name, rows[i].text);
    }
    put(ctx->result, "token", to);
}

static const struct {
    const char *name;
    estuary_key_attribute attribute;
} attributes[] = {{"sensitive", ESTUARY_KEY_SENSITIVE},
                  {"always_sensitive", ESTUARY_KEY_ALWAYS_SENSITIVE},
                  {"extractable", ESTUARY_KEY_EXTRACTABLE},
                  {"never_extractable", ESTUARY_KEY_NEVER_EXTRACTABLE},
                  {"local", ESTUARY_KEY_LOCAL},
                  {"sign", ESTUARY_KEY_SIGN},
                  {"decrypt", ESTUARY_KEY_DECRYPT},
                  {"derive", ESTUARY_KEY_DERIVE},
                  {"unwrap", ESTUARY_KEY_UNWRAP},
                  {"always_authenticate", ESTUARY_KEY_ALWAYS_AUTHENTICATE}};

static void say_token_key(const context *ctx, const estuary_token *token, size_t index, json_t *list)
{
    json_t *row = json_object();
    const char *label = estuary_token_key_label(token, index);
    say(ctx, "%s", "");
    say(ctx, "%s", label[0] == '\0' ? "(no label)" : label);
    say_row(ctx, "URI", "%s", estuary_token_key_uri(token, index));
    say_row(ctx, "algorithm", "%s", estuary_token_key_algorithm(token, index));
    say_row(ctx, "id", "%s", estuary_token_key_id(token, index));
    if (row == NULL)
        return;
    put_text(row, "uri", estuary_token_key_uri(token, index));
    put_text(row, "label", label);
    put_text(row, "id", estuary_token_key_id(token, index));
    put_text(row, "algorithm", estuary_token_key_algorithm(token, index));
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
        bool has = estuary_token_key_has(token, index, attributes[i].attribute);
        say_row(ctx, attributes[i].name, "%s", has ? "yes" : "no");
        put(row, attributes[i].name, json_boolean(has));
    }
    if (list == NULL || json_array_append_new(list, row) != 0)
        json_decref(row);
}

static int show_token(context *ctx, const char *uri, bool one)
{
    int result = EXIT_DONE;
    estuary_token *token = NULL;
    const estuary_secret *pin = NULL;
    json_t *list = json_array();
    TRY(pin_get(ctx, &pin));
    TRY(check(ctx, estuary_token_open(uri, pin, &token, ctx->err)));
    if (one && estuary_token_key_count(token) == 0)
        TRY(fail(ctx, "key.not-found", NULL, "the token holds no such key"));
    if (one && estuary_token_key_count(token) > 1)
        TRY(fail(ctx, "key.ambiguous", NULL, NULL));
    say_token(ctx, token);
    for (size_t i = 0; i < estuary_token_key_count(token); i++)
        say_token_key(ctx, token, i, list);
    put(ctx->result, "keys", list);
    list = NULL;
cleanup:
    json_decref(list);
    estuary_token_free(token);
    return result;
}

static int run_list(context *ctx, const char *uri)
{
    if (!is_token(uri))
        return fail(ctx, "usage.option", NULL, "only a token (pkcs11: URI) has a list of keys");
    if (!option_given(ctx, OPT_PIN) && strstr(uri, "pin-source=") == NULL)
        warn(ctx, "key.no-pin", "without --pin a token shows itself, but not its private keys");
    return show_token(ctx, uri, false);
}

static int run_show(context *ctx, const char *uri)
{
    int result = EXIT_DONE;
    EVP_PKEY *key = NULL;
    const estuary_secret *pin = NULL;
    if (is_token(uri))
        return show_token(ctx, uri, true);
    unsigned flags = option_given(ctx, OPT_INSECURE_KEY_PERMISSIONS) ? ESTUARY_KEY_INSECURE_PERMISSIONS : 0;
    TRY(pin_get(ctx, &pin));
    TRY(check(ctx, estuary_key_open(uri, pin, flags, &key, ctx->err)));
    say_row(ctx, "URI", "%s", uri);
    put_text(ctx->result, "uri", uri);
    TRY(say_public(ctx, key, ctx->result));
cleanup:
    EVP_PKEY_free(key);
    return result;
}

/* A key is gone for good, so a person says so: --yes, or the word typed on a terminal. */
static int confirm(context *ctx, const char *exact)
{
    char answer[16] = "";
    if (option_given(ctx, OPT_YES))
        return EXIT_DONE;
    if (!isatty(STDIN_FILENO) || ctx->json)
        return fail(ctx, "trust.confirm-delete", NULL, NULL);
    fprintf(stderr, "Delete %s for good? Type yes: ", exact);
    if (fgets(answer, sizeof(answer), stdin) == NULL || strcmp(answer, "yes\n") != 0)
        return fail(ctx, "trust.confirm-delete", NULL, "not confirmed, nothing was deleted");
    return EXIT_DONE;
}

static int run_delete(context *ctx, const char *uri)
{
    int result = EXIT_DONE;
    const estuary_secret *pin = NULL;
    char *exact = NULL;
    if (!is_token(uri))
        return fail(ctx, "usage.option", NULL,
                    "delete is for keys in a token; a key file is deleted with rm");
    TRY(pin_get(ctx, &pin));
    TRY(check(ctx, estuary_token_key_name(uri, pin, &exact, ctx->err)));
    TRY(confirm(ctx, exact));
    TRY(check(ctx, estuary_token_delete(exact, pin, ctx->err)));
    say(ctx, "Deleted %s", exact);
    put_text(ctx->result, "deleted", exact);
cleanup:
    OPENSSL_free(exact);
    return result;
}

int run_key(context *ctx)
{
    const char *action = ctx->positional, *one = ctx->more[0], *other = ctx->more[1];
    bool generates = strcmp(action, "generate") == 0;
    if (one == NULL || (generates ? other == NULL : other != NULL))
        return fail(ctx, "usage.option", "see estuary key --help", "key %s takes %s", action,
                    generates ? "ALG and a key URI" : "one URI");
    if (generates)
        return run_generate(ctx, one, other);
    if (strcmp(action, "list") == 0)
        return run_list(ctx, one);
    if (strcmp(action, "show") == 0)
        return run_show(ctx, one);
    if (strcmp(action, "delete") == 0)
        return run_delete(ctx, one);
    return fail(ctx, "usage.option", NULL, "key knows generate, list, show and delete, not \"%s\"", action);
}
