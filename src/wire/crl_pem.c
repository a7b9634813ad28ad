/* PEM around a CRL (RFC 7468 8), as it comes. Text before and after is passed over, a second CRL is not. */
#include "wire/crl_parts.h"

#include <openssl/err.h>

#define SLICE 4096 /* of base64 at once: the result stands on the stack */

static bool line_is(const est_crl_pem *pem, const char *text)
{
    size_t len = pem->line_len;
    while (len > 0 && (pem->line[len - 1] == '\r' || pem->line[len - 1] == ' ' || pem->line[len - 1] == '\t'))
        len--;
    return len == strlen(text) && memcmp(pem->line, text, len) == 0;
}

/* Some write the label without "X509". */
static bool is_begin(const est_crl_pem *pem)
{
    return line_is(pem, "-----BEGIN X509 CRL-----") || line_is(pem, "-----BEGIN CRL-----");
}

static bool is_end(const est_crl_pem *pem)
{
    return line_is(pem, "-----END X509 CRL-----") || line_is(pem, "-----END CRL-----");
}

static estuary_status begin_body(est_crl_pem *pem, estuary_error *err)
{
    pem->base64 = EVP_ENCODE_CTX_new();
    if (pem->base64 == NULL)
        return est_fail_memory(err);
    EVP_DecodeInit(pem->base64);
    pem->place = EST_CRL_PEM_BODY;
    pem->last = '\n';
    return ESTUARY_OK;
}

/* What the base64 text still owes. */
static estuary_status end_body(est_crl_reader *reader, est_crl_sink *sink, estuary_error *err)
{
    uint8_t rest[EVP_DECODE_LENGTH(80)];
    int len = 0;
    size_t size;
    if (EVP_DecodeFinal(reader->pem.base64, rest, &len) != 1 || !est_int_to_size(len, &size))
        return est_fail(err, EST_CRL_MALFORMED, "the base64 text of the CRL is not whole");
    reader->pem.place = EST_CRL_PEM_AFTER;
    return size == 0 ? ESTUARY_OK : sink(reader, rest, size, err);
}

/* A whole line outside of the base64 text. */
static estuary_status end_line(est_crl_reader *reader, est_crl_sink *sink, estuary_error *err)
{
    est_crl_pem *pem = &reader->pem;
    bool begins = is_begin(pem), ends = is_end(pem);
    pem->line_len = 0;
    if (pem->place == EST_CRL_PEM_BEFORE)
        return begins ? begin_body(pem, err) : ESTUARY_OK;
    if (pem->place == EST_CRL_PEM_END_LINE)
        return ends ? end_body(reader, sink, err)
                    : est_fail(err, EST_CRL_MALFORMED, "the CRL's base64 text does not end as it began");
    return begins ? est_fail(err, EST_CRL_MALFORMED, "there is a second CRL behind the first") : ESTUARY_OK;
}

static estuary_status read_line(est_crl_reader *reader, const uint8_t **at, const uint8_t *end,
                                est_crl_sink *sink, estuary_error *err)
{
    est_crl_pem *pem = &reader->pem;
    const uint8_t *newline = memchr(*at, '\n', (size_t)(end - *at));
    size_t len = (size_t)((newline == NULL ? end : newline) - *at);
    size_t room = sizeof(pem->line) - pem->line_len;
    memcpy(pem->line + pem->line_len, *at, len < room ? len : room);
    pem->line_len += len < room ? len : room;
    *at = newline == NULL ? end : newline + 1;
    return newline == NULL ? ESTUARY_OK : end_line(reader, sink, err);
}

static bool is_blank(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
            return false;
    return true;
}

/* A dash ends it: there is none in base64. */
static estuary_status read_body(est_crl_reader *reader, const uint8_t **at, const uint8_t *end,
                                est_crl_sink *sink, estuary_error *err)
{
    est_crl_pem *pem = &reader->pem;
    uint8_t der[SLICE];
    const uint8_t *text = *at;
    size_t len = (size_t)(end - text), size = 0;
    int text_len = 0, der_len = 0, more = 1;
    if (len > SLICE)
        len = SLICE;
    const uint8_t *dash = memchr(text, '-', len);
    if (dash != NULL)
        len = (size_t)(dash - text);
    if (pem->is_padded && !is_blank(text, len))
        return est_fail(err, EST_CRL_MALFORMED, "there is text behind the padding of the CRL's base64 text");
    if (len > 0 && !pem->is_padded && est_size_to_int(len, &text_len))
        more = EVP_DecodeUpdate(pem->base64, der, &der_len, text, text_len);
    if (more < 0 || !est_int_to_size(der_len, &size)) {
        ERR_clear_error();
        return est_fail(err, EST_CRL_MALFORMED, "the CRL's base64 text holds something else");
    }
    pem->is_padded = pem->is_padded || more == 0;
    pem->last = len > 0 ? text[len - 1] : pem->last;
    *at = text + len;
    if (dash != NULL) {
        if (pem->last != '\n')
            return est_fail(err, EST_CRL_MALFORMED, "the CRL's base64 text holds something else");
        pem->place = EST_CRL_PEM_END_LINE;
    }
    return size == 0 ? ESTUARY_OK : sink(reader, der, size, err);
}

estuary_status est_crl_pem_feed(est_crl_reader *reader, const uint8_t *text, size_t len, est_crl_sink *sink,
                                estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const uint8_t *end = text + len;
    while (text < end && status == ESTUARY_OK)
        status = reader->pem.place == EST_CRL_PEM_BODY ? read_body(reader, &text, end, sink, err)
                                                       : read_line(reader, &text, end, sink, err);
    return status;
}

estuary_status est_crl_pem_final(est_crl_reader *reader, est_crl_sink *sink, estuary_error *err)
{
    est_crl_pem *pem = &reader->pem;
    if (pem->place == EST_CRL_PEM_BEFORE)
        return est_fail(err, EST_CRL_MALFORMED, "the CRL is neither DER nor PEM");
    if (pem->place == EST_CRL_PEM_BODY || (pem->place == EST_CRL_PEM_END_LINE && !is_end(pem)))
        return est_fail(err, EST_CRL_TRUNCATED, "the CRL's base64 text is cut short");
    return pem->line_len > 0 ? end_line(reader, sink, err) : ESTUARY_OK; /* without a newline at the end */
}

void est_crl_pem_clear(est_crl_pem *pem)
{
    EVP_ENCODE_CTX_free(pem->base64);
    pem->base64 = NULL;
}
