/* What an HTTP answer means to EST, before its body is read (RFC 7030 3.2.1, 4.x, RFC 8951). */
#include "est/est.h"

#include <string.h>

#define TEXT_MAX 513

estuary_status est_answer_check_bounds(const estuary_http_response *response, const estuary_limits *limits,
                                       estuary_error *err)
{
    if (response->n_headers > (size_t)estuary_limits_get(limits, ESTUARY_LIMIT_HEADER_COUNT))
        return est_fail(err, EST_PROTOCOL_HEADER_COUNT, NULL);
    if (response->header_bytes > (size_t)estuary_limits_get(limits, ESTUARY_LIMIT_HEADER_BYTES))
        return est_fail(err, EST_PROTOCOL_HEADERS, NULL);
    if (response->body.len > (size_t)estuary_limits_get(limits, ESTUARY_LIMIT_RESPONSE_BYTES))
        return est_fail(err, EST_PROTOCOL_TOO_LARGE, NULL);
    return ESTUARY_OK;
}

/* E11: the server's own words, bounded and without control bytes; "" when it sent nothing readable */
static void server_text(const estuary_http_response *response, const estuary_limits *limits,
                        char out[TEXT_MAX])
{
    size_t max = (size_t)estuary_limits_get(limits, ESTUARY_LIMIT_ERROR_TEXT_BYTES) + 1;
    const char *type = est_response_header(response, "Content-Type");
    est_media_type media;
    out[0] = '\0';
    if (response->body.len == 0)
        return;
    if (type != NULL && (!est_media_type_parse(type, &media) || strncmp(media.type, "text/", 5) != 0))
        return;
    if (max > TEXT_MAX)
        max = TEXT_MAX;
    if (type != NULL && strcmp(media.type, "text/html") == 0) {
        uint8_t plain[4 * TEXT_MAX];
        size_t len = est_html_text(response->body.data, response->body.len, plain, sizeof(plain));
        est_text_sanitise(plain, len, out, max);
    } else {
        est_text_sanitise(response->body.data, response->body.len, out, max);
    }
}

