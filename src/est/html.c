/* The text of a small HTML page: servers explain themselves in one (E11). */
#include "est/est.h"

#include <openssl/asn1.h>
#include <string.h>

#define REFERENCE_MAX 12 /* "&#x0010ffff;" */
#define UNICODE_MAX   0x10ffff

static const struct {
    const char *name;
    uint32_t value;
} named[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", ' '}};

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* "#233" or "#xE9", without the "&" and ";" */
static bool number(const uint8_t *text, size_t len, uint32_t *value)
{
    bool hexadecimal = len > 1 && (text[1] == 'x' || text[1] == 'X');
    size_t first = hexadecimal ? 2 : 1;
    uint32_t base = hexadecimal ? 16 : 10;
    *value = 0;
    for (size_t i = first; i < len; i++) {
        uint32_t digit = (uint32_t)digit_value(text[i]);
        if (digit >= base)
            return false;
        *value = *value * base + digit;
        if (*value > UNICODE_MAX)
            return false;
    }
    return len > first;
}

/* The length of the character reference at `in`, which begins with "&"; 0 when there is none. */
static size_t reference(const uint8_t *in, size_t len, uint32_t *value)
{
    const uint8_t *end = memchr(in, ';', len < REFERENCE_MAX ? len : REFERENCE_MAX);
    if (end == NULL)
        return 0;
    const uint8_t *text = in + 1;
    size_t text_len = (size_t)(end - text);
    if (text_len > 0 && text[0] == '#')
        return number(text, text_len, value) ? text_len + 2 : 0;
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (strlen(named[i].name) == text_len && memcmp(named[i].name, text, text_len) == 0) {
            *value = named[i].value;
            return text_len + 2;
        }
    }
    return 0;
}

/* 0 when it does not fit any more */
static size_t put(uint32_t value, uint8_t *out, size_t room)
{
    int len = UTF8_putc(out, room > 4 ? 4 : (int)room, value);
    if (len > 0)
        return (size_t)len;
    if (len == -1 || room == 0)
        return 0;
    *out = '?'; /* half of a surrogate pair */
    return 1;
}

/* Mark-up carries nothing for a terminal; what stands between the tags does. */
size_t est_html_text(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
    size_t used = 0, step = 0;
    bool inside = false;
    for (size_t i = 0; i < len && used < size; i += step) {
        uint32_t value = 0;
        step = 1;
        if (in[i] == '<') {
            inside = true;
            out[used++] = ' ';
        } else if (in[i] == '>' && inside) {
            inside = false;
        } else if (!inside && in[i] == '&' && (step = reference(in + i, len - i, &value)) > 0) {
            size_t wrote = put(value, out + used, size - used);
            if (wrote == 0)
                break;
            used += wrote;
        } else if (!inside) {
            step = 1;
            out[used++] = in[i];
        }
    }
    return used;
}
