#include "key/key.h"

#include <string.h>
#include <strings.h>

static bool has_scheme(const char *uri, const char *scheme)
{
    return strncasecmp(uri, scheme, strlen(scheme)) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
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
        int high = hex_digit(from[1]);
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return true;
}

/* RFC 8089: file:PATH, file:///PATH, file://localhost/PATH; NULL when it names another host. */
static const char *after_authority(const char *rest)
{
    if (strncmp(rest, "//", 2) != 0)
        return rest;
    rest += 2;
    if (has_scheme(rest, "localhost/"))
        rest += strlen("localhost");
    return *rest == '/' ? rest : NULL;
}

static estuary_status file_path(const char *rest, char **path, estuary_error *err)
{
    const char *local = after_authority(rest);
    if (local == NULL)
        return est_fail(err, EST_USAGE, "the key URI names a file on another host");
    char *copy = est_strdup(local);
    if (copy == NULL)
        return est_fail_memory(err);
    if (!percent_decode(copy) || *copy == '\0') {
        est_free(copy);
        return est_fail(err, EST_USAGE, "the path in the key URI is empty or has a broken percent-encoding");
    }
    *path = copy;
    return ESTUARY_OK;
}

bool est_key_uri_is_pkcs11(const char *uri)
{
#ifdef ESTUARY_PKCS11
    return uri != NULL && has_scheme(uri, "pkcs11:");
#else
    (void)uri;
    return false;
#endif
}

bool est_key_uri_is_tpm2(const char *uri)
{
    return uri != NULL && (has_scheme(uri, "tpm2:") || has_scheme(uri, "handle:"));
}

estuary_status est_key_uri_path(const char *uri, char **path, estuary_error *err)
{
    static const char *const hardware[] = {"pkcs11:", "tpm2:", "handle:"};
    *path = NULL;
    if (uri == NULL || *uri == '\0')
        return est_fail(err, EST_USAGE, "no key was given");
    for (size_t i = 0; i < sizeof(hardware) / sizeof(hardware[0]); i++)
        if (has_scheme(uri, hardware[i]))
            return est_fail(err, EST_UNSUPPORTED_KEY_URI, "%s names no file, and only a file will do here",
                            hardware[i]);
    if (has_scheme(uri, "file:"))
        return file_path(uri + strlen("file:"), path, err);
    *path = est_strdup(uri);
    return *path == NULL ? est_fail_memory(err) : ESTUARY_OK;
}