/* One line may offer several schemes (RFC 9110 11.6.1); their parameters stand between the same commas. */
static bool offers_known_scheme(const char *challenges)
{
    const char *p = challenges;
    while (*p != '\0') {
        char scheme[8] = "";
        p += strspn(p, " \t,");
        size_t len = strcspn(p, " \t,");
        if (len < sizeof(scheme))
            memcpy(scheme, p, len);
        if (est_text_equal_nocase(scheme, "Basic") || est_text_equal_nocase(scheme, "Digest"))
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

static estuary_status unauthorised(const estuary_http_response *response, estuary_error *err)
{
    bool any = false;
    for (size_t i = 0; i < response->n_headers; i++) {
        const est_header *h = &response->headers[i];
        if (!est_text_equal_nocase(h->name, "WWW-Authenticate"))
            continue;
        any = true;
        if (offers_known_scheme(h->value))
            return est_fail(err, EST_AUTH_REQUIRED, NULL);
    }
    return est_fail(err, any ? EST_AUTH_SCHEME : EST_AUTH_NO_CHALLENGE, NULL);
}

static est_code code_of(int status)
{
    switch (status) {
    case 403:
        return EST_AUTH_FORBIDDEN;
    case 404:
        return EST_SERVER_NOT_FOUND;
    case 405:
        return EST_SERVER_METHOD;
    case 413:
        return EST_SERVER_TOO_LARGE;
    case 429:
    case 503:
        return EST_SERVER_BUSY;
    default:
        break;
    }
    if (status >= 400 && status < 500)
        return EST_SERVER_REFUSED;
    return status >= 500 && status < 600 ? EST_SERVER : EST_PROTOCOL_STATUS;
}

estuary_status est_answer_refusal(const estuary_http_response *response, const estuary_limits *limits,
                                  time_t now, estuary_error *err)
{
    estuary_status status;
    char text[TEXT_MAX];
    est_code code = code_of(response->status);
    if (response->status == 401) {
        status = unauthorised(response, err);
    } else if (code == EST_PROTOCOL_STATUS) {
        status = est_fail(err, code, "the server answered with status %d, which EST does not use here",
                          response->status);
    } else {
        server_text(response, limits, text);
        status = est_fail(err, code, "%s (status %d)%s%s%s", est_code_sentence(code), response->status,
                          text[0] == '\0' ? "" : ": \"", text, text[0] == '\0' ? "" : "\"");
    }
    time_t at = 0;
    if (est_answer_retry_at(response, limits, now, &at, NULL) == ESTUARY_OK)
        est_error_set_retry_at(err, at);
    est_error_set_http_status(err, response->status);
    return status;
}

/* E7, RFC 7030 4.2.3: Retry-After is a MUST with 202 */
estuary_status est_answer_retry_at(const estuary_http_response *response, const estuary_limits *limits,
                                   time_t now, time_t *at, estuary_error *err)
{
    const char *value = est_response_header(response, "Retry-After");
    if (value == NULL)
        return est_fail(err, EST_PROTOCOL_RETRY_AFTER_MISSING, NULL);
    if (!est_retry_after_parse(value, now, at))
        return est_fail(err, EST_PROTOCOL_RETRY_AFTER, NULL);
    time_t latest = now + (time_t)estuary_limits_get(limits, ESTUARY_LIMIT_RETRY_AFTER_SECONDS);
    if (*at > latest)
        *at = latest;
    if (*at <= now)
        *at = now + 1; /* a date in the past must not become a busy loop */
    return ESTUARY_OK;
}

estuary_status est_answer_check_type(const estuary_http_response *response, const char *media_type,
                                     const char *smime_type, estuary_error *err)
{
    const char *encoding = est_response_header(response, "Content-Encoding");
    const char *type = est_response_header(response, "Content-Type");
    est_media_type media;
    char shown[80];
    if (encoding != NULL && !est_text_equal_nocase(encoding, "identity"))
        return est_fail(err, EST_PROTOCOL_ENCODING, NULL);
    if (type == NULL)
        return est_fail(err, EST_PROTOCOL_NO_TYPE, NULL);
    est_text_sanitise(type, strlen(type), shown, sizeof(shown));
    if (!est_media_type_parse(type, &media) || strcmp(media.type, media_type) != 0)
        return est_fail(err, EST_PROTOCOL_TYPE, "the server's answer is \"%s\", not %s", shown, media_type);
    /* RFC 8951 3.2: the parameter may be missing; another kind of PKCS#7 is not what was asked for */
    if (media.smime_type[0] != '\0' && (smime_type == NULL || strcmp(media.smime_type, smime_type) != 0))
        return est_fail(err, EST_PROTOCOL_SMIME_TYPE, NULL);
    return response->body.len == 0 ? est_fail(err, EST_PROTOCOL_EMPTY, NULL) : ESTUARY_OK;
}

estuary_status est_answer_decode(const estuary_http_response *response, const char *media_type,
                                 const char *smime_type, const estuary_limits *limits, uint8_t **der,
                                 size_t *len, estuary_error *err)
{
    *der = NULL;
    *len = 0;
    estuary_status status = est_answer_check_type(response, media_type, smime_type, err);
    if (status != ESTUARY_OK)
        return status;
    /* RFC 8951 3.1: Content-Transfer-Encoding is ignored, the body is always base64 */
    status =
        est_base64_decode(response->body.data, response->body.len,
                          (size_t)estuary_limits_get(limits, ESTUARY_LIMIT_RESPONSE_BYTES), der, len, err);
    if (status == ESTUARY_OK && *len == 0) { /* nothing but white space */
        est_free(*der);
        *der = NULL;
        status = est_fail(err, EST_PROTOCOL_EMPTY, NULL);
    }
    return status;
}
