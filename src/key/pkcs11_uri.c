/* RFC 7512, read by p11-kit; what it allows and we do not is refused here (K3). */
#include "key/pkcs11.h"

#include <string.h>

#define URI_MAX 4096

static estuary_status take_pin(const est_p11_kit *kit, est_p11_uri *uri, estuary_error *err)
{
    const char *source = kit->uri_get_pin_source(uri->parsed);
    if (kit->uri_get_pin_value(uri->parsed) != NULL)
        return est_fail(err, EST_USAGE_PIN_LITERAL, NULL);
    if (source == NULL)
        return ESTUARY_OK;
    /* RFC 7512 2.4: "|command" is allowed there, and running a command out of a URI is not here */
    const char *path = strncmp(source, "file:", 5) == 0 ? source + 5 : source;
    if (strncmp(path, "//", 2) == 0)
        path += 2;
    if (*path != '/')
        return est_fail(err, EST_USAGE_PIN_SOURCE, NULL);
    char *named = est_printf("file:%s", path);
    if (named == NULL)
        return est_fail_memory(err);
    estuary_status status = estuary_secret_read(named, "PIN", &uri->pin, err);
    est_free(named);
    return status;
}

/* The length of the name an attribute begins with. */
static size_t name_length(const char *at)
{
    return strcspn(at, "=;&?");
}

/* RFC 7512 2.3: no attribute more than once. p11-kit takes the last, and others may take the first. */
static bool repeats(const char *text)
{
    static const char separators[] = ";&?";
    const char *start = text + strcspn(text, ":");
    for (const char *a = start; *a != '\0'; a += 1 + strcspn(a + 1, separators)) {
        const char *b = a + 1 + strcspn(a + 1, separators);
        for (; *b != '\0'; b += 1 + strcspn(b + 1, separators)) {
            size_t len = name_length(a + 1);
            if (len > 0 && len == name_length(b + 1) && strncmp(a + 1, b + 1, len) == 0)
                return true;
        }
    }
    return false;
}

estuary_status est_p11_uri_parse(const char *text, est_p11_uri *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const est_p11_kit *kit = est_p11_kit_get();
    memset(out, 0, sizeof(*out));
    if (kit == NULL)
        EST_FAIL(EST_UNSUPPORTED_PKCS11, NULL);
    if (strnlen(text, URI_MAX + 1) > URI_MAX)
        EST_FAIL(EST_USAGE_PKCS11_URI, "the PKCS#11 URI is too long");
    out->parsed = kit->uri_new();
    if (out->parsed == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    /* the error never repeats the URI: it may hold a PIN */
    if (kit->uri_parse(text, P11_KIT_URI_FOR_ANY, out->parsed) != P11_KIT_URI_OK)
        EST_FAIL(EST_USAGE_PKCS11_URI, NULL);
    if (repeats(text))
        EST_FAIL(EST_USAGE_PKCS11_URI, "the PKCS#11 URI has an attribute twice");
    if (kit->uri_any_unrecognized(out->parsed))
        EST_FAIL(EST_USAGE_PKCS11_URI, "the PKCS#11 URI has an attribute we do not know");
    EST_TRY(take_pin(kit, out, err));

cleanup:
    if (status != ESTUARY_OK)
        est_p11_uri_clear(out);
    return status;
}

void est_p11_uri_clear(est_p11_uri *uri)
{
    if (uri->parsed != NULL)
        est_p11_kit_get()->uri_free(uri->parsed);
    estuary_secret_free(uri->pin);
    memset(uri, 0, sizeof(*uri));
}
