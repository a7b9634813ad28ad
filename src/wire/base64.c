#include "wire/wire.h"

#include <limits.h>
#include <string.h>

#define LINE 64

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* 0 to 63, or -1 */
static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

struct decoder {
    uint8_t *out;
    size_t used;
    uint32_t bits;
    unsigned in_group; /* characters of the current group, padding included */
    unsigned padding;
    bool ended;
};

static estuary_status take(struct decoder *d, uint8_t c, size_t position, estuary_error *err)
{
    bool complete = d->ended || (d->in_group == 0 && d->used > 0);
    if (complete && c == '=')
        return est_fail(err, EST_PROTOCOL_BASE64_PADDING, "the base64 data has a '=' too many, at byte %zu",
                        position + 1);
    if (d->ended)
        return est_fail(err, EST_PROTOCOL_BASE64_TRAILING,
                        "there is something after the end of the base64 data, at byte %zu", position + 1);
    int value = value_of(c);
    if (c == '=') {
        if (d->in_group < 2)
            return est_fail(err, EST_PROTOCOL_BASE64_PADDING,
                            "the base64 data is padded in the wrong place, at byte %zu", position + 1);
        d->padding++;
        value = 0;
    } else if (value < 0) {
        return est_fail(err, EST_PROTOCOL_BASE64, "byte %zu of the server's answer is not base64",
                        position + 1);
    } else if (d->padding > 0) {
        return est_fail(err, EST_PROTOCOL_BASE64_PADDING,
                        "the base64 data is padded in the wrong place, at byte %zu", position + 1);
    }
    d->bits = d->bits << 6 | (uint32_t)value;
    if (++d->in_group < 4)
        return ESTUARY_OK;
    /* RFC 4648 3.5: one content must not have several spellings */
    if (d->padding > 0 && (d->bits & (d->padding == 1 ? 0xffu : 0xffffu)) != 0)
        return est_fail(err, EST_PROTOCOL_BASE64_BITS, NULL);
    for (unsigned i = 0; i < 3 - d->padding; i++)
        d->out[d->used++] = (uint8_t)(d->bits >> (16 - 8 * i));
    d->ended = d->padding > 0;
    d->in_group = 0;
    d->bits = 0;
    return ESTUARY_OK;
}

static estuary_status refuse_other_forms(const uint8_t *text, size_t len, estuary_error *err)
{
    static const char armour[] = "-----BEGIN";
    while (len > 0 && is_blank(*text)) {
        text++;
        len--;
    }
    if (len >= sizeof(armour) - 1 && memcmp(text, armour, sizeof(armour) - 1) == 0)
        return est_fail(err, EST_PROTOCOL_PEM, NULL);
    /* a long-form DER SEQUENCE: 0x30 is a base64 character, 0x80 and up never is */
    if (len >= 2 && text[0] == 0x30 && text[1] >= 0x80)
        return est_fail(err, EST_PROTOCOL_BINARY, NULL);
    return ESTUARY_OK;
}

/* RFC 8951 3.1: no Content-Transfer-Encoding needed, line breaks anywhere or nowhere */
estuary_status est_base64_decode(const uint8_t *text, size_t len, size_t max, uint8_t **out, size_t *out_len,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    struct decoder d = {0};
    *out = NULL;
    *out_len = 0;
    EST_TRY(refuse_other_forms(text, len, err));
    d.out = est_alloc(len / 4 * 3 + 3);
    if (d.out == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_blank(text[i]))
            EST_TRY(take(&d, text[i], i, err));
    }
    if (d.in_group != 0)
        EST_FAIL(EST_PROTOCOL_BASE64_PADDING, NULL);
    if (d.used > max)
        EST_FAIL(EST_PROTOCOL_TOO_LARGE, NULL);
    *out = d.out;
    *out_len = d.used;
    d.out = NULL;

cleanup:
    est_free_secret(d.out, d.used); /* it may have been a private key */
    return status;
}

/* Lines of 64: a common server answers 400 to one long line. */
estuary_status est_base64_encode(const uint8_t *bytes, size_t len, char **out, estuary_error *err)
{
    *out = NULL;
    if (len > SIZE_MAX / 2 - 16)
        return est_fail_memory(err);
    size_t chars = (len + 2) / 3 * 4;
    char *text = est_alloc(chars + (chars / LINE + 1) * 2 + 1);
    if (text == NULL)
        return est_fail_memory(err);
    size_t used = 0, column = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= left > 2 ? bytes[i + 2] : 0;
        text[used++] = alphabet[bits >> 18 & 63];
        text[used++] = alphabet[bits >> 12 & 63];
        text[used++] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        text[used++] = left > 2 ? alphabet[bits & 63] : '=';
        column += 4;
        if (column == LINE || left <= 3) {
            text[used++] = '\r';
            text[used++] = '\n';
            column = 0;
        }
    }
    *out = text;
    return ESTUARY_OK;
}
