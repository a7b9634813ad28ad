#include "est/est.h"

#include <string.h>

/* However large the limits are set: what a response value may hold. */
#define HEADERS_MAX 20000
#define HEADER_MAX  (2 * 1024 * 1024)
#define BODY_MAX    (64 * 1024 * 1024)

const char *estuary_http_request_method(const estuary_http_request *request)
{
    return request->method;
}

const char *estuary_http_request_url(const estuary_http_request *request)
{
    return request->url;
}

const char *estuary_http_request_content_type(const estuary_http_request *request)
{
    return request->content_type;
}

const char *estuary_http_request_accept(const estuary_http_request *request)
{
    return request->accept;
}

const uint8_t *estuary_http_request_body(const estuary_http_request *request, size_t *len)
{
    if (len != NULL)
        *len = request->body_len;
    return (const uint8_t *)request->body;
}

estuary_status estuary_http_response_new(int status, estuary_http_response **out, estuary_error *err)
{
    *out = est_alloc(sizeof(**out));
    if (*out == NULL)
        return est_fail_memory(err);
    (*out)->status = status;
    (*out)->body.max = BODY_MAX;
    return ESTUARY_OK;
}

void estuary_http_response_free(estuary_http_response *response)
{
    if (response == NULL)
        return;
    for (size_t i = 0; i < response->n_headers; i++) {
        est_free(response->headers[i].name);
        est_free(response->headers[i].value);
    }
    est_free(response->headers);
    est_buf_free(&response->body);
    est_free(response);
}

static bool reserve_header(estuary_http_response *response)
{
    if (response->n_headers % 16 != 0)
        return true;
    est_header *grown = est_alloc((response->n_headers + 16) * sizeof(*grown));
    if (grown == NULL)
        return false;
    if (response->n_headers > 0)
        memcpy(grown, response->headers, response->n_headers * sizeof(*grown));
    est_free(response->headers);
    response->headers = grown;
    return true;
}

estuary_status estuary_http_response_add_header(estuary_http_response *response, const char *name,
                                                const char *value, estuary_error *err)
{
    if (response->n_headers >= HEADERS_MAX)
        return est_fail(err, EST_PROTOCOL_HEADER_COUNT, NULL);
    size_t bytes = strlen(name) + strlen(value);
    if (bytes > HEADER_MAX || response->header_bytes > HEADER_MAX - bytes)
        return est_fail(err, EST_PROTOCOL_HEADERS, NULL);
    if (!reserve_header(response))
        return est_fail_memory(err);
    est_header header = {est_strdup(name), est_strdup(value)};
    if (header.name == NULL || header.value == NULL) {
        est_free(header.name);
        est_free(header.value);
        return est_fail_memory(err);
    }
    response->headers[response->n_headers++] = header;
    response->header_bytes += bytes;
    return ESTUARY_OK;
}

estuary_status estuary_http_response_append_body(estuary_http_response *response, const uint8_t *bytes,
                                                 size_t len, estuary_error *err)
{
    switch (est_buf_append(&response->body, bytes, len)) {
    case EST_APPEND_OK:
        return ESTUARY_OK;
    case EST_APPEND_TOO_LARGE:
        return est_fail(err, EST_PROTOCOL_TOO_LARGE, NULL);
    case EST_APPEND_NO_MEMORY:
        break;
    }
    return est_fail_memory(err);
}

const char *est_response_header(const estuary_http_response *response, const char *name)
{
    for (size_t i = 0; i < response->n_headers; i++) {
        if (est_text_equal_nocase(response->headers[i].name, name))
            return response->headers[i].value;
    }
    return NULL;
}
