#include "base/base.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

void *est_alloc(size_t size)
{
    return OPENSSL_zalloc(size == 0 ? 1 : size);
}

void est_free(void *memory)
{
    OPENSSL_free(memory);
}

char *est_strndup(const char *text, size_t len)
{
    char *copy = est_alloc(len + 1);
    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}

char *est_strdup(const char *text)
{
    return text == NULL ? NULL : est_strndup(text, strlen(text));
}

char *est_printf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        return NULL;
    char *text = est_alloc((size_t)len + 1);
    if (text == NULL)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

bool est_size_to_int(size_t size, int *out)
{
    if (size > INT_MAX)
        return false;
    *out = (int)size;
    return true;
}

bool est_size_to_long(size_t size, long *out)
{
    if (size > LONG_MAX)
        return false;
    *out = (long)size;
    return true;
}

bool est_int_to_size(long value, size_t *out)
{
    if (value < 0)
        return false;
    *out = (size_t)value;
    return true;
}

est_append est_buf_append(est_buf *buf, const void *bytes, size_t len)
{
    if (len > buf->max || buf->len > buf->max - len)
        return EST_APPEND_TOO_LARGE;
    size_t need = buf->len + len + 1;
    if (need > buf->cap) {
        size_t cap = buf->cap < 512 ? 512 : buf->cap * 2;
        if (cap < need)
            cap = need;
        uint8_t *data = OPENSSL_clear_realloc(buf->data, buf->cap, cap);
        if (data == NULL)
            return EST_APPEND_NO_MEMORY;
        buf->data = data;
        buf->cap = cap;
    }
    if (len > 0)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return EST_APPEND_OK;
}

void est_buf_free(est_buf *buf)
{
    OPENSSL_clear_free(buf->data, buf->cap);
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
}

/* The length of the valid UTF-8 sequence at p, 0 when there is none (RFC 3629: no surrogates, no overlongs).
 */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t first_mask, first, len;
        uint32_t min;
    } forms[] = {{0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
    for (size_t i = 0; i < 3; i++) {
        if ((p[0] & forms[i].first_mask) != forms[i].first)
            continue;
        if (left < forms[i].len)
            return 0;
        uint32_t value = p[0] & (uint8_t)~forms[i].first_mask;
        for (size_t k = 1; k < forms[i].len; k++) {
            if ((p[k] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (p[k] & 0x3f);
        }
        bool control = value >= 0x80 && value < 0xa0;
        /* line separators, and what makes text show as something else: bidirectional marks and overrides */
        bool bidi = value == 0x061c || value == 0x200e || value == 0x200f ||
                    (value >= 0x2028 && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069);
        if (value < forms[i].min || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) || control ||
            bidi)
            return 0;
        return forms[i].len;
    }
    return 0;
}

void est_text_sanitise(const void *text, size_t len, char *out, size_t size)
{
    const uint8_t *in = text;
    size_t used = 0;
    bool blank = true;
    for (size_t i = 0; i < len && used + 1 < size;) {
        size_t step = 1;
        char c = (char)in[i];
        if (in[i] == ' ' || in[i] == '\t' || in[i] == '\n' || in[i] == '\r') {
            if (!blank)
                out[used++] = ' ';
            blank = true;
            i++;
            continue;
        }
        if (in[i] >= 0x80) {
            step = utf8_length(in + i, len - i);
            if (step > 0 && used + step >= size)
                break; /* a sequence is kept whole or not at all */
            if (step > 0) {
                memmove(out + used, in + i, step);
                used += step;
                i += step;
                blank = false;
                continue;
            }
            step = 1;
            c = '?';
        } else if (in[i] < 0x20 || in[i] == 0x7f) {
            c = '?';
        }
        out[used++] = c;
        blank = false;
        i += step;
    }
    if (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void est_hex_write(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

bool est_text_equal_nocase(const char *a, const char *b)
{
    while (*a != '\0' && ascii_lower(*a) == ascii_lower(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}
