/* renewal-info (draft-ietf-lamps-est-renewal-info, RFC 9773 4.1 and 4.2): the identifier and the JSON. */
#include "wire/wire.h"

#include <estuary/renewal_info.h>
#include <jansson.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define MAX_BYTES       65536
#define EXPLANATION_MAX 512

struct estuary_renewal_info {
    time_t start, end;
    time_t retry_at;
    char explanation[EXPLANATION_MAX];
};

/* RFC 4648 5, without padding; out holds 4 characters for 3 bytes, and a NUL. */
static size_t to_base64url(const uint8_t *bytes, size_t len, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t used = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        for (size_t k = 0; k < (left > 2 ? 4 : left + 1); k++)
            out[used++] = letters[group >> (18 - 6 * k) & 0x3f];
    }
    out[used] = '\0';
    return used;
}

/* "the DER-encoded Serial Number field (without the tag and length bytes)": a leading zero byte stays */
static estuary_status serial_content(const X509 *certificate, uint8_t **der, const uint8_t **at, size_t *len,
                                     estuary_error *err)
{
    long content = 0;
    int tag = 0, class = 0;
    int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate), der);
    *at = *der;
    if (size <= 0 || (ASN1_get_object(at, &content, &tag, &class, size) & 0x80) != 0 ||
        !est_int_to_size(content, len))
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    return ESTUARY_OK;
}

estuary_status estuary_renewal_info_id(const X509 *certificate, char **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t *der = NULL;
    const uint8_t *serial = NULL;
    char *text = NULL;
    size_t serial_len = 0, key_len = 0;
    *out = NULL;
    const ASN1_OCTET_STRING *key = X509_get0_authority_key_id((X509 *)certificate);
    if (key == NULL || !est_int_to_size(ASN1_STRING_length(key), &key_len) || key_len == 0)
        EST_FAIL(EST_CERT_NO_KEY_ID, NULL);
    EST_TRY(serial_content(certificate, &der, &serial, &serial_len, err));
    text = est_alloc((key_len + 2) / 3 * 4 + 1 + (serial_len + 2) / 3 * 4 + 1);
    if (text == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    size_t used = to_base64url(ASN1_STRING_get0_data(key), key_len, text);
    text[used++] = '.';
    (void)to_base64url(serial, serial_len, text + used);
    *out = text;
cleanup:
    OPENSSL_free(der);
    ERR_clear_error();
    return status;
}

/* RFC 3339; a fraction of a second says nothing here. */
static bool read_time(const json_t *window, const char *name, time_t *out)
{
    const char *text = json_string_value(json_object_get(window, name));
    char plain[48];
    if (text == NULL)
        return false;
    const char *dot = strchr(text, '.');
    size_t head = dot == NULL ? strlen(text) : (size_t)(dot - text);
    size_t digits = dot == NULL ? 0 : strspn(dot + 1, "0123456789");
    const char *tail = dot == NULL ? "" : dot + 1 + digits;
    if (head != strlen("2025-01-02T04:00:00") && dot != NULL)
        return false;
    if ((dot != NULL && digits == 0) || head + strlen(tail) >= sizeof(plain))
        return false;
    snprintf(plain, sizeof(plain), "%.*s%s", (int)head, text, tail);
    return est_time_parse(plain, out);
}

static estuary_status read_window(const json_t *root, estuary_renewal_info *info, estuary_error *err)
{
    const json_t *window = json_object_get(root, "suggestedWindow");
    if (!json_is_object(window))
        return est_fail(err, EST_PROTOCOL_RENEWAL_INFO, "the server's renewal-info holds no suggestedWindow");
    if (!read_time(window, "start", &info->start) || !read_time(window, "end", &info->end))
        return est_fail(err, EST_PROTOCOL_RENEWAL_INFO,
                        "the window in the server's renewal-info does not start and end at RFC 3339 times");
    if (info->start >= info->end) /* "clients MUST treat one as though they failed to receive any response" */
        return est_fail(err, EST_PROTOCOL_RENEWAL_WINDOW, NULL);
    return ESTUARY_OK;
}

static estuary_status read_explanation(const json_t *root, estuary_renewal_info *info, estuary_error *err)
{
    const json_t *text = json_object_get(root, "explanationURL");
    if (text == NULL || json_is_null(text))
        return ESTUARY_OK;
    if (!json_is_string(text))
        return est_fail(err, EST_PROTOCOL_RENEWAL_INFO, "the explanationURL of renewal-info is no text");
    est_text_sanitise(json_string_value(text), json_string_length(text), info->explanation,
                      sizeof(info->explanation));
    return ESTUARY_OK;
}

static estuary_status load(const uint8_t *json, size_t len, json_t **root, estuary_error *err)
{
    json_error_t why;
    *root = len > 0 ? json_loadb((const char *)json, len, JSON_REJECT_DUPLICATES, &why) : NULL;
    if (*root == NULL && len > 0 && json_error_code(&why) == json_error_out_of_memory)
        return est_fail_memory(err);
    if (!json_is_object(*root))
        return est_fail(err, EST_PROTOCOL_RENEWAL_INFO, NULL);
    return ESTUARY_OK;
}

estuary_status estuary_renewal_info_parse(const uint8_t *json, size_t len, time_t retry_at,
                                          estuary_renewal_info **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    json_t *root = NULL;
    *out = NULL;
    estuary_renewal_info *info = est_alloc(sizeof(*info));
    if (info == NULL)
        return est_fail_memory(err);
    if (len > MAX_BYTES)
        EST_FAIL(EST_PROTOCOL_RENEWAL_INFO, "the server's renewal-info is longer than %d bytes", MAX_BYTES);
    EST_TRY(load(json, len, &root, err));
    EST_TRY(read_window(root, info, err));
    EST_TRY(read_explanation(root, info, err));
    info->retry_at = retry_at;
    *out = info;
    info = NULL;
cleanup:
    json_decref(root);
    est_free(info);
    return status;
}

void estuary_renewal_info_free(estuary_renewal_info *info)
{
    est_free(info);
}

time_t estuary_renewal_info_start(const estuary_renewal_info *info)
{
    return info->start;
}

time_t estuary_renewal_info_end(const estuary_renewal_info *info)
{
    return info->end;
}

time_t estuary_renewal_info_retry_at(const estuary_renewal_info *info)
{
    return info->retry_at;
}

const char *estuary_renewal_info_explanation(const estuary_renewal_info *info)
{
    return info->explanation;
}
