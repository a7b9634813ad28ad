#include "cert/cert.h"

#include <openssl/evp.h>
#include <string.h>

estuary_status estuary_fingerprint(const X509 *certificate, uint8_t out[ESTUARY_FINGERPRINT_SIZE],
                                   estuary_error *err)
{
    unsigned int len = 0;
    memset(out, 0, ESTUARY_FINGERPRINT_SIZE);
    if (certificate == NULL)
        return est_fail(err, EST_USAGE, "there is no certificate to take a fingerprint of");
    if (X509_digest(certificate, EVP_sha256(), out, &len) != 1 || len != ESTUARY_FINGERPRINT_SIZE)
        return est_fail_openssl(err, EST_CRYPTO, "the fingerprint cannot be computed");
    return ESTUARY_OK;
}

void estuary_fingerprint_format(const uint8_t fingerprint[ESTUARY_FINGERPRINT_SIZE],
                                char out[ESTUARY_FINGERPRINT_TEXT_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < ESTUARY_FINGERPRINT_SIZE; i++) {
        out[3 * i] = digits[fingerprint[i] >> 4];
        out[3 * i + 1] = digits[fingerprint[i] & 0x0f];
        out[3 * i + 2] = ':';
    }
    out[ESTUARY_FINGERPRINT_TEXT_SIZE - 1] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static const char *skip_prefix(const char *text)
{
    static const char prefix[] = "sha256:";
    char start[sizeof(prefix)] = "";
    size_t len = strnlen(text, sizeof(prefix) - 1);
    memcpy(start, text, len);
    return est_text_equal_nocase(start, prefix) ? text + len : text;
}

/* Colons between all bytes or between none: a forgotten digit must not shift the rest unseen. */
estuary_status estuary_fingerprint_parse(const char *text, uint8_t out[ESTUARY_FINGERPRINT_SIZE],
                                         estuary_error *err)
{
    memset(out, 0, ESTUARY_FINGERPRINT_SIZE);
    if (text == NULL)
        return est_fail(err, EST_USAGE_FINGERPRINT, NULL);
    const char *c = skip_prefix(text);
    size_t step = strnlen(c, 3) == 3 && c[2] == ':' ? 3 : 2;
    size_t wanted = step * ESTUARY_FINGERPRINT_SIZE - (step == 3 ? 1 : 0);
    if (strnlen(c, wanted + 1) != wanted)
        return est_fail(err, EST_USAGE_FINGERPRINT, NULL);
    uint8_t bytes[ESTUARY_FINGERPRINT_SIZE];
    for (size_t i = 0; i < ESTUARY_FINGERPRINT_SIZE; i++) {
        int high = hex_digit(c[step * i]);
        int low = hex_digit(c[step * i + 1]);
        bool colon = step == 2 || i + 1 == ESTUARY_FINGERPRINT_SIZE || c[step * i + 2] == ':';
        if (high < 0 || low < 0 || !colon)
            return est_fail(err, EST_USAGE_FINGERPRINT, NULL);
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out, bytes, sizeof(bytes));
    return ESTUARY_OK;
}
