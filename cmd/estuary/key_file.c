/* Keys in files: their paths as URIs and back, and passphrases that a copy would undo. */
#include "command.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char scheme[] = "file:";

/* RFC 8089: file:PATH, file:///PATH, file://localhost/PATH; NULL when it names another host. */
static const char *after_authority(const char *rest)
{
    if (strncmp(rest, "//", 2) != 0)
        return rest;
    rest += 2;
    if (strncasecmp(rest, "localhost/", strlen("localhost/")) == 0)
        rest += strlen("localhost");
    return *rest == '/' ? rest : NULL;
}

/* RFC 3986 2.1, in place; false on a broken triplet or an encoded NUL. */
static bool percent_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = OPENSSL_hexchar2int((unsigned char)from[1]);
        int low = high < 0 ? -1 : OPENSSL_hexchar2int((unsigned char)from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return true;
}

/* The path of a key that may be a file: URI; malloc, NULL when it names no file here. */
static char *path_of(const char *uri)
{
    if (strncasecmp(uri, scheme, strlen(scheme)) != 0)
        return strdup(uri);
    const char *rest = after_authority(uri + strlen(scheme));
    /* "./", so that what a name looks like is not taken for a scheme again */
    size_t size = rest == NULL ? 0 : strlen(rest) + sizeof("./");
    char *path = size == 0 ? NULL : malloc(size);
    if (path == NULL)
        return NULL;
    snprintf(path, size, "%s%s", *rest == '/' ? "" : "./", rest);
    if (*rest != '\0' && percent_decode(path))
        return path;
    free(path);
    return NULL;
}

int key_out_as_path(context *ctx)
{
    const char *uri = option_text(ctx, OPT_KEY_OUT);
    if (uri == NULL || strncasecmp(uri, scheme, strlen(scheme)) != 0)
        return EXIT_DONE;
    char *path = path_of(uri);
    if (path == NULL)
        return fail(ctx, "usage.option", NULL, "--key-out names no file of this machine");
    const char *kept = context_keep(ctx, path);
    free(path);
    if (kept == NULL)
        return fail_memory(ctx);
    ctx->options[OPT_KEY_OUT].items[0] = kept;
    return EXIT_DONE;
}

char *key_file_uri(const char *path)
{
    char *whole = absolute_path(path);
    size_t size = whole == NULL ? 0 : 3 * strlen(whole) + sizeof(scheme), len = strlen(scheme);
    char *uri = size == 0 ? NULL : malloc(size);
    if (uri != NULL)
        memcpy(uri, scheme, sizeof(scheme));
    for (const char *p = whole; uri != NULL && *p != '\0'; p++) {
        bool plain = *p != '%' && (unsigned char)*p > ' ' && *p != 0x7f;
        len += (size_t)snprintf(uri + len, size - len, plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
    free(whole);
    return uri;
}

bool path_is_in_out(const context *ctx, const char *path)
{
    char *whole = absolute_path(path);
    char *dir = option_given(ctx, OPT_OUT) ? realpath(option_text(ctx, OPT_OUT), NULL) : NULL;
    size_t len = dir == NULL ? 0 : strlen(dir);
    bool inside = whole != NULL && len > 0 && strncmp(whole, dir, len) == 0 && whole[len] == '/';
    free(whole);
    free(dir);
    return inside;
}

static bool wants_passphrase(const context *ctx, const char *uri, unsigned flags)
{
    EVP_PKEY *key = NULL;
    estuary_error *own = estuary_error_new();
    estuary_process_set_key_records(NULL, NULL); /* the key was opened, and that is on record */
    estuary_status status = estuary_key_open(uri, NULL, flags, &key, own);
    estuary_process_set_key_records(ctx->log, NULL);
    bool wants = status == ESTUARY_E_KEY && strcmp(estuary_error_code(own), "key.passphrase-needed") == 0;
    EVP_PKEY_free(key);
    estuary_error_free(own);
    return wants;
}

int key_keep_protected(context *ctx, const char *uri, unsigned flags)
{
    int result = EXIT_DONE;
    char *path = NULL, *name = NULL;
    if (!wants_passphrase(ctx, uri, flags))
        return EXIT_DONE;
    path = path_of(uri);
    name = path == NULL ? NULL : key_file_uri(path);
    if (name == NULL)
        TRY(fail_memory(ctx));
    if (path_is_in_out(ctx, path))
        TRY(fail(ctx, "usage.option", "move the key elsewhere and name it there",
                 "the key has a passphrase and lies in %s, which is replaced as a whole",
                 option_text(ctx, OPT_OUT)));
    OPENSSL_free(ctx->key_name);
    ctx->key_name = OPENSSL_strdup(name);
    if (ctx->key_name == NULL)
        TRY(fail_memory(ctx));
cleanup:
    free(path);
    free(name);
    return result;
}
